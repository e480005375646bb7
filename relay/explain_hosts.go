package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"tenma/dnscache"
	"tenma/relay/admin"
	"tenma/relay/delivery/dial"
	"tenma/relay/delivery/handshake"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// lookup is what the DNS says of the addresses of a host.
type lookup struct {
	answer dnscache.Answer[netip.Addr]
	err    error
}

// lookUp asks for all hosts at a time, since one that is silent takes seconds.
func (x *explainer) lookUp(ctx context.Context, hosts []mail.Host) []lookup {
	all := make([]lookup, len(hosts))
	var wg sync.WaitGroup
	for i, h := range hosts {
		if a, err := netip.ParseAddr(strings.Trim(h.Name, "[]")); !h.Addr.IsValid() && err == nil {
			h.Addr = a
		}
		if h.Addr.IsValid() {
			all[i].answer.Records = []netip.Addr{h.Addr}
			continue
		}
		wg.Go(func() { all[i].answer, all[i].err = x.dns.LookupAddrs(ctx, h.Name) })
	}
	wg.Wait()
	return all
}

// tellHosts tells of the hosts in the order in which they would be tried, and
// what would become of the mail if none can be.
func (x *explainer) tellHosts(ctx context.Context, a *account) {
	hosts := a.route.Route.Hosts
	found := x.lookUp(ctx, hosts)
	usable, loop := false, false
	later, never := "", "" // why it waits or fails
	for i := 0; i < len(hosts); {
		level := dial.Level(hosts[i:])
		loop = loop || x.ourselves(a, found[i:i+level])
		for range level {
			h := x.host(a, hosts[i], found[i], loop)
			refusal := x.demand(ctx, a, &hosts[i], &h)
			switch {
			case loop:
			case refusal != nil && refusal.Temporary():
				later = refusal.String()
			case refusal != nil:
				never = refusal.String()
			case found[i].err != nil && !isNone(found[i].err):
				later = "451 4.4.3 address of " + h.Name + " could not be looked up"
			case found[i].err == nil && len(x.sorted(a, found[i].answer)) == 0:
				later = "451 4.4.4 host " + h.Name + " has no address that can be reached from here"
			}
			usable = usable || h.Used
			a.Hosts = append(a.Hosts, h)
			tellHost(a, &h, level > 1)
			i++
		}
	}
	switch {
	case usable:
		return
	case later != "":
		a.Fate, a.Reply = "defer", later
	case loop:
		a.Fate, a.Reply = "fail", "554 5.4.6 mail for this domain loops back to myself"
	case never != "":
		a.Fate, a.Reply = "fail", never
	default:
		a.Fate, a.Reply = "fail", "550 5.4.4 no host takes mail for this domain"
	}
	a.tell(a.Fate, a.Reply, "no host can be used; "+a.consequence())
}

// sorted gives the addresses of a host that are of a family in use, in the order
// in which they are tried.
func (x *explainer) sorted(a *account, answer dnscache.Answer[netip.Addr]) []netip.Addr {
	return dial.Sorted(answer.Records, x.config.Delivery.Families, &a.route.Route.Source)
}

func isNone(err error) bool {
	return errors.Is(err, dnscache.ErrNotFound) || errors.Is(err, dnscache.ErrNoData)
}

// ourselves is delivery's rule: where a host of a level has our address, the
// level and all behind it are left out (RFC 5321 section 5.1).
func (x *explainer) ourselves(a *account, level []lookup) bool {
	return a.route.Route.Kind == mail.ByMX && slices.ContainsFunc(level, func(l lookup) bool {
		return slices.ContainsFunc(l.answer.Records, x.isOwn)
	})
}

func (x *explainer) isOwn(a netip.Addr) bool {
	return slices.Contains(x.config.Delivery.Own, a.Unmap())
}

