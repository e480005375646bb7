package post

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"tenma/relay/mail"
	"tenma/relay/mailbox/post/rules"
	"tenma/relay/wire/dsn"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// forward sends the message on. Its envelope stays what it was, but for:
//
//   - the sender, which becomes one of ours (rules.SRS), so that SPF lets the
//     message through where it goes, and what comes back still finds the author;
//   - NOTIFY, which goes along whole where the message goes to one address and
//     nowhere else (RFC 3461 section 5.2.7.2), so that who asked hears of its
//     arrival there. Otherwise it loses SUCCESS (section 5.2.7.3, (c)), and the
//     sender is told that the address stands for several. NEVER stays NEVER, and
//     who asked to hear of success alone hears of nothing else.
//
// Trusted, Account and Origin stay the original's, so a stranger's message is not
// signed as ours because it was forwarded (promise 9 of package relay). By its first
// field, Delivered-To, the adviser dkim knows what to seal.
func (d *delivery) forward(ctx context.Context, o onward) error {
	orig := &d.Envelope.Recipients[d.To[o.place]]
	notify := orig.Notify
	if onward, copies := d.ways(o.place); onward+copies > 1 {
		notify = forwarded(notify)
	}
	e := *d.Envelope
	var err error
	if e.Sender, err = d.forwardedBy(e.Sender, o.by.Domain, d.now); err != nil {
		return err
	}
	e.ReturnPath, e.Batch = smtp.Address{}, spool.ID{} // it is no copy of ours any more
	e.Recipients = []mail.Recipient{{Address: o.to, Notify: notify, ORcpt: original(orig)}}
	e.SMTPUTF8 = e.SMTPUTF8 || o.to.NeedsUTF8() || o.by.NeedsUTF8() || e.Sender.NeedsUTF8()
	e.Submission = false
	e.Expire = time.Time{} // it begins anew
	e.Prefix = append([]byte(oneLine(rules.DeliveredTo(o.by))), d.Header...)
	body, err := d.Open(ctx)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := d.deps.Outbox.Send(ctx, d.key(o.place, "forward "+o.by.String()+" "+o.to.String()), &e, body); err != nil {
		return fmt.Errorf("forward to %s: %w", o.to, err)
	}
	d.deps.Metrics.Forwarded.Inc()
	return nil
}

// original is what a DSN about a forwarded message names as the recipient that its
// sender knows (RFC 3461 section 5.2.1, (d)).
func original(r *mail.Recipient) string {
	if r.ORcpt != "" {
		return r.ORcpt
	}
	a := dsn.Mailbox(r.Address)
	return a.Kind + ";" + a.Text
}

// forwarded is what of NOTIFY goes on to each of several.
func forwarded(n mail.Notify) mail.Notify {
	if n == mail.NotifySuccess {
		return mail.NotifyNever
	}
	return n &^ mail.NotifySuccess
}

// key names what one recipient of the message causes, the same at a repeat.
func (d *delivery) key(place int, what string) string {
	return d.ID.String() + " " + strconv.Itoa(d.To[place]) + " " + what
}
