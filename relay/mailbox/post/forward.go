package post

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"tenma/relay/mail"
	"tenma/relay/mailbox/post/rules"
)

// forward sends the message on. Its envelope stays what it was, but for:
//
//   - the sender, which becomes one of ours (rules.SRS), so that SPF lets the
//     message through where it goes, and what comes back still finds the author;
//   - NOTIFY, which loses SUCCESS (RFC 3461 section 5.2.7.3, (c)): the address
//     that the sender named has the message, which our 250 makes known. NEVER
//     stays NEVER, and who asked to hear of success alone hears of nothing else.
//
// Trusted, Account and Origin stay the original's, so a stranger's message is not
// signed as ours because it was forwarded (promise 9 of package relay).
func (d *delivery) forward(ctx context.Context, o onward) error {
	orig := &d.Envelope.Recipients[d.To[o.place]]
	e := *d.Envelope
	var err error
	if e.Sender, err = d.forwardedBy(e.Sender, o.by.Domain, d.now); err != nil {
		return err
	}
	e.Recipients = []mail.Recipient{{Address: o.to, Notify: forwarded(orig.Notify), ORcpt: orig.ORcpt}}
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

// forwarded is what of NOTIFY goes on.
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
