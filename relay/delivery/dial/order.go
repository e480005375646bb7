package dial

import (
	"cmp"
	"net/netip"
	"slices"

	"tenma/relay/mail"
)

// Families says which kinds of address are used, and which comes first.
type Families uint8

// The choices. IPv6 before IPv4 is what RFC 6724 section 2.1 wants of a host
// that has both.
const (
	IPv6First Families = iota
	IPv4First
	IPv6Only
	IPv4Only
)

// forbidden are networks without public hosts that netip has no word for.
var forbidden = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),      // "this network", RFC 1122 section 3.2.1.3
	netip.MustParsePrefix("100.64.0.0/10"),  // between a carrier and its customers, RFC 6598
	netip.MustParsePrefix("240.0.0.0/4"),    // reserved, and broadcast, RFC 1112 section 4
	netip.MustParsePrefix("fec0::/10"),      // site-local of old, RFC 3879
	netip.MustParsePrefix("64:ff9b:1::/48"), // IPv4 of this site, RFC 8215
}

// embedding are networks whose addresses lead to the IPv4 address within, which
// begins at that octet.
var embedding = [...]struct {
	netip.Prefix
	at int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12}, // by a translator, RFC 6052 section 2.1
	{netip.MustParsePrefix("2002::/16"), 2},     // 6to4, RFC 3056 section 2
}

// Public reports an address that a mail exchanger of a stranger may have.
func Public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsValid() || a.IsLoopback() || a.IsPrivate() || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() {
		return false
	}
	for _, e := range embedding {
		if e.Contains(a) {
			octets := a.As16()
			within, _ := netip.AddrFromSlice(octets[e.at : e.at+4])
			return Public(within)
		}
	}
	return !slices.ContainsFunc(forbidden[:], func(p netip.Prefix) bool { return p.Contains(a) })
}

// Ordered gives a route's hosts in the order to try: by preference, equal ones
// at random (RFC 5321 section 5.1). The argument is left as it is.
func Ordered(hosts []mail.Host, random func(n int) int) []mail.Host {
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

// Level is how many hosts at the beginning of ordered ones have one preference.
func Level(hosts []mail.Host) int {
	n := 0
	for n < len(hosts) && hosts[n].Pref == hosts[0].Pref {
		n++
	}
	return n
}

// Sorted gives the addresses in the order to try: those of a family as the
// resolver has them, the families alternating, so that the limited number of
// tries cannot be used up by one that does not work from here. A source that
// is bound to addresses of one family cannot use the other.
func Sorted(addrs []netip.Addr, f Families, s *mail.Source) []netip.Addr {
	bound := s.IPv4.IsValid() || s.IPv6.IsValid()
	use4 := f != IPv6Only && (!bound || s.IPv4.IsValid())
	use6 := f != IPv4Only && (!bound || s.IPv6.IsValid())
	if len(addrs) == 1 { // nearly all
		if a := addrs[0].Unmap(); a.Is4() && use4 || a.Is6() && use6 {
			return []netip.Addr{a}
		}
		return nil
	}
	first, second := make([]netip.Addr, 0, len(addrs)), []netip.Addr(nil)
	for _, a := range addrs {
		switch a = a.Unmap(); {
		case a.Is4() && !use4, a.Is6() && !use6:
		case a.Is4() == (f == IPv4First):
			first = append(first, a)
		default:
			second = append(second, a)
		}
	}
	if len(first) == 0 || len(second) == 0 {
		return append(first, second...)
	}
	all := make([]netip.Addr, 0, len(first)+len(second))
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
