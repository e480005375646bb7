package route

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"tenma/relay/mail"
)

// maxSite bounds the name of a site, in octets, so that a lane stays readable
// in a table and cheap as a key. Two or three host names fit.
const maxSite = 100

// mxSite names the site that a set of mail exchangers is: their names, sorted,
// each once. Order of preference does not matter: who hosts two domains on the
// same machines is one party, whatever the preferences.
//
// A provider rule, which gives many sites one name by a suffix that all their
// exchangers share, has its place here: it changes the name in the lane and
// leaves the hosts of the route alone.
func mxSite(hosts []mail.Host) string {
	names := make([]string, 0, len(hosts))
	for _, h := range hosts {
		names = append(names, h.Name)
	}
	return joinSite(names)
}

// hostSite names the site of configured hosts, ports included: a smarthost's
// port 587 is not its port 25.
func hostSite(hosts []mail.Host) string {
	names := make([]string, 0, len(hosts))
	for _, h := range hosts {
		names = append(names, net.JoinHostPort(h.Name, strconv.Itoa(int(h.Port))))
	}
	return joinSite(names)
}

// joinSite makes one name of many: all of them if that is short, else the
// first, how many more, and a digest of all (64 bits: among a million sites the
// odds that any two meet are below one in ten million).
func joinSite(names []string) string {
	slices.Sort(names)
	names = slices.Compact(names)
	all := strings.Join(names, ",")
	if len(all) <= maxSite {
		return all
	}
	sum := sha256.Sum256([]byte(all))
	first := names[0][:min(len(names[0]), maxSite-30)]
	return first + "+" + strconv.Itoa(len(names)-1) + "#" + hex.EncodeToString(sum[:8])
}

// lane names the lane of a route to a site. What makes a connection unfit for
// other mail to the same hosts follows the site's name.
func (t *table) lane(site string, r mail.Route) mail.Lane {
	var b strings.Builder
	b.WriteString(t.source.Name)
	b.WriteString("->")
	b.WriteString(site)
	if r.LMTP {
		b.WriteString("+lmtp")
	}
	if r.TLS != mail.TLSOpportunistic {
		b.WriteString("+tls" + strconv.Itoa(int(r.TLS)))
	}
	if r.Auth != nil {
		b.WriteString("+user=" + r.Auth.User)
	}
	if r.Certificate != nil && len(r.Certificate.Certificate) > 0 {
		sum := sha256.Sum256(r.Certificate.Certificate[0])
		b.WriteString("+cert=" + hex.EncodeToString(sum[:4]))
	}
	return mail.Lane(b.String())
}

// sortHosts puts the lowest preference first. Hosts of one preference are in
// order of their names; delivery draws among them (RFC 5321 section 5.1).
func sortHosts(hosts []mail.Host) {
	slices.SortStableFunc(hosts, func(a, b mail.Host) int {
		return cmp.Or(cmp.Compare(a.Pref, b.Pref), strings.Compare(a.Name, b.Name))
	})
}

// literalName reads a host name that is the text of an address: "10.0.0.1".
// MX records that point at one are wrong (RFC 1035 section 3.3.9 wants a name)
// and a way to make us talk to our own network.
func literalName(host string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return a.Unmap(), err == nil
}

// literalText writes an address as RFC 5321 section 4.1.3 has it.
func literalText(a netip.Addr) string {
	if a.Is4() {
		return "[" + a.String() + "]"
	}
	return "[IPv6:" + a.String() + "]"
}

// isLocalName reports a name that is this machine by definition (RFC 6761
// section 6.3).
func isLocalName(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// isPublic reports an address on the Internet. Loopback, link-local, private
// (RFC 1918, RFC 4193) and shared (RFC 6598) space, multicast, "this network"
// and reserved IPv4 space are not.
func isPublic(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	if a.Is4() {
		b := a.As4()
		return b[0] != 0 && b[0] < 240 && !(b[0] == 100 && b[1]&0xc0 == 64)
	}
	return true
}
