package relay

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tenma/dnscache"
	"tenma/relay/admin"
	"tenma/relay/delivery/dial"
	"tenma/relay/mail"
)

// outbound gives the public addresses from which connections of a source go out:
// those that it is bound to, else those that the system would choose, as far as
// this host knows them. Behind a router that translates addresses it knows none.
func outbound(s mail.Source) []netip.Addr {
	if s.IPv4.IsValid() || s.IPv6.IsValid() {
		return slices.DeleteFunc([]netip.Addr{s.IPv4, s.IPv6}, func(a netip.Addr) bool { return !dial.Public(a) })
	}
	var found []netip.Addr
	// Connecting a UDP socket sends nothing, but has the kernel choose the way.
	for _, to := range []string{"192.0.2.1:9", "[2001:db8::1]:9"} {
		c, err := net.Dial("udp", to)
		if err != nil {
			continue // no way out by this family
		}
		if local, ok := c.LocalAddr().(*net.UDPAddr); ok {
			if a := local.AddrPort().Addr().Unmap(); dial.Public(a) {
				found = append(found, a)
			}
		}
		_ = c.Close() // nothing was sent
	}
	return found
}

// Addresses gives the public addresses that mail of a source goes out from, as far
// as this host knows them: behind a router that translates addresses it knows none.
func Addresses(s mail.Source) []netip.Addr { return outbound(s) }

// reversed tells what the DNS says of the addresses of a source. Receivers look
// for a name of the address that leads back to it; without one many refuse mail
// or take it for junk.
func reversed(ctx context.Context, dns *dnscache.Cache, addresses func(mail.Source) []netip.Addr, s mail.Source) []admin.ReversedPTR {
	if addresses == nil {
		return nil
	}
	var all []admin.ReversedPTR
	for _, a := range addresses(s) {
		all = append(all, reversedOne(ctx, dns, a, s.EHLO))
	}
	return all
}

func reversedOne(ctx context.Context, dns *dnscache.Cache, a netip.Addr, ehlo string) admin.ReversedPTR {
	p := admin.ReversedPTR{Address: a.String(), Names: []string{}}
	answer, err := dns.LookupPTR(ctx, a)
	switch {
	case err != nil && !isNone(err):
		p.Note = "the DNS does not answer for it: " + err.Error()
		return p
	case len(answer.Records) == 0:
		p.Note = "it has no PTR record: many receivers refuse mail from such addresses; ask whoever gave you the address for one that names " + ehlo
		return p
	}
	p.Names = append(p.Names, answer.Records...)
	leadsBack := func(name string) bool {
		found, err := dns.LookupAddrs(ctx, name)
		return err == nil && slices.ContainsFunc(found.Records, func(b netip.Addr) bool { return b.Unmap() == a })
	}
	p.OK = slices.ContainsFunc(p.Names, leadsBack)
	switch {
	case !p.OK:
		p.Note = "its name does not lead back to it: add an address record " + a.String() + " to " + p.Names[0]
	case !leadsBack(ehlo):
		p.Note = "the EHLO name " + ehlo + " does not lead to it: add an address record there (RFC 5321 section 4.1.4)"
	case !slices.ContainsFunc(p.Names, func(n string) bool { return strings.EqualFold(n, ehlo) }):
		p.Note = "its name is not the EHLO name " + ehlo + ", which careful receivers count against it"
	}
	return p
}

// checkSources warns once, after the start, of what receivers will hold against
// the addresses that mail goes out from.
func (r *Relay) checkSources(ctx context.Context) error {
	r.mu.Lock()
	s := r.config.Route.Source
	r.mu.Unlock()
	asking, cancel := context.WithTimeout(ctx, time.Minute)
	for _, p := range reversed(asking, r.dns, r.outbound, s) {
		switch {
		case ctx.Err() != nil:
		case p.Note != "":
			r.log.Warn("an address that mail goes out from is not as receivers want it", "source", s.Name, "address", p.Address, "names", strings.Join(p.Names, " "), "note", p.Note)
		default:
			r.log.Info("an address that mail goes out from has its name", "source", s.Name, "address", p.Address, "name", strings.Join(p.Names, " "))
		}
	}
	cancel()
	<-ctx.Done()
	return nil
}
