package post

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tenma/metrics"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// Config is what a Post is told.
type Config struct {
	Hostname   string // in the ids of our own messages
	Quota      int64  // octets of a mailbox whose account has none of its own; 0 and below: none
	QuotaWarn  int    // percent of it at which its owner is warned; 0 and below: never
	SRSDomain  smtp.Domain
	SRSKeyPath string // "": forwarded mail keeps its sender
}

// Deps are what a Post works with.
type Deps struct {
	Boxes    Boxes
	Resolver Resolver
	Outbox   Outbox // nil: nothing is forwarded or answered
	Metrics  *metrics.Mailbox
	Log      *slog.Logger
}

// Post delivers. It may be used from any goroutine.
type Post struct {
	cfg  atomic.Pointer[Config]
	deps Deps

	rewriter  rewriter
	answering sync.Mutex // held while a sender is looked up, answered and noted
	warning   sync.Mutex // the same for the owner of a mailbox
}

var _ mail.Deliver = (*Post)(nil).Deliver

// New makes a Post. It touches no file.
func New(c Config, d Deps) *Post {
	p := &Post{deps: d}
	p.Apply(c)
	return p
}

// Apply puts another configuration in force, for messages that begin later.
func (p *Post) Apply(c Config) { p.cfg.Store(&c) }

// inFlight is how many attempts one Deliver carries at a time. Each waits for a
// sync, and syncs are shared by all who wait: the queue's ten runs of a lane with
// 32 messages each are 320 messages a sync, beyond which the sync is no longer
// what takes the time (DESIGN.md of package mailbox).
const inFlight = 32

// Deliver carries first and what next gives, see mail.Deliver. Outcomes have
// Command "LOCAL" and a reply of our own:
//
//	250        the message is on stable storage wherever the recipient wants it
//	550 5.1.1  there is no such address
//	554 5.4.6  what is to be forwarded was forwarded here before
//	552 5.2.2  the message is larger than the whole mailbox may be
//	452 4.2.2  the mailbox is full
//	452 4.3.1  the disk is full
//	451        any other trouble
func (p *Post) Deliver(ctx context.Context, first *mail.Attempt, next func() *mail.Attempt, done func(*mail.Attempt, []mail.Outcome)) {
	ended := make(chan struct{}, inFlight)
	running := 0
	for a := first; ; a = nil {
		if a == nil && running < inFlight && ctx.Err() == nil {
			a = next()
		}
		switch {
		case a != nil:
			running++
			go func() {
				// What was taken is finished even when ctx ends: the disk is near.
				done(a, p.carry(context.WithoutCancel(ctx), a))
				ended <- struct{}{}
			}()
		case running == 0:
			return
		default:
			<-ended
			running--
		}
	}
}

// Errors of a recipient, apart from those of Boxes.
var (
	errUnknown = errors.New("mailbox: no such address")
	errLoop    = errors.New("mailbox: the message was forwarded here before")
	errOutbox  = errors.New("mailbox: nothing can be forwarded")
)

// carry delivers one attempt: it makes the plan of all recipients, fills the
// mailboxes, then sends on and answers what is left.
func (p *Post) carry(ctx context.Context, a *mail.Attempt) []mail.Outcome {
	d := &delivery{Post: p, Attempt: a, cfg: p.cfg.Load(), now: time.Now(), fates: make([]error, len(a.To))}
	for place := range a.To {
		if err := d.plan(ctx, place); err != nil {
			d.fail(place, err)
		}
	}
	// A mailbox without room keeps a message from its owner, not from those to
	// whom it goes on as well: of a message that is larger than the mailbox may
	// ever be they would get nothing.
	barred := slices.Clone(d.fates)
	d.deposit(ctx)
	for _, o := range d.on {
		if barred[o.place] == nil {
			barred[o.place] = d.forward(ctx, o)
			d.fail(o.place, barred[o.place])
		}
	}
	for _, w := range d.away {
		if d.fates[w.place] == nil {
			d.answer(ctx, w)
		}
	}
	outcomes := make([]mail.Outcome, len(a.To))
	for place, err := range d.fates {
		outcomes[place] = p.outcome(a, a.To[place], err)
		if err == nil {
			onward, copies := d.ways(place)
			outcomes[place].DSN = onward == 1 && copies == 0
			outcomes[place].Expanded = onward+copies > 1
		}
		outcomes[place].Phases.Transaction = time.Since(d.now)
	}
	return outcomes
}

// outcome tells what became of a recipient, with a text for the sender that
// discloses nothing of the disk.
func (p *Post) outcome(a *mail.Attempt, to int, err error) mail.Outcome {
	result, r := verdict(err)
	p.deps.Metrics.Deliveries.WithLabelValues(result).Inc()
	o := mail.Outcome{Command: "LOCAL", Reply: r}
	if err != nil {
		o.Detail = err.Error()
		if result == "failed" {
			p.deps.Log.Error("local delivery failed, will retry", "id", a.ID, "recipient", a.Envelope.Recipients[to].Address.String(), "error", err)
		}
	}
	return o
}

// verdict gives the reply for an error, and the result that is counted.
func verdict(err error) (result string, r smtp.Reply) {
	switch {
	case err == nil:
		return "delivered", smtp.Reply{Code: 250, Status: smtp.Status{2, 0, 0}, Text: "delivered to mailbox"}
	case errors.Is(err, errUnknown):
		return "unknown", smtp.Reply{Code: 550, Status: smtp.Status{5, 1, 1}, Text: "no such mailbox here"}
	case errors.Is(err, errLoop): // RFC 3463 section 3.5
		return "loop", smtp.Reply{Code: 554, Status: smtp.Status{5, 4, 6}, Text: "the message was forwarded here before, it is going in circles"}
	case errors.Is(err, ErrTooLarge): // RFC 3463 section 3.3
		return "full", smtp.Reply{Code: 552, Status: smtp.Status{5, 2, 2}, Text: "the message is larger than the mailbox may be"}
	case errors.Is(err, ErrFull):
		return "full", smtp.Reply{Code: 452, Status: smtp.Status{4, 2, 2}, Text: "the mailbox is full"}
	case errors.Is(err, spool.ErrFull), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "failed", smtp.Reply{Code: 452, Status: smtp.Status{4, 3, 1}, Text: "no room in the mail store"}
	}
	return "failed", smtp.Reply{Code: 451, Status: smtp.Status{4, 3, 0}, Text: "mail store failed"}
}
