package route

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// table is one configuration, arranged for fast answers, with the routes that
// follow from it. All but routes is fixed once it is made.
type table struct {
	rules   []Rule
	plans   []plan               // by rule
	exact   map[smtp.Domain]int  // rule by domain
	below   map[smtp.Domain]int  // rule by what follows its "*."
	all     int                  // rule "*", or len(rules)
	local   map[smtp.Domain]bool // domains with mailboxes here
	here    plan                 // for them
	returns smtp.Domain          // not local; "" for none
	back    plan                 // for it
	own     map[netip.Addr]bool  // our addresses
	names   map[string]bool      // our names, in lower case, without final dot
	port    uint16
	private bool
	source  mail.Source
	routes  *routes
}

// plan is what the configuration says about a domain.
type plan struct {
	needsDNS bool
	literal  bool       // the domain is an address literal
	route    mail.Route // Kind, TLS and so on; all of it but Domain where no DNS is needed
}

// smtpPort is where mail exchangers listen (RFC 5321 section 4.5.4.2).
const smtpPort = 25

func newTable(cfg Config) *table {
	t := &table{
		rules:   cfg.Rules,
		exact:   map[smtp.Domain]int{},
		below:   map[smtp.Domain]int{},
		all:     len(cfg.Rules),
		local:   map[smtp.Domain]bool{},
		own:     map[netip.Addr]bool{},
		names:   map[string]bool{},
		port:    cmp.Or(cfg.Port, smtpPort),
		private: cfg.PrivateDestinations,
		source:  cfg.Source,
		routes:  newRoutes(maxRoutes),
	}
	t.source.Name = cmp.Or(t.source.Name, "default")
	t.here = t.planOf(Rule{Kind: mail.Local})
	t.returns, t.back = cfg.Returns, t.here
	t.back.route.Lane = t.lane("(returns)", t.back.route)
	for _, d := range cfg.Local {
		t.local[d] = true
	}
	for _, a := range cfg.Own {
		t.own[a.Unmap()] = true
	}
	for _, name := range append(slices.Clone(cfg.OwnNames), cfg.Hostname, cfg.Source.EHLO) {
		if name = strings.ToLower(strings.TrimSuffix(name, ".")); name != "" {
			t.names[name] = true
		}
	}
	for i, r := range cfg.Rules {
		t.plans = append(t.plans, t.planOf(r))
		name := smtp.Domain(strings.ToLower(strings.TrimSuffix(r.Domain, ".")))
		suffix, wild := strings.CutPrefix(string(name), "*.")
		switch {
		case name == "*":
			t.all = min(t.all, i)
		case wild:
			keepFirst(t.below, smtp.Domain(suffix), i)
		default:
			keepFirst(t.exact, name, i)
		}
	}
	return t
}

func keepFirst(m map[smtp.Domain]int, d smtp.Domain, i int) {
	if _, taken := m[d]; !taken {
		m[d] = i
	}
}

func (t *table) planOf(r Rule) plan {
	p := plan{route: mail.Route{Kind: r.Kind, LMTP: r.LMTP, TLS: r.TLS, Auth: r.Auth, Certificate: r.Certificate, Source: t.source}}
	switch r.Kind {
	case mail.ByMX:
		p.needsDNS = true
	case mail.ByHost:
		p.route.Hosts = slices.Clone(r.Hosts)
		p.route.Secure = true // the operator said so
		for i := range p.route.Hosts {
			h := &p.route.Hosts[i]
			h.Port = cmp.Or(h.Port, smtpPort)
			if a, ok := literalName(h.Name); ok && !h.Addr.IsValid() {
				h.Addr = a
			}
		}
		sortHosts(p.route.Hosts)
		p.route.Lane = t.lane(hostSite(p.route.Hosts), p.route)
	case mail.Local:
		p.route.Lane = t.lane("(local)", p.route)
	case mail.Discard:
		p.route.Lane = t.lane("(discard)", p.route)
	}
	return p
}

// plan finds what the configuration says about d: the place of mail about our mail,
// else the first rule that matches,
// else Local, else the domain's own address or MX. The rule "*" comes after
// Local, so that a smarthost for the world does not take the mail of mailboxes
// that are here.
func (t *table) plan(d smtp.Domain) plan {
	if d == t.returns && d != "" { // whatever the rules say: nobody else can read it
		return t.back
	}
	i := t.rule(d)
	switch {
	case i < t.all:
		return t.plans[i]
	case d == "" || t.local[d]: // without a domain: <postmaster>, ours (RFC 5321 section 4.5.1)
		return t.here
	case i < len(t.rules):
		return t.plans[i]
	case d.IsLiteral():
		return plan{literal: true, route: mail.Route{Kind: mail.ByMX, Source: t.source}}
	}
	return plan{needsDNS: true, route: mail.Route{Kind: mail.ByMX, Source: t.source}}
}

// rule gives the first rule that matches d, len(t.rules) for none.
func (t *table) rule(d smtp.Domain) int {
	first := t.all
	if len(t.exact) > 0 {
		if i, ok := t.exact[d]; ok {
			first = min(first, i)
		}
	}
	if len(t.below) == 0 || d.IsLiteral() {
		return first
	}
	for rest := d; ; {
		dot := strings.IndexByte(string(rest), '.')
		if dot < 0 {
			return first
		}
		rest = rest[dot+1:]
		if i, ok := t.below[rest]; ok {
			first = min(first, i)
		}
	}
}

// fixed is the route that needs no DNS.
func (t *table) fixed(d smtp.Domain, p plan) (mail.Route, *mail.Outcome) {
	if p.literal {
		return t.literalRoute(d)
	}
	if p.route.Kind == mail.ByHost && len(p.route.Hosts) == 0 {
		return mail.Route{Domain: d}, noHosts(d)
	}
	p.route.Domain = d
	return p.route, nil
}

// literalRoute is the route to an address literal (RFC 5321 section 4.1.3).
func (t *table) literalRoute(d smtp.Domain) (mail.Route, *mail.Outcome) {
	a, ok := d.Literal()
	none := mail.Route{Domain: d}
	switch a = a.Unmap(); {
	case !ok:
		return none, notAnAddress(d)
	case t.isOwn(a):
		return none, loops(d, "the address is ours")
	case !t.private && !isPublic(a):
		return none, privateAddress(d)
	}
	r := mail.Route{Kind: mail.ByMX, Domain: d, Source: t.source, Hosts: []mail.Host{{Name: literalText(a), Port: t.port, Addr: a}}}
	r.Lane = t.lane(mxSite(r.Hosts), r)
	return r, nil
}

func (t *table) isOwn(a netip.Addr) bool { return t.own[a.Unmap()] }

// isOwnName reports a name of ours, as it stands in the DNS.
func (t *table) isOwnName(host string) bool { return t.names[host] }

// allOwn reports that every address is ours.
func (t *table) allOwn(addrs []netip.Addr) bool {
	return len(addrs) > 0 && !slices.ContainsFunc(addrs, func(a netip.Addr) bool { return !t.isOwn(a) })
}
