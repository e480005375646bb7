package intake

import (
	"strings"

	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
)

// SenderRule says as whom a client that logged in may send.
type SenderRule string

// The rules, spelled as in the configuration.
const (
	SenderAccount SenderRule = "account" // as itself: what Senders says
	SenderDomain  SenderRule = "domain"  // as any address of its domain and of those below it
	SenderAny     SenderRule = "any"     // as anybody
)

// maxAuthors bounds the mailboxes of one From field.
const maxAuthors = 10

// maySend decides who may send as whom: promise 9 of package relay. What a
// client that logged in may use is asked of the envelope's sender as well as of
// From and Sender, since DKIM vouches for the one and people read the others.
// Whoever made the account granted it its address and domain.
//
// A tenant was granted its domains besides (policy/tenant): mail of one may have
// these, and for accounts that belong to it SenderAny is no more than SenderDomain.
//
// Clients that may relay without a login, by their network, are not asked, but
// where they name a tenant. The null sender passes: notices of mail systems have it
// (RFC 5321 section 4.5.5). So does a message without From. One whose From nobody
// can tell for sure, by its form or because there are two, does not; From with
// several mailboxes passes if each may be used and Sender tells who it was (RFC
// 5322 section 3.6.2).
func (r *reception) maySend(h header.Section) *smtp.Error {
	e := r.e
	rule := r.config.Sender
	if e.Submission {
		rule = r.config.SubmissionSender
	}
	who := e.Account
	switch {
	case e.Tenant == "" && (e.Account == "" || rule == SenderAny):
		return nil
	case rule == SenderAny:
		rule = SenderDomain
	}
	if who == "" {
		who = "tenant " + e.Tenant
	}
	tenants := r.server.deps.Tenants
	may := func(a smtp.Address) bool {
		return e.Tenant != "" && tenants != nil && tenants.MaySend(e.Tenant, a.Domain) || e.Account != "" && r.server.granted(rule, e.Account, a)
	}
	if !e.Sender.IsNull() && !may(e.Sender) {
		return smtp.Errorf(550, smtp.Status{5, 7, 1}, "%s may not send as %s", who, e.Sender)
	}
	sender, told := header.OnlyMailbox(h.Text("Sender"))
	switch n := h.Count("Sender"); {
	case n == 0:
	case n > 1 || !told:
		return smtp.Errorf(550, smtp.Status{5, 7, 1}, "Sender does not name one sender")
	case !may(sender):
		return smtp.Errorf(550, smtp.Status{5, 7, 1}, "%s may not send mail in the name of %s", who, sender)
	}
	from := h.Text("From")
	switch h.Count("From") {
	case 0:
		return nil
	case 1:
		var authors []smtp.Address
		if a, ok := header.OnlyMailbox(from); ok {
			authors = []smtp.Address{a}
		} else if all, whole := header.Mailboxes(from, maxAuthors); whole && len(all) > 1 && told {
			authors = all
		}
		for _, a := range authors {
			if !may(a) {
				return smtp.Errorf(550, smtp.Status{5, 7, 1}, "%s may not send mail from %s", who, a)
			}
		}
		if len(authors) > 0 {
			return nil
		}
	}
	return smtp.Errorf(550, smtp.Status{5, 7, 1}, "From does not name one sender")
}

// granted reports whether the rule lets account send as s.
func (s *Server) granted(rule SenderRule, account string, a smtp.Address) bool {
	own, err := smtp.ParseMailbox(account)
	if err != nil || own.Domain == "" {
		return false
	}
	switch rule {
	case SenderAccount:
		return a == own || s.deps.Senders != nil && s.deps.Senders.MaySend(account, a)
	case SenderDomain:
		d := a.Domain
		return d == own.Domain || !d.IsLiteral() && strings.HasSuffix(string(d), "."+string(own.Domain))
	}
	return rule == SenderAny
}
