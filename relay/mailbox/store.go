package mailbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/metrics"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// Store delivers into Maildirs. It may be used from any goroutine.
type Store struct {
	cfg     Config
	deps    Deps
	started time.Time
	tmp     atomic.Uint64 // makes names in tmp unique
	ready   sync.Map      // of string: Maildirs that are there and synced; one entry per account
}

var _ mail.Deliver = (*Store)(nil).Deliver

// New makes a Store. It touches no file; directories appear with their first
// message.
func New(cfg Config, deps Deps) *Store {
	if cfg.Hostname == "" {
		cfg.Hostname = "localhost"
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if deps.FS == nil {
		deps.FS = vfs.Default
	}
	if deps.Metrics == nil {
		deps.Metrics = metrics.NewMailbox(nil)
	}
	return &Store{cfg: cfg, deps: deps, started: time.Now()}
}

// Deliver writes messages to the mailboxes of their recipients, see
// mail.Deliver. Outcomes have Command "LOCAL" and a reply of our own: 250 when
// the message is on stable storage in every mailbox that the recipient stands
// for, 550 for an unknown recipient, 452 for a full disk, 451 for any other
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
	for _, box := range boxes {
		if err := s.write(ctx, a, to, box); err != nil {
			return fmt.Errorf("deliver to %s: %w", box, err)
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
	case errors.Is(err, errUnknown), errors.Is(err, errName):
		result = "unknown"
		o.Reply = smtp.Reply{Code: 550, Status: smtp.Status{5, 1, 1}, Text: "no such mailbox here"}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		o.Reply = smtp.Reply{Code: 452, Status: smtp.Status{4, 3, 1}, Text: "no room in the mail store"}
	default:
		o.Reply = smtp.Reply{Code: 451, Status: smtp.Status{4, 3, 0}, Text: "mail store failed"}
	}
	s.deps.Metrics.Deliveries.WithLabelValues(result).Inc()
	if err != nil {
		o.Detail = err.Error()
		if result == "failed" {
			s.cfg.Log.Error("local delivery failed, will retry", "id", a.ID, "recipient", a.Envelope.Recipients[to].Address.String(), "error", err)
		}
	}
	return o
}
