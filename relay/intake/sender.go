package intake

import (
	"strings"

	"tenma/relay/mail"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
)

// maySend decides who may send as whom: promise 9 of package relay. A client
// that logged in sends as addresses of its account's domain and of those below
// it, in the envelope as well as in From, since DKIM vouches for the one and
// people read the other. Whoever made the account granted that domain.
//
// Clients that may relay without a login, by their network, are not asked. The
// null sender passes: notices of mail systems have it (RFC 5321 section 4.5.5).
// So does a message without From; one whose From nobody can tell for sure, by
// its form or because there are two or it names two, does not.
func maySend(e *mail.Envelope, h header.Section) *smtp.Error {
	if e.Account == "" {
		return nil
	}
	if !e.Sender.IsNull() && !granted(e.Account, e.Sender.Domain) {
		return smtp.Errorf(550, smtp.Status{5, 7, 1}, "%s may not send as %s", e.Account, e.Sender)
	}
	switch h.Count("From") {
	case 0:
		return nil
	case 1:
		from, ok := header.OnlyMailbox(h.Text("From"))
		if ok && granted(e.Account, from.Domain) {
			return nil
		}
		if ok {
			return smtp.Errorf(550, smtp.Status{5, 7, 1}, "%s may not send mail from %s", e.Account, from)
		}
	}
	return smtp.Errorf(550, smtp.Status{5, 7, 1}, "From does not name one sender")
}

// granted reports whether d is the domain of account or below it.
func granted(account string, d smtp.Domain) bool {
	a, err := smtp.ParseMailbox(account)
	if err != nil || a.Domain == "" {
		return false
	}
	return d == a.Domain || !d.IsLiteral() && strings.HasSuffix(string(d), "."+string(a.Domain))
}
