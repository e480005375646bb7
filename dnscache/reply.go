package dnscache

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Bounds of what is taken from one reply. Whoever needs more than this for
// mail is mistaken or hostile; the rest of the records is left out.
const (
	maxMX    = 100
	maxAddrs = 64 // per family
	maxTXT   = 100
	maxPTR   = 20
	maxTLSA  = 32
	// maxText bounds the octets of all text records, and of all TLSA data.
	maxText = 64 << 10
)

// usable sorts replies: nil is an answer or a denial, an error a server that
// cannot answer, which another perhaps can.
func usable(m *dns.Msg) error {
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		if name, ok := dns.RcodeToString[m.Rcode]; ok {
			return fmt.Errorf("%s", name)
		}
		return fmt.Errorf("rcode %d", m.Rcode)
	}
	if len(m.Answer) > 0 || m.Rcode == dns.RcodeNameError || m.Authoritative {
		return nil
	}
	// Nothing, from a server that neither owns the zone nor recurses, or that
	// points elsewhere: it says nothing about the records (RFC 2308 section
	// 2.2). Taking it for a denial would send mail to the wrong host.
	soa, ns := false, false
	for _, rr := range m.Ns {
		soa = soa || rr.Header().Rrtype == dns.TypeSOA
		ns = ns || rr.Header().Rrtype == dns.TypeNS
	}
	if !soa && (ns || !m.RecursionAvailable) {
		return fmt.Errorf("lame referral")
	}
	return nil
}

// reply is what readReply made of a message.
type reply struct {
	found
	aliases int
	follow  bool // the chain of aliases goes on at canonical: ask there
}

// readReply takes the records of qtype for name out of a usable reply. Records
// of other names, types and classes are nobody's business and are not looked at.
func readReply(m *dns.Msg, name string, qtype uint16) reply {
	r := reply{}
	r.ttl = time.Duration(1<<31-1) * time.Second
	at := name
	for ; r.aliases <= maxAliases; r.aliases++ {
		target, ttl, ok := alias(m.Answer, at)
		if !ok {
			break
		}
		at = target
		r.canonical = at
		r.ttl = min(r.ttl, ttl)
	}
	if r.aliases > maxAliases || r.aliases > 0 && at == "" {
		r.err = ErrTemporary
		return r
	}
	c := collector{qtype: qtype}
	for _, rr := range m.Answer {
		h := rr.Header()
		if h.Rrtype == qtype && h.Class == dns.ClassINET && sameName(h.Name, at) {
			c.add(rr)
			r.ttl = min(r.ttl, lifeOf(h))
		}
	}
	switch soa := denialLife(m.Ns); {
	case c.seen > 0:
		r.records, r.octets = c.records()
		if r.records == nil {
			r.err = fmt.Errorf("%w: no record is well-formed", ErrTemporary)
		}
	case m.Rcode == dns.RcodeNameError:
		// With aliases it is the last name that does not exist (RFC 2308
		// section 2.1).
		r.err, r.ttl = ErrNotFound, min(r.ttl, max(soa, 0))
	case r.aliases > 0 && soa < 0:
		r.follow = true
	default:
		// Without SOA it is not to be kept (RFC 2308 section 2.2), so only for
		// as long as the shortest answer is.
		r.err, r.ttl = ErrNoData, min(r.ttl, max(soa, 0))
	}
	return r
}

// alias finds the CNAME of a name. A target that can be no name gives "".
func alias(answer []dns.RR, name string) (target string, ttl time.Duration, ok bool) {
	for _, rr := range answer {
		if c, is := rr.(*dns.CNAME); is && c.Hdr.Class == dns.ClassINET && sameName(c.Hdr.Name, name) {
			target, _ = canonical(c.Target)
			return target, lifeOf(&c.Hdr), true
		}
	}
	return "", 0, false
}

// lifeOf is a record's time to live. One with the highest bit set counts as 0
// (RFC 2181 section 8).
func lifeOf(h *dns.RR_Header) time.Duration {
	if h.Ttl > 1<<31-1 {
		return 0
	}
	return time.Duration(h.Ttl) * time.Second
}

// denialLife is how long a denial may be kept: the lesser of the SOA record's
// own time to live and its MINIMUM (RFC 2308 section 5); -1 s without SOA.
func denialLife(authority []dns.RR) time.Duration {
	for _, rr := range authority {
		if soa, ok := rr.(*dns.SOA); ok {
			minimum := dns.RR_Header{Ttl: soa.Minttl}
			return min(lifeOf(&soa.Hdr), lifeOf(&minimum))
		}
	}
	return -time.Second
}

