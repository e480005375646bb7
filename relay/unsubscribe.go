package relay

import (
	"context"
	"time"

	"tenma/relay/mail"
	"tenma/relay/policy/returns"
	"tenma/relay/policy/suppress"
	"tenma/relay/policy/tenant"
	"tenma/relay/wire/arf"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// leaving lets recipients leave the mailings of tenants with one click (RFC 8058):
// it is intake's PerRecipient for the links, and what those lead to.
type leaving struct {
	returns *returns.Adviser
	tenants *tenant.Adviser
	list    *suppress.List
	record  interface{ Record(*mail.Event) }
}

func (r *Relay) leaving() *leaving {
	return &leaving{r.returns, r.tenants, r.suppress, r.maillog}
}

// Copies leaves alone what has a List-Unsubscribe of its own, which says how its
// sender wants it done, and what is from nobody: there is nobody's mail to leave.
func (l *leaving) Copies(e *mail.Envelope, h header.Section) func(spool.ID, *mail.Envelope) []byte {
	t, _ := l.tenants.Get(e.Tenant)
	if !t.Unsubscribe || e.Sender.IsNull() || !l.returns.HasLinks() || h.Count("List-Unsubscribe")+h.Count("List-Unsubscribe-Post") > 0 {
		return nil
	}
	return func(id spool.ID, c *mail.Envelope) []byte {
		return l.returns.ListUnsubscribe(mail.Reference{ID: id, Recipient: c.Recipients[0].Address, Tenant: c.Tenant, Campaign: c.Campaign})
	}
}

// Open is returns.Adviser's OpenLink.
func (l *leaving) Open(token string) (mail.Reference, error) { return l.returns.OpenLink(token) }

// Unsubscribe writes down that somebody wants no more mail of a tenant, and that it
// was asked for. The record comes first: it may stand twice, under one event id, but
// never be missing. A link that is followed again and again writes nothing.
func (l *leaving) Unsubscribe(ctx context.Context, r mail.Reference) (again bool, err error) {
	wish := suppress.Fact{Recipient: r.Recipient, Tenant: r.Tenant, Reason: suppress.Unsubscribe, Rule: "one-click", Message: r.ID.String()}
	if again, err = l.list.Stands(wish); again || err != nil {
		return again, err
	}
	l.record.Record(optOut(r, time.Now()))
	return false, l.list.Suppress(ctx, wish)
}

// optOut is a wish in the form of a complaint of that type, which readers of the
// log know how to take.
func optOut(r mail.Reference, now time.Time) *mail.Event {
	return &mail.Event{
		Kind: mail.EventFeedback, Time: now, ID: r.ID, About: r.ID,
		Envelope: &mail.Envelope{Recipients: []mail.Recipient{{Address: r.Recipient}}, Received: r.ID.Time(), Tenant: r.Tenant, Campaign: r.Campaign},
		Feedback: &arf.Report{Type: "opt-out", UserAgent: "tenma", Recipients: []smtp.Address{r.Recipient}, Incidents: 1},
	}
}

// feedbackID gives the Feedback-ID of a tenant's mail that has none of its own: what
// intake puts in front of a message.
func feedbackID(tenants *tenant.Adviser) func(*mail.Envelope, header.Section) []byte {
	return func(e *mail.Envelope, h header.Section) []byte {
		t, _ := tenants.Get(e.Tenant)
		if t.FeedbackID == "" || h.Count(tenant.FeedbackField) > 0 {
			return nil
		}
		return t.Feedback(e.Campaign)
	}
}
