// Package tenants reads the [[tenant]] tables of a configuration: names, the
// domains that each may send as, and the accounts that are each one's. What is
// legal but likely a slip (a domain of two tenants, a tenant whose mail no key
// would sign) is a warning.
package tenants

import (
	"slices"
	"strings"

	"tenma/relay/config/document"
	"tenma/relay/policy/tenant"
	"tenma/relay/wire/smtp"
)

// Context is what the tables are judged by besides themselves.
type Context struct {
	Keys    []smtp.Domain // that have a [[dkim]]
	Returns bool          // there is a domain for signed return paths
	Links   bool          // there is an address for links to unsubscribe
	Trusted bool          // some listener has trust_tenant_header
}

// Read reads every [[tenant]] of the document.
func Read(root *document.Section, c Context) tenant.Config {
	r := reader{context: c, names: map[string]int{}, accounts: map[string]owner{}, domains: map[smtp.Domain]owner{}}
	root.Each("tenant", r.one)
	for _, d := range r.order {
		r.overlap(root, d)
	}
	return r.config
}

// owner is where something was given to a tenant.
type owner struct {
	tenant string
	at     document.Place
}

type reader struct {
	context  Context
	config   tenant.Config
	names    map[string]int // line by name
	accounts map[string]owner
	domains  map[smtp.Domain]owner // the first that has it
	order    []smtp.Domain         // of domains, as they stand in the file
}

func (r *reader) one(s *document.Section) {
	var t tenant.Tenant
	var at []document.Place // of its domains
	r.name(s, &t)
	s.Strings("domains", false, func(v *document.Value) {
		if d, ok := s.DomainOf("domains", v); ok && !slices.Contains(t.Domains, d) {
			t.Domains = append(t.Domains, d)
			at = append(at, v.At)
		}
	})
	for i, d := range t.Domains {
		r.domain(s, at[i], &t, d)
	}
	if len(t.Domains) == 0 && s.Values["domains"] == nil {
		s.Errorf(s.At, `[[tenant]] has no domains; write domains = ["shop.example"], the domains that it may send as`)
	}
	if v := s.Bool("verp", &t.VERP); t.VERP && !r.context.Returns {
		s.Errorf(v.At, "verp: signed return paths need the domain of [returns]")
	}
	r.fields(s, &t)
	s.Strings("accounts", false, func(v *document.Value) { r.account(s, v, &t) })
	if t.Name != "" && s.Values["accounts"] == nil && !r.context.Trusted {
		s.Warnf(s.At, "nothing is sent for tenant %s: it has no accounts, and no [[listen]] has trust_tenant_header", t.Name)
	}
	r.config.Tenants = append(r.config.Tenants, t)
}

// fields reads what is added to the header of a tenant's mail.
func (r *reader) fields(s *document.Section, t *tenant.Tenant) {
	v := s.Bool("unsubscribe", &t.Unsubscribe)
	if t.Unsubscribe && !r.context.Links {
		s.Errorf(v.At, "unsubscribe: links need the unsubscribe_url of [returns]")
	}
	if f := s.String("feedback_id", &t.FeedbackID); f != nil {
		if err := tenant.ParseFeedbackID(t.FeedbackID); err != nil {
			s.Errorf(f.At, "feedback_id: %v", err)
		}
	}
	if !t.Unsubscribe && t.FeedbackID == "" {
		return
	}
	for _, d := range t.Domains {
		if !r.signed(t, d) {
			s.Warnf(s.At, "mail of tenant %s from %s goes unsigned, and mailbox providers look at List-Unsubscribe and Feedback-ID in signed mail alone; give it a [[dkim]]", t.Name, d)
		}
	}
}

// signed reports that some key signs as d for the tenant.
func (r *reader) signed(t *tenant.Tenant, d smtp.Domain) bool {
	for key, ok := d, true; ok; key, ok = above(key) {
		if slices.Contains(r.context.Keys, key) {
			return granted(t, key)
		}
	}
	return false
}

func granted(t *tenant.Tenant, d smtp.Domain) bool {
	return slices.ContainsFunc(t.Domains, func(g smtp.Domain) bool { return g == d || strings.HasSuffix(string(d), "."+string(g)) })
}

func (r *reader) name(s *document.Section, t *tenant.Tenant) {
	var text string
	v := s.String("name", &text)
	if v == nil {
		if s.Values["name"] == nil {
			s.Errorf(s.At, `[[tenant]] has no name; write name = "shop"`)
		}
		return
	}
	name, err := tenant.ParseName(text)
	switch {
	case err != nil:
		s.Errorf(v.At, "name %q cannot be a tenant's: %v", document.Clip(text), err)
	case r.names[name] > 0:
		s.Errorf(v.At, "tenant %s stands in line %d already", name, r.names[name])
	default:
		t.Name, r.names[name] = name, v.At.Line
	}
}

// account reads a login, or "@" and a domain for all of its logins.
func (r *reader) account(s *document.Section, v *document.Value, t *tenant.Tenant) {
	text := v.Text
	if whole, ok := strings.CutPrefix(text, "@"); ok {
		d, err := smtp.ParseDomain(whole)
		if err != nil || d.IsLiteral() {
			s.Errorf(v.At, "accounts: %q has no domain name behind its @", document.Clip(text))
			return
		}
		text = "@" + string(d)
	} else {
		a, ok := s.AddressOf("accounts", v)
		if !ok {
			return
		}
		text = strings.ToLower(a.String())
	}
	if had, taken := r.accounts[text]; taken {
		if had.tenant != t.Name && had.tenant != "" {
			s.Errorf(v.At, "account %s is tenant %s's already, by line %d", text, had.tenant, had.at.Line)
		}
		return
	}
	r.accounts[text] = owner{t.Name, v.At}
	t.Accounts = append(t.Accounts, text)
}

// domain warns of a domain that somebody has already, and of a key that would sign
// as one above it, if only that had been granted.
func (r *reader) domain(s *document.Section, at document.Place, t *tenant.Tenant, d smtp.Domain) {
	if had, taken := r.domains[d]; taken {
		s.Warnf(at, "both tenant %s and tenant %s may send as %s", had.tenant, t.Name, d)
	} else {
		r.domains[d] = owner{t.Name, at}
		r.order = append(r.order, d)
	}
	for key, ok := d, true; ok; key, ok = above(key) {
		if slices.Contains(r.context.Keys, key) {
			if !granted(t, key) {
				s.Warnf(at, "mail of tenant %s from %s goes unsigned: the key is %s's, which the tenant was not granted; give it a [[dkim]] of its own", t.Name, d, key)
			}
			return
		}
	}
}

// overlap warns of a domain that lies below another tenant's.
func (r *reader) overlap(s *document.Section, d smtp.Domain) {
	own := r.domains[d]
	for up, ok := above(d); ok; up, ok = above(up) {
		if had, taken := r.domains[up]; taken && had.tenant != own.tenant {
			s.Warnf(own.at, "tenant %s may send as %s too: it lies below its %s", had.tenant, d, up)
			return
		}
	}
}

func above(d smtp.Domain) (smtp.Domain, bool) {
	_, up, ok := strings.Cut(string(d), ".")
	return smtp.Domain(up), ok
}