// sameName compares the name of a record, with its dot, to a canonical one.
func sameName(wire, name string) bool {
	return strings.EqualFold(strings.TrimSuffix(wire, "."), name)
}

// collector gathers the well-formed records of one type.
type collector struct {
	qtype  uint16
	seen   int // records, well-formed or not
	octets int64
	mx     []MX
	addrs  []netip.Addr
	texts  []string
	tlsa   []TLSA
}

func (c *collector) add(rr dns.RR) {
	c.seen++
	switch rr := rr.(type) {
	case *dns.MX:
		c.addMX(rr)
	case *dns.A:
		if a, ok := netip.AddrFromSlice(rr.A.To4()); ok {
			c.addAddr(a)
		}
	case *dns.AAAA:
		// A mapped address in an AAAA record is another way to write an IPv4
		// address; one form only, so that checks of addresses see it.
		if a, ok := netip.AddrFromSlice(rr.AAAA.To16()); ok {
			c.addAddr(a.Unmap())
		}
	case *dns.TXT:
		c.addText(unescape(strings.Join(rr.Txt, "")), maxTXT)
	case *dns.PTR:
		if name, ok := hostName(rr.Ptr); ok {
			c.addText(name, maxPTR)
		}
	case *dns.TLSA:
		c.addTLSA(rr)
	}
}

func (c *collector) addMX(rr *dns.MX) {
	host, ok := hostName(rr.Mx)
	if rr.Mx == "." { // the null MX (RFC 7505 section 3)
		host, ok = "", true
	}
	mx := MX{Host: host, Pref: rr.Preference}
	if ok && len(c.mx) < maxMX && !slices.Contains(c.mx, mx) {
		c.mx = append(c.mx, mx)
		c.octets += int64(32 + len(host))
	}
}

func (c *collector) addAddr(a netip.Addr) {
	if len(c.addrs) < maxAddrs && !slices.Contains(c.addrs, a) {
		c.addrs = append(c.addrs, a)
		c.octets += 32
	}
}

func (c *collector) addText(s string, most int) {
	if len(c.texts) < most && c.octets+int64(len(s)) <= maxText {
		c.texts = append(c.texts, s)
		c.octets += int64(16 + len(s))
	}
}

func (c *collector) addTLSA(rr *dns.TLSA) {
	data, err := hex.DecodeString(rr.Certificate)
	if err == nil && len(c.tlsa) < maxTLSA && c.octets+int64(len(data)) <= maxText {
		c.tlsa = append(c.tlsa, TLSA{Usage: rr.Usage, Selector: rr.Selector, MatchingType: rr.MatchingType, Data: data})
		c.octets += int64(32 + len(data))
	}
}

// records gives what was gathered, nil if nothing was well-formed.
func (c *collector) records() (any, int64) {
	switch c.qtype {
	case dns.TypeMX:
		slices.SortFunc(c.mx, func(a, b MX) int {
			return cmp.Or(cmp.Compare(a.Pref, b.Pref), strings.Compare(a.Host, b.Host))
		})
		return orNil(c.mx), c.octets
	case dns.TypeA, dns.TypeAAAA:
		return orNil(c.addrs), c.octets
	case dns.TypeTXT, dns.TypePTR:
		return orNil(c.texts), c.octets
	case dns.TypeTLSA:
		return orNil(c.tlsa), c.octets
	}
	return nil, 0
}

func orNil[T any](s []T) any {
	if len(s) == 0 {
		return nil
	}
	return slices.Clip(s) // an append by a caller must not reach the next caller
}

// hostName gives a name from a record in lower case without its dot, and
// whether a host can bear it: letters, digits, hyphens (RFC 1123 section 2.1),
// and underscores, which some do.
func hostName(wire string) (string, bool) {
	name, ok := canonical(wire)
	for i := 0; ok && i < len(name); i++ {
		c := name[i]
		ok = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
	}
	return name, ok
}

// unescape undoes the \DDD and \C of presentation format (RFC 1035 section
// 5.1), in which the library gives text.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b = append(b, s[i])
			continue
		}
		if i+3 < len(s) && isDigit(s[i+1]) && isDigit(s[i+2]) && isDigit(s[i+3]) {
			b = append(b, (s[i+1]-'0')*100+(s[i+2]-'0')*10+s[i+3]-'0')
			i += 3
			continue
		}
		i++
		b = append(b, s[i])
	}
	return string(b)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
