package route

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"tenma/dnscache"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// Adviser knows where mail goes. Its methods may be called from any goroutine.
type Adviser struct {
	dns      Resolver
	policies Policies // nil: no domain has any
	table    atomic.Pointer[table]
}

// New builds an Adviser. policies may be nil: then no domain has one.
func New(cfg Config, dns Resolver, policies Policies) *Adviser {
	a := &Adviser{dns: dns, policies: policies}
	a.Apply(cfg)
	return a
}

// Apply changes the configuration; routes that follow from the old one are
// forgotten.
func (a *Adviser) Apply(cfg Config) { a.table.Store(newTable(cfg)) }

// Route answers where mail of domain d goes. A non-nil Outcome says why it goes
// nowhere: Failed if the DNS or the configuration says so, Deferred if the DNS
// does not answer, untried if ctx was cancelled first. Route waits for the DNS as long
// as ctx lets it. The Hosts of a Route are shared and not to be changed.
func (a *Adviser) Route(ctx context.Context, d smtp.Domain, e *mail.Envelope) (mail.Route, *mail.Outcome) {
	t := a.table.Load()
	now := time.Now()
	if r, o, ok := t.cached(d, now); ok {
		return r, o
	}
	p := t.plan(d)
	v := t.resolve(ctx, a.dns, d, p, nil)
	if v.outcome == nil {
		a.policy(ctx, d, p, &v)
	}
	if v.outcome == nil {
		t.routes.put(d, v.route, nil, now.Add(share(v.ttl)))
		return v.route, nil
	}
	o := *v.outcome // the caller's own: it adds to it
	if errors.Is(ctx.Err(), context.Canceled) {
		o.Untried = true // our haste, not the domain's fault
	} else {
		t.routes.put(d, v.route, v.outcome, now.Add(share(v.ttl)))
	}
	return v.route, &o
}

// policy adds what the domain says by MTA-STS, unless the configuration names
// the hosts or wants no TLS. The lane stays what it is.
func (a *Adviser) policy(ctx context.Context, d smtp.Domain, p plan, v *verdict) {
	if a.policies == nil || !p.needsDNS || v.route.TLS == mail.TLSNone {
		return
	}
	sts, holds := a.policies.Policy(ctx, d)
	v.route.STS, v.ttl = sts, min(v.ttl, holds)
	if err := ctx.Err(); err != nil && sts == nil {
		v.outcome = noAnswer(d, err) // perhaps there is one: others must not take this for the route
	}
}

// Cached is Route without waiting: ok is false where the DNS would have to be
// asked. It takes a few hundred nanoseconds and allocates for an Outcome only.
func (a *Adviser) Cached(d smtp.Domain, e *mail.Envelope) (r mail.Route, o *mail.Outcome, ok bool) {
	return a.table.Load().cached(d, time.Now())
}

// cached answers from the routes in memory and from what needs no DNS.
func (t *table) cached(d smtp.Domain, now time.Time) (mail.Route, *mail.Outcome, bool) {
	if k := t.routes.find(d, now); k != nil {
		if k.outcome != nil {
			o := *k.outcome // the caller adds to it
			return k.route, &o, true
		}
		return k.route, nil, true
	}
	p := t.plan(d)
	if p.needsDNS {
		return mail.Route{}, nil, false
	}
	r, o := t.fixed(d, p)
	return r, o, true
}

// minLife is the least time that a route is kept.
const minLife = 5 * time.Second

// share is how long a route is kept of the time that its records have left: a
// quarter. So the DNS cache sees that a busy domain's records are in use, asks
// for them again before they end, and nobody ever waits for them.
func share(left time.Duration) time.Duration {
	return min(max(left/4, minLife), left)
}

// verdict is what the DNS came to, and how long that holds.
type verdict struct {
	route   mail.Route
	outcome *mail.Outcome
	ttl     time.Duration
}

