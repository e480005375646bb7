package door

import (
	"net"
	"net/netip"
	"slices"
	"time"
)

// maxClients bounds the table of clients. Those with open connections are
// bounded by Limits.Connections; this is for the others, remembered for their
// rate.
const maxClients = 1 << 16

// Clients counts connections by client: an IPv4 address, or an IPv6 /64. The
// zero value is empty. Its owner holds a lock.
type Clients struct {
	m map[netip.Addr]*client
}

type client struct {
	open  int
	since time.Time // of the minute that is being counted
	count int       // connections in that minute
}

// clientKey is whom a limit is for: an IPv4 address, or the /64 that one IPv6
// customer has at least (RFC 6177 section 2).
func clientKey(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// Enter counts a new connection of a, of which open may be open at a time and
// rate begin in a minute (0: any number). If that is too much it counts nothing
// and gives the reason: "address" or "rate".
func (t *Clients) Enter(a netip.Addr, open, rate int, now time.Time) (reason string) {
	if t.m == nil {
		t.m = map[netip.Addr]*client{}
	}
	key := clientKey(a)
	c := t.m[key]
	if c == nil {
		if len(t.m) >= maxClients {
			t.sweep(now)
		}
		c = &client{since: now}
		t.m[key] = c
	}
	if now.Sub(c.since) >= time.Minute {
		c.since, c.count = now, 0
	}
	switch {
	case c.open >= open:
		return "address"
	case rate > 0 && c.count >= rate:
		return "rate"
	}
	c.open++
	c.count++
	return ""
}

// Leave takes back an Enter with the same rate. A client without connections is
// remembered only where its rate counts.
func (t *Clients) Leave(a netip.Addr, rate int) {
	key := clientKey(a)
	if c := t.m[key]; c != nil {
		if c.open--; c.open <= 0 && rate <= 0 {
			delete(t.m, key)
		}
	}
}

// sweep forgets clients without connections: those whose minute is over, and
// if that is not enough all of them, since memory is worth more than a rate.
func (t *Clients) sweep(now time.Time) {
	for _, age := range []time.Duration{time.Minute, 0} {
		for key, c := range t.m {
			if c.open <= 0 && now.Sub(c.since) >= age {
				delete(t.m, key)
			}
		}
		if len(t.m) < maxClients/2 {
			return
		}
	}
}

// Contains reports that one of in contains a, an IPv4 address in IPv6 clothes
// included.
func Contains(in []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap()
	return slices.ContainsFunc(in, func(p netip.Prefix) bool { return p.Contains(a) })
}

// AddrPort is the address of a TCP peer, or the zero value.
func AddrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}