// host tells what would be tried at one host.
func (x *explainer) host(a *account, h mail.Host, found lookup, loop bool) admin.ExplainedHost {
	r, answer, err := &a.route.Route, found.answer, found.err
	e := admin.ExplainedHost{Name: h.Name, Port: int(h.Port), Preference: int(h.Pref), TTL: seconds(answer.TTL), Addresses: []admin.ExplainedAddress{}}
	if e.Name == "" {
		e.Name = h.Addr.String()
	}
	switch {
	case err != nil && isNone(err):
		e.Why = "the host does not exist, or has no address"
		return e
	case err != nil:
		e.Why = "the DNS does not answer: " + err.Error()
		return e
	case loop:
		e.Why = "this relay is among the hosts of this preference or a better one, by its address"
	}
	var not []admin.ExplainedAddress
	sorted := x.sorted(a, answer)
	for _, addr := range sorted {
		one := admin.ExplainedAddress{Address: addr.String()}
		switch {
		case r.Kind == mail.ByMX && x.isOwn(addr):
			one.Why = "our own"
		case r.Kind == mail.ByMX && !x.config.Delivery.PrivateDestinations && !dial.Public(addr):
			one.Why = "not public; delivery.private_destinations would allow it"
		case !loop:
			one.Used, e.Used = true, true
			e.Addresses = append(e.Addresses, one)
			continue
		}
		not = append(not, one)
	}
	for _, addr := range answer.Records {
		if !slices.Contains(sorted, addr.Unmap()) {
			not = append(not, admin.ExplainedAddress{Address: addr.Unmap().String(), Why: "delivery.addresses, or the source, leaves its family out"})
		}
	}
	e.Addresses = append(e.Addresses, not...)
	if !e.Used && e.Why == "" {
		e.Why = "none of its addresses can be used"
	}
	return e
}

func tellHost(a *account, h *admin.ExplainedHost, equal bool) {
	var good []string
	for _, one := range h.Addresses {
		if one.Used {
			good = append(good, one.Address)
		}
	}
	name := net.JoinHostPort(h.Name, strconv.Itoa(h.Port))
	why := fmt.Sprintf("preference %d", h.Preference)
	if equal {
		why += ", in random order with its equals"
	}
	if len(good) > 1 {
		why += "; the addresses in turn, the next one when one fails or is silent for " + short(dial.Delay)
	}
	if h.Used {
		a.tell("host", name+" at "+strings.Join(good, ", "), why)
	} else {
		a.tell("host", name+" is not used", h.Why)
	}
	for _, one := range h.Addresses {
		if !one.Used && one.Why != "" {
			a.tell("host", one.Address+" of "+h.Name+" is not used", one.Why)
		}
	}
}

// demand tells what protection one host must show, for a message without a
// demand of its own; the reply says why the host may not be used.
func (x *explainer) demand(ctx context.Context, a *account, to *mail.Host, h *admin.ExplainedHost) *smtp.Reply {
	if x.guard == nil || !h.Used {
		return nil
	}
	s, err := x.guard.Demand(ctx, &a.route.Route, to, mail.WishNone)
	own := new(smtp.Error)
	switch {
	case err == nil:
		h.TLS = handshake.PolicyName(&s)
		return nil
	case !errors.As(err, &own):
		own = smtp.Errorf(451, smtp.Status{4, 7, 0}, "how safe the host must be cannot be told")
	}
	h.Used, h.Why = false, err.Error()
	for i := range h.Addresses {
		h.Addresses[i].Used = false
	}
	return &own.Reply
}

// tellTLS tells what protection the route demands, and single hosts besides.
func (x *explainer) tellTLS(a *account) {
	r := &a.route.Route
	words := map[mail.TLSDemand][2]string{
		mail.TLSOpportunistic: {"opportunistic", "STARTTLS where it is offered, with any certificate; plaintext where it is not, or breaks (RFC 7435)"},
		mail.TLSNone:          {"none", "never STARTTLS: the route says so"},
		mail.TLSRequired:      {"required", "STARTTLS or nothing, with any certificate: the route says so"},
		mail.TLSVerified:      {"verified", "STARTTLS or nothing, with a certificate that names the host: the route says so"},
		mail.TLSDANE:          {"dane", "STARTTLS or nothing, with a certificate that the host's TLSA records name: the route says so"},
		mail.TLSImplicit:      {"implicit", "TLS from the first octet, with a certificate that names the host: the route's to is smtps"},
	}[r.TLS]
	a.TLS = words[0]
	a.tell("tls", words[0], words[1])
	for _, h := range a.Hosts {
		if h.TLS != "" && h.TLS != words[0] {
			a.tell("tls", h.Name+": "+h.TLS, "its TLSA records (RFC 7672), or else the domain's MTA-STS policy (RFC 8461), say more than the route")
		}
	}
	if r.Auth != nil {
		a.tell("login", "AUTH as "+r.Auth.User, "the route has a user; the password goes over verified TLS only, or to loopback")
	}
}
