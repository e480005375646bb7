package dkim

import (
	"strings"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// grants are Config.Granted by what is asked.
type grants struct {
	to   map[string]domains // by account or tenant
	held domains            // what is granted to anybody
}

type domains map[smtp.Domain]bool

// above reports that d or a domain above it is in the set.
func (set domains) above(d smtp.Domain) bool {
	for d != "" {
		if set[d] {
			return true
		}
		_, up, _ := strings.Cut(string(d), ".")
		d = smtp.Domain(up)
	}
	return false
}

// newGrants gives nil where nothing is granted to anybody in particular.
func newGrants(granted map[string][]smtp.Domain) *grants {
	if granted == nil {
		return nil
	}
	g := &grants{to: map[string]domains{}, held: domains{}}
	for who, list := range granted {
		if who == "" {
			continue
		}
		g.to[who] = domains{}
		for _, d := range list {
			g.to[who][d], g.held[d] = true, true
		}
	}
	return g
}

// let reports whether the keys of d may sign a message that is sent as an address of
// as, which is d or below it: promise 9 of package relay. They may for the tenant that
// was granted d, and for an account of the very domain, which was granted to it when it
// was made. For mail of no tenant they may besides where no tenant has d or as: that is
// as on a relay without tenants. To look at d alone would not do: DMARC takes the
// signature of a domain for those below it, which may be a tenant's.
// Our own mail (DSNs, automatic replies) is in the name of whom it is for.
//
// Intake let the sender pass for its own grants alone, so what is decided here
// matters for clients that are trusted by their network, and where keys of a
// parent domain would sign.
func (g *grants) let(e *mail.Envelope, d, as smtp.Domain) bool {
	if g == nil || e.Origin == mail.FromSelf || g.to[e.Tenant].above(d) || g.to[e.Account].above(d) {
		return true
	}
	if at := strings.LastIndexByte(e.Account, '@'); at >= 0 && (domains{smtp.Domain(strings.ToLower(e.Account[at+1:])): true}).above(d) {
		return true
	}
	return e.Tenant == "" && !g.held.above(d) && !g.held.above(as)
}
