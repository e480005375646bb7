package tenant

import (
	"strings"
	"sync/atomic"

	"tenma/relay/wire/smtp"
)

// Adviser knows the tenants. It may be used from any goroutine.
type Adviser struct{ now atomic.Pointer[tables] }

// tables are a Config by what is asked. They are never changed.
type tables struct {
	byName    map[string]*Tenant
	granted   map[string]map[smtp.Domain]bool // by name
	byAccount map[string]string               // account, or "@domain" -> name
}

// New makes an Adviser.
func New(c Config) *Adviser {
	a := &Adviser{}
	a.Apply(c)
	return a
}

// Apply puts another configuration in force. Mail that was taken keeps its tenant,
// even one that is gone.
func (a *Adviser) Apply(c Config) {
	t := &tables{byName: map[string]*Tenant{}, granted: map[string]map[smtp.Domain]bool{}, byAccount: map[string]string{}}
	for _, one := range c.Tenants {
		t.byName[one.Name], t.granted[one.Name] = &one, map[smtp.Domain]bool{}
		for _, d := range one.Domains {
			t.granted[one.Name][d] = true
		}
		for _, account := range one.Accounts {
			t.byAccount[account] = one.Name
		}
	}
	a.now.Store(t)
}

// Get gives what was set for a tenant; false for a name that is none.
func (a *Adviser) Get(name string) (Tenant, bool) {
	t := a.now.Load().byName[name]
	if t == nil {
		return Tenant{}, false
	}
	return *t, true
}

// Of gives the tenant of an account, "" if it belongs to none. Where one tenant
// has the account and another all of its domain, it is the first one's.
func (a *Adviser) Of(account string) string { return a.now.Load().of(account) }

func (t *tables) of(account string) string {
	if account == "" || len(t.byAccount) == 0 {
		return ""
	}
	account = strings.ToLower(account)
	if name := t.byAccount[account]; name != "" {
		return name
	}
	if at := strings.LastIndexByte(account, '@'); at >= 0 {
		return t.byAccount[account[at:]]
	}
	return ""
}

// Whose gives the tenant of a message that account sends ("": nobody logged in),
// "" for nobody's. named is what its header fields say that may be believed, in
// any case.
//
// The error is a 550 with status 5.7.1 (RFC 3463 section 3.8): there are several
// fields, or it names no tenant, or another one than the account's own. Where there
// are no tenants at all nobody reads them. With an error comes the account's tenant.
func (a *Adviser) Whose(account string, named []string) (string, *smtp.Error) {
	t := a.now.Load()
	own := t.of(account)
	if len(named) == 0 || len(t.byName) == 0 {
		return own, nil
	}
	name := strings.ToLower(named[0])
	switch {
	case len(named) > 1:
		return own, smtp.Errorf(550, smtp.Status{5, 7, 1}, "%s: there must be one such field at most", Field)
	case t.byName[name] == nil:
		return own, smtp.Errorf(550, smtp.Status{5, 7, 1}, "%s: %+q is no tenant of this relay", Field, clip(named[0]))
	case own != "" && name != own:
		return own, smtp.Errorf(550, smtp.Status{5, 7, 1}, "%s may not send for tenant %s", account, name)
	}
	return name, nil
}

// Field is the header field that names the tenant of a message.
const Field = "X-Tenma-Tenant"

// clip keeps what a client wrote fit for a reply.
func clip(s string) string { return s[:min(len(s), MaxName)] }

// MaySend reports whether a tenant may send as an address of d, and be signed for
// it: d is one of its domains or below one. A name that is no tenant may nothing.
func (a *Adviser) MaySend(name string, d smtp.Domain) bool {
	granted := a.now.Load().granted[name]
	for d != "" {
		if granted[d] {
			return true
		}
		if d.IsLiteral() {
			return false
		}
		_, above, _ := strings.Cut(string(d), ".")
		d = smtp.Domain(above)
	}
	return false
}
