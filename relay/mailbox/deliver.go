package mailbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// Deliver brings messages to the mailboxes of their recipients, see
// mail.Deliver. Outcomes have Command "LOCAL" and a reply of our own: 250 when
// the message is on stable storage in every mailbox that the recipient stands
// for, 550 for an unknown recipient, 452 for a full disk or mailbox, 451 for any other
// trouble. A message that is delivered again, after a crash or because one of
// several mailboxes failed, is not doubled where it is already.
func (s *Store) Deliver(ctx context.Context, first *mail.Attempt, next func() *mail.Attempt, done func(*mail.Attempt, []mail.Outcome)) {
	for a := first; a != nil; a = next() {
		outcomes := make([]mail.Outcome, len(a.To))
		for i, to := range a.To {
			begun := time.Now()
			// What was taken is finished even when ctx ends: the disk is near.
			err := s.deliver(context.WithoutCancel(ctx), a, to)
			outcomes[i] = s.outcome(a, to, err)
			outcomes[i].Phases.Transaction = time.Since(begun)
		}
		done(a, outcomes)
		if ctx.Err() != nil {
			return
		}
	}
}

// errUnknown is a recipient without a mailbox.
var errUnknown = errors.New("mailbox: no such address")

// deliver brings a message to all mailboxes of one recipient.
func (s *Store) deliver(ctx context.Context, a *mail.Attempt, to int) error {
	boxes := s.deps.Resolver.Resolve(a.Envelope.Recipients[to].Address)
	if len(boxes) == 0 {
		return errUnknown
	}
	var all []*destination
	for _, box := range boxes {
		// RFC 5321 section 4.4: final delivery records the reverse path.
		prefix := "Return-Path: <" + oneLine(a.Envelope.Sender.String()) + ">\r\nDelivered-To: " + oneLine(box.String()) + "\r\n"
		all = append(all, &destination{account: box.String(), prefix: []byte(prefix), recipient: uint32(to)})
	}
	body, err := a.Open(ctx)
	if err != nil {
		return err
	}
	defer body.Close()
	errs := s.deliverTo(ctx, a.ID, all, int64(len(a.Header))+body.Size(), func(w io.Writer) error {
		if _, err := w.Write(a.Header); err != nil {
			return err
		}
		_, err := body.WriteTo(w)
		return err
	})
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("deliver to %s: %w", boxes[i], err)
		}
	}
	return nil
}

// outcome tells what became of a recipient, with a text for the sender that
// discloses nothing of the disk.
func (s *Store) outcome(a *mail.Attempt, to int, err error) mail.Outcome {
	o := mail.Outcome{Command: "LOCAL"}
	result := "failed"
	switch {
	case err == nil:
		result = "delivered"
		o.Reply = smtp.Reply{Code: 250, Status: smtp.Status{2, 0, 0}, Text: "delivered to mailbox"}
	case errors.Is(err, errUnknown):
		result = "unknown"
		o.Reply = smtp.Reply{Code: 550, Status: smtp.Status{5, 1, 1}, Text: "no such mailbox here"}
	case errors.Is(err, ErrQuota):
		o.Reply = smtp.Reply{Code: 452, Status: smtp.Status{4, 2, 2}, Text: "mailbox full"}
	case errors.Is(err, spool.ErrFull):
		o.Reply = smtp.Reply{Code: 452, Status: smtp.Status{4, 3, 1}, Text: "no room in the mail store"}
	default:
		o.Reply = smtp.Reply{Code: 451, Status: smtp.Status{4, 3, 0}, Text: "mail store failed"}
	}
	s.deps.Metrics.Deliveries.WithLabelValues(result).Inc()
	if err != nil {
		o.Detail = err.Error()
		if result == "failed" {
			s.log.Error("local delivery failed, will retry", "id", a.ID, "recipient", a.Envelope.Recipients[to].Address.String(), "error", err)
		}
	}
	return o
}

// oneLine keeps an address inside its field. ParseMailbox lets no control
// through, but what was stored may be older than its rules.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}
