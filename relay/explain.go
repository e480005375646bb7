package relay

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tenma/dnscache"
	"tenma/metrics"
	"tenma/relay/admin"
	"tenma/relay/config"
	"tenma/relay/delivery"
	"tenma/relay/delivery/dial"
	"tenma/relay/mail"
	"tenma/relay/policy/hosttls"
	"tenma/relay/policy/route"
	"tenma/relay/wire/smtp"
)

// explainer tells how mail for a domain would go. It asks the adviser that
// routes mail, and looks hosts up as delivery does, but connects to nobody.
type explainer struct {
	config   *config.Config // complete
	dns      *dnscache.Cache
	router   *route.Adviser
	outbound func(mail.Source) []netip.Addr               // where connections come from
	guard    delivery.Guard                               // nil: the route's demand is all
	lane     func(context.Context, mail.Lane) *admin.Lane // nil: no relay runs
}

// Explain tells how a relay with configuration c would send mail for target, a
// domain or an address, without running one; mail of a tenant where that is not "".
// Its error says that they are none, or that the DNS part of c is unusable.
func Explain(ctx context.Context, c *config.Config, target, tenant string) (admin.Explanation, error) {
	c = complete(c)
	dns, err := dnscache.New(c.DNS, dnscache.Deps{})
	if err != nil {
		return admin.Explanation{}, fmt.Errorf("dns: %w", err)
	}
	safety := hosttls.New(c.HostTLS, hosttls.Deps{Resolver: dns, Public: dial.Public, Metrics: metrics.New(prometheus.NewRegistry()).HostTLS})
	x := explainer{config: c, dns: dns, router: route.New(c.Route, dns, safety), guard: safety, outbound: outbound}
	return x.explain(ctx, target, tenant)
}

// Explain tells how mail for target, a domain or an address, would go now; mail of a
// tenant where that is not "". Its error says that they are none.
func (r *Relay) Explain(ctx context.Context, target, tenant string) (admin.Explanation, error) {
	r.mu.Lock()
	c := r.config
	r.mu.Unlock()
	x := explainer{config: c, dns: r.dns, router: r.router, guard: r.hosttls, outbound: r.outbound, lane: r.lane}
	return x.explain(ctx, target, tenant)
}

// lane gives a lane as it is now, nil if nothing is in it.
func (r *Relay) lane(ctx context.Context, name mail.Lane) *admin.Lane {
	s, err := r.queue.Summary(ctx)
	if err != nil { // the relay is stopping
		return nil
	}
	for _, l := range s.Lanes {
		if l.Lane == name {
			found := admin.LaneOf(l)
			return &found
		}
	}
	return nil
}

// account is an Explanation in the making.
type account struct {
	admin.Explanation
	to    smtp.Address // zero Local: a domain was asked for
	route route.Explanation
}

// tell adds a step.
func (a *account) tell(step, found, why string) {
	a.Steps = append(a.Steps, admin.ExplainedStep{Step: step, Found: found, Why: why})
}

func (x *explainer) explain(ctx context.Context, target, tenant string) (admin.Explanation, error) {
	a := &account{Explanation: admin.Explanation{
		Target: target, Live: x.lane != nil,
		MX: []admin.ExplainedMX{}, Hosts: []admin.ExplainedHost{}, Limits: []admin.ExplainedLimit{}, Retry: []string{}, Steps: []admin.ExplainedStep{},
	}}
	if err := a.read(target); err != nil {
		return a.Explanation, err
	}
	if err := x.tellTenant(a, tenant); err != nil {
		return a.Explanation, err
	}
	a.route = x.router.Explain(ctx, a.to.Domain)
	a.Fate = "deliver"
	a.tellRoute()
	a.tellMX()
	if o := a.route.Outcome; o != nil {
		a.refuse(o)
		x.tellRetry(a)
		return a.Explanation, nil
	}
	a.tellKind()
	if a.Fate == "deliver" {
		x.tellHosts(ctx, a)
	}
	if a.Fate == "deliver" || a.Fate == "defer" {
		x.tellTLS(a)
		x.tellSource(ctx, a)
		if tenant == "" {
			x.tellSigned(a)
		}
		x.tellLimits(a)
	}
	x.tellRetry(a)
	if x.lane != nil && a.Fate != "discard" {
		x.tellQueue(ctx, a)
	}
	return a.Explanation, nil
}

// read makes out what was asked for.
func (a *account) read(target string) (err error) {
	bare := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(target), "<"), ">")
	if strings.Contains(bare, "@") || strings.EqualFold(bare, "postmaster") {
		a.to, err = smtp.ParseMailbox(bare)
	} else {
		a.to.Domain, err = smtp.ParseDomain(bare)
	}
	if err != nil {
		return fmt.Errorf("%q is neither a domain nor an address", target)
	}
	a.Domain = string(a.to.Domain)
	written := bare[strings.LastIndexByte(bare, '@')+1:]
	if a.Domain != "" && !strings.EqualFold(strings.TrimSuffix(written, "."), a.Domain) {
		a.tell("domain", written+" is "+a.Domain+" in the DNS", "names beyond ASCII are looked up by their A-labels (RFC 5891)")
	}
	if a.to.NeedsUTF8() {
		a.tell("address", "needs SMTPUTF8 of the next hop", "its local part is beyond ASCII: only hosts that offer the extension get the message; where none does it fails with 5.6.7 (RFC 6531)")
	}
	return nil
}