// resolve finds the route of a domain by its MX records (RFC 5321 section 5.1),
// and notes in x, which may be nil, what it saw.
func (t *table) resolve(ctx context.Context, dns Resolver, d smtp.Domain, p plan, x *Explanation) verdict {
	if !p.needsDNS {
		r, o := t.fixed(d, p)
		return verdict{r, o, 0}
	}
	mx, err := dns.LookupMX(ctx, string(d))
	x.asked(mx, err)
	switch {
	case err == nil:
		hosts, o := t.exchangers(d, mx.Records, x)
		return t.verdict(d, p, hosts, o, mx.TTL, mx.Secure)
	case errors.Is(err, dnscache.ErrNoData):
		x.implicit()
		hosts, o, ttl := t.implicit(ctx, dns, d)
		return t.verdict(d, p, hosts, o, min(ttl, mx.TTL), mx.Secure)
	case errors.Is(err, dnscache.ErrNotFound):
		return t.verdict(d, p, nil, noSuchDomain(d, err), mx.TTL, false)
	}
	// Anything else says nothing about the domain. The address record is no
	// way out: a host that bears the domain's name need not take its mail.
	return t.verdict(d, p, nil, noAnswer(d, err), mx.TTL, false)
}

func (t *table) verdict(d smtp.Domain, p plan, hosts []mail.Host, o *mail.Outcome, ttl time.Duration, secure bool) verdict {
	if o != nil {
		return verdict{mail.Route{Domain: d}, o, ttl}
	}
	r := p.route
	r.Kind, r.Domain, r.Hosts, r.Secure = mail.ByMX, d, hosts, secure
	r.Lane = t.lane(mxSite(hosts), r)
	return verdict{r, nil, ttl}
}

// implicit is the route to a domain that exists and has no MX record: the
// domain itself is the host (RFC 5321 section 5.1), if it has an address.
func (t *table) implicit(ctx context.Context, dns Resolver, d smtp.Domain) ([]mail.Host, *mail.Outcome, time.Duration) {
	found, err := dns.LookupAddrs(ctx, string(d))
	switch {
	case err == nil:
	case errors.Is(err, dnscache.ErrNoData), errors.Is(err, dnscache.ErrNotFound):
		return nil, neitherMXNorAddress(d, err), found.TTL
	default:
		return nil, noAnswer(d, err), found.TTL
	}
	if t.isOwnName(string(d)) || t.allOwn(found.Records) {
		return nil, loops(d, "it has no MX and its address is ours"), found.TTL
	}
	return []mail.Host{{Name: string(d), Port: t.port}}, nil, found.TTL
}

// exchangers makes hosts of MX records, lowest preference first, or says why
// none can be used.
func (t *table) exchangers(d smtp.Domain, records []dnscache.MX, x *Explanation) ([]mail.Host, *mail.Outcome) {
	if len(records) == 1 && records[0].Host == "" {
		x.drop(records[0], "null MX: the domain takes no mail (RFC 7505)")
		return nil, takesNoMail(d)
	}
	hosts := make([]mail.Host, 0, len(records))
	var refused []string
	for _, mx := range records {
		h := mail.Host{Name: mx.Host, Port: t.port, Pref: mx.Pref}
		h.Addr, _ = literalName(mx.Host)
		switch {
		case t.isOwnName(h.Name) || h.Addr.IsValid() && t.isOwn(h.Addr):
			hosts = append(hosts, h)
		case h.Name == "": // a null MX beside others is void (RFC 7505 section 3)
			x.drop(mx, "a null MX beside others is void (RFC 7505 section 3)")
		case !t.private && (h.Addr.IsValid() || isLocalName(h.Name)):
			x.drop(mx, "an address, or this machine's own name, is no public host; delivery.private_destinations would allow it")
			refused = append(refused, h.Name)
		default:
			hosts = append(hosts, h)
		}
	}
	sortHosts(hosts)
	kept, cut := t.beforeUs(hosts)
	x.kept(t, hosts, len(kept))
	switch {
	case len(kept) > 0:
		return kept, nil
	case cut:
		return nil, loops(d, "its best mail exchanger is this relay")
	}
	return nil, unusable(d, "MX names that are no public host: "+strings.Join(refused, ", "))
}

// beforeUs drops, where we are among the hosts, ourselves and all of the same
// or a worse preference: they are further from the mailbox than we are, and
// would send the mail back (RFC 5321 section 5.1).
func (t *table) beforeUs(hosts []mail.Host) (kept []mail.Host, cut bool) {
	for _, us := range hosts {
		if !t.isOwnName(us.Name) && !(us.Addr.IsValid() && t.isOwn(us.Addr)) {
			continue
		}
		for i, h := range hosts {
			if h.Pref >= us.Pref {
				return hosts[:i:i], true
			}
		}
	}
	return hosts, false
}
