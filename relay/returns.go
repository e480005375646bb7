package relay

import (
	"context"

	"tenma/relay/bounce"
	"tenma/relay/bounce/returned"
	"tenma/relay/config"
	"tenma/relay/mail"
	"tenma/relay/policy/returns"
	"tenma/relay/policy/suppress"
	"tenma/relay/policy/tenant"
	"tenma/relay/wire/header"
	"tenma/spool"
)

// verp gives mail that goes out a return path for each recipient: it is intake's
// PerRecipient.
type verp struct {
	adviser *returns.Adviser
	tenants *tenant.Adviser
}

// Copies leaves alone what must stay as it is: the null sender (RFC 5321 section
// 4.5.5), and mail of who may not relay, which is for mailboxes here. A recipient
// for whom the sender asked to hear of success keeps the sender as return path: the
// next hop may be the one to tell (RFC 3461 section 5.2.1), and it would tell us.
// So does what people write themselves, in no tenant's name: they read what comes
// back.
func (v *verp) Copies(e *mail.Envelope, _ header.Section) func(spool.ID, *mail.Envelope) []byte {
	domain := v.adviser.Domain()
	if domain == "" || e.Sender.IsNull() || e.Sender.Domain == domain || !e.Trusted {
		return nil
	}
	if t, _ := v.tenants.Get(e.Tenant); !t.VERP && (!v.adviser.All() || e.Submission && e.Tenant == "") {
		return nil
	}
	return func(id spool.ID, c *mail.Envelope) []byte {
		to := &c.Recipients[0]
		ref := mail.Reference{ID: id, Recipient: to.Address, Tenant: c.Tenant, Campaign: c.Campaign}
		if !to.Notify.OnSuccess() {
			c.ReturnPath = v.adviser.ReturnPath(ref)
		}
		return v.adviser.Field(ref)
	}
}

// ending is what becomes of mail that goes no further: mailboxes, and the desk at
// which mail about our mail is read. Each has a lane of its own.
type ending struct {
	adviser   *returns.Adviser
	desk      *returned.Desk
	mailboxes mail.Deliver
}

func (l *ending) deliver(ctx context.Context, first *mail.Attempt, next func() *mail.Attempt, done func(*mail.Attempt, []mail.Outcome)) {
	if d := l.adviser.Domain(); d != "" && first.Route.Domain == d {
		l.desk.Deliver(ctx, first, next, done)
		return
	}
	l.mailboxes(ctx, first, next, done)
}

// returner composes DSNs, but never about mail about our mail: two machines that
// answer each other never end.
type returner struct {
	*bounce.Composer
	adviser *returns.Adviser
}

func (r *returner) Compose(ctx context.Context, id spool.ID, e *mail.Envelope, s *mail.State, reports []mail.Report, open bounce.Open) ([]spool.Draft, error) {
	if d := r.adviser.Domain(); d != "" {
		var due []mail.Report
		for _, one := range reports {
			if one.Recipient >= 0 && one.Recipient < len(e.Recipients) && e.Recipients[one.Recipient].Address.Domain == d {
				continue
			}
			due = append(due, one)
		}
		reports = due
	}
	return r.Composer.Compose(ctx, id, e, s, reports, open)
}

// suppressor makes entries of what came back. What one tenant's recipient wants is
// not held against the others; without a tenant it is for all mail.
type suppressor struct{ list *suppress.List }

func (s suppressor) Suppress(ctx context.Context, f *returned.Finding) error {
	fact := suppress.Fact{
		Recipient: f.Recipient, Tenant: f.Tenant, Reason: suppress.Returned, Rule: f.Diagnosis.Rule, Detail: f.Reply.String(), Message: f.ID.String(),
	}
	if f.Complaint {
		fact.Reason, fact.Detail = suppress.Complaint, ""
	}
	return s.list.Suppress(ctx, fact)
}

// deskConfig is what the desk is told by a configuration.
func deskConfig(c *config.Config) returned.Config {
	return returned.Config{Field: returns.FieldName, Hostname: c.Hostname, Postmaster: postmaster(c)}
}