// refuse tells of mail that goes nowhere.
func (a *account) refuse(o *mail.Outcome) {
	a.Fate = "fail"
	if o.Fate() == mail.Deferred {
		a.Fate = "defer"
	}
	a.Reply = o.Reply.String()
	why := a.consequence()
	if o.Detail != "" {
		why += "; " + o.Detail
	}
	a.tell(a.Fate, a.Reply, why)
}

// consequence tells what follows from the fate.
func (a *account) consequence() string {
	if a.Fate == "defer" {
		return "it is tried again"
	}
	return "its sender is told at once"
}

// tellRoute tells what the configuration says of the domain.
func (a *account) tellRoute() {
	r := &a.route
	switch {
	case r.Returns:
		a.tell("route", "mail about our mail", "it is the domain of [returns]; no [[route]] has a say")
	case r.Rule > 0:
		a.tell("route", fmt.Sprintf("[[route]] %d, domain = %q", r.Rule, r.Pattern), "the first that matches decides")
	case r.Here:
		a.tell("route", "a mailbox here", "[[domain]] has it; a mailbox's own domain stands before a route for \"*\"")
	case r.Literal:
		a.tell("route", "the address itself", "it is an address literal (RFC 5321 section 4.1.3): no MX record is asked for")
	default:
		a.tell("route", "by the domain's MX records", "no [[route]] matches, and its mailboxes are not here")
	}
}

// tellMX tells what the DNS said.
func (a *account) tellMX() {
	r := &a.route
	if !r.Asked {
		return
	}
	if r.Canonical != "" {
		a.tell("mx", a.Domain+" is an alias of "+r.Canonical, "a CNAME is followed; the address stays as it is written (RFC 5321 section 5.1)")
	}
	switch {
	case r.Implicit:
		a.tell("mx", "none: the domain is its own mail exchanger", "it exists and has no MX record, so that its address records count (RFC 5321 section 5.1)")
	case errors.Is(r.Err, dnscache.ErrNotFound):
		a.tell("mx", "the domain does not exist", "NXDOMAIN is certain, unlike SERVFAIL or silence, after which mail waits")
	case r.Err != nil && !isNone(r.Err):
		a.tell("mx", "no answer; the DNS is asked again after "+short(r.TTL.Round(time.Second)), "a failed question never falls back to the address: a host that bears the domain's name need not take its mail")
		return
	}
	for _, m := range r.Records {
		a.MX = append(a.MX, admin.ExplainedMX{Preference: int(m.Pref), Host: m.Host, Used: m.Used, Why: m.Why})
		host, why := m.Host, m.Why
		if host == "" {
			host = "."
		}
		if m.Used {
			why = "used"
		}
		a.tell("mx", fmt.Sprintf("%d %s", m.Pref, host), why)
	}
	a.TTL, a.Secure = seconds(r.TTL), r.Secure
	signed := "not validated (DNSSEC), or by a resolver that is not believed"
	if r.Secure {
		signed = "validated (DNSSEC)"
	}
	a.tell("mx", "answer kept for "+short(r.TTL.Round(time.Second)), signed)
}

// tellKind tells where the mail goes, in one word, and the lane.
func (a *account) tellKind() {
	r := &a.route.Route
	a.Lane = string(r.Lane)
	switch r.Kind {
	case mail.Local:
		a.Kind, a.Fate = "local", "local"
		why := "it is put into the mailbox; no connection is made"
		if a.route.Returns {
			why = "it is read, and traced to the message that it is about; no connection is made"
		}
		a.tell("lane", a.Lane, why)
		return
	case mail.Discard:
		a.Kind, a.Fate = "discard", "discard"
		a.tell("lane", a.Lane, `it is taken and dropped: the route's to is "discard"`)
		return
	case mail.ByHost:
		a.Kind = "host"
	default:
		a.Kind = "mx"
	}
	a.tell("lane", a.Lane, "all mail in it shares connections and limits; domains with the same set of hosts have one lane")
}

func seconds(d time.Duration) int64 { return int64(d.Round(time.Second) / time.Second) }

// short writes a duration without the units that are zero: 5m, not 5m0s.
func short(d time.Duration) string {
	s := d.String()
	if rest, ok := strings.CutSuffix(s, "m0s"); ok {
		s = rest + "m"
	}
	if rest, ok := strings.CutSuffix(s, "h0m"); ok {
		s = rest + "h"
	}
	return s
}
