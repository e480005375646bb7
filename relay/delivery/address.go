package delivery

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"

	"tenma/relay/mail"
)

// maxAddresses is how many addresses one attempt may try to connect to. RFC
// 5321 section 5.1 wants at least two; five is what large senders allow.
const maxAddresses = 5

// errForbidden says that the DNS led to an address that no public mail
// exchanger has.
var errForbidden = errors.New("address is private, or our own")

// forbidden are networks without public hosts that netip has no word for.
var forbidden = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),     // "this network", RFC 1122 section 3.2.1.3
	netip.MustParsePrefix("100.64.0.0/10"), // between a carrier and its customers, RFC 6598
	netip.MustParsePrefix("240.0.0.0/4"),   // reserved, and broadcast, RFC 1112 section 4
	netip.MustParsePrefix("fec0::/10"),     // site-local of old, RFC 3879
}

// Public reports an address that a host of a stranger may have, that of a mail
// exchanger or another to which a stranger's name leads us.
func Public(a netip.Addr) bool {
	if !a.IsValid() || a.IsLoopback() || a.IsPrivate() || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() {
		return false
	}
	return !slices.ContainsFunc(forbidden[:], func(p netip.Prefix) bool { return p.Contains(a) })
}

// ordered gives a route's hosts in the order to try: by preference, equal ones
// at random (RFC 5321 section 5.1). The argument is left as it is.
func ordered(hosts []mail.Host, random func(n int) int) []mail.Host {
	if len(hosts) == 1 {
		return hosts
	}
	hosts = slices.Clone(hosts)
	for i := len(hosts) - 1; i > 0; i-- {
		j := random(i + 1)
		hosts[i], hosts[j] = hosts[j], hosts[i]
	}
	slices.SortStableFunc(hosts, func(a, b mail.Host) int { return cmp.Compare(a.Pref, b.Pref) })
	return hosts
}

// interleaved keeps the resolver's order but lets the families alternate, so
// that the limited number of tries cannot be used up by one family that does
// not work from here.
func interleaved(addrs []netip.Addr) []netip.Addr {
	var first, second, all []netip.Addr
	for _, a := range addrs {
		if a = a.Unmap(); a.Is4() == addrs[0].Unmap().Is4() {
			first = append(first, a)
		} else {
			second = append(second, a)
		}
	}
	for len(first) > 0 || len(second) > 0 {
		if len(first) > 0 {
			all, first = append(all, first[0]), first[1:]
		}
		if len(second) > 0 {
			all, second = append(all, second[0]), second[1:]
		}
	}
	return all
}

// dice is randomness for many goroutines.
func (c *Client) dice(n int) int {
	c.random.Lock()
	defer c.random.Unlock()
	return c.random.IntN(n)
}

func newRandom(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed^0x9e3779b97f4a7c15)) }
