package returned

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"tenma/metrics"
	"tenma/relay/bounce"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// MaxRead is how many octets of a message are read: what a report has to say stands
// before the message that it returns, and the header of that comes first. Few
// mailboxes take more than a hundred of such.
const MaxRead = 1 << 20

// Config is what a Desk is told.
type Config struct {
	Field      string       // name of the header field of ours that tells whose copy a message is
	Hostname   string       // on the right of Message-IDs that are ours
	Postmaster smtp.Address // who gets mail for people; zero: nobody, it is dropped
}

// Deps are what a Desk works with.
type Deps struct {
	Reader     func() *bounce.Reader // with the rules in force
	Tracer     Tracer
	Suppressor Suppressor // nil: nobody is
	Outbox     Outbox
	Record     Recorder
	Metrics    *metrics.Returned // nil: counted for nobody
	Log        *slog.Logger      // nil: silent
}

// Desk takes mail about our mail. It may be used from any goroutine.
type Desk struct {
	deps   Deps
	config atomic.Pointer[Config]
}

// New makes a Desk.
func New(c Config, d Deps) *Desk {
	if d.Metrics == nil {
		d.Metrics = metrics.NewReturned(nil)
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	desk := &Desk{deps: d}
	desk.Apply(c)
	return desk
}

// Apply puts another configuration in force.
func (d *Desk) Apply(c Config) { d.config.Store(&c) }

// Deliver reads messages that came back, see mail.Deliver. An outcome is never a
// failure: what cannot be read or written down now is tried again, and expires
// without a DSN if that never ends.
func (d *Desk) Deliver(ctx context.Context, first *mail.Attempt, next func() *mail.Attempt, done func(*mail.Attempt, []mail.Outcome)) {
	for a := first; a != nil; {
		done(a, d.take(ctx, a))
		if a = nil; ctx.Err() == nil {
			a = next()
		}
	}
}

// take is Deliver for one message.
func (d *Desk) take(ctx context.Context, a *mail.Attempt) []mail.Outcome {
	// Who stops the relay wants no new work begun; this is work under way.
	ctx = context.WithoutCancel(ctx)
	outs := make([]mail.Outcome, len(a.To))
	m, err := d.read(ctx, a)
	for i, place := range a.To {
		outs[i] = mail.Outcome{Command: "LOCAL"}
		said := ""
		if err == nil {
			said, err = d.one(ctx, &letter{Attempt: a, Returned: m, place: place})
		}
		if err != nil {
			d.deps.Log.Warn("a message that came back must wait", "id", a.ID, "error", err)
			outs[i].Reply = smtp.Reply{Code: 451, Status: smtp.Status{4, 3, 0}, Text: "It could not be read or written down"}
			outs[i].Detail = err.Error()
			continue
		}
		outs[i].Reply = smtp.Reply{Code: 250, Status: smtp.Status{2, 0, 0}, Text: said}
	}
	return outs
}

// read reads the message: its start, if it is large.
func (d *Desk) read(ctx context.Context, a *mail.Attempt) (*bounce.Returned, error) {
	body, err := a.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, MaxRead))
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	m, err := d.deps.Reader().Read(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	return m, nil
}

// letter is a message that came back, for one of its recipients.
type letter struct {
	*mail.Attempt
	*bounce.Returned
	place int // index into Envelope.Recipients
}

func (l *letter) to() smtp.Address { return l.Envelope.Recipients[l.place].Address }

// one deals with a message for one of its recipients, and says what became of it.
func (d *Desk) one(ctx context.Context, l *letter) (string, error) {
	ours := d.deps.Tracer.IsReturnPath(l.to())
	switch {
	case l.Kind == bounce.Complaint:
		return d.complaint(ctx, l)
	case !ours:
		return d.passOn(ctx, l)
	case l.Kind == bounce.Report, l.Kind == bounce.AutoReply:
		return d.report(ctx, l)
	}
	d.count("other")
	return "It is no report, and was dropped", nil
}

func (d *Desk) count(kind string) { d.deps.Metrics.Messages.WithLabelValues(kind).Inc() }

// passOn sends on what is for people: each domain has a postmaster, and providers
// ask at the address of complaints whether it is ours before they send any.
func (d *Desk) passOn(ctx context.Context, l *letter) (string, error) {
	to := d.config.Load().Postmaster
	if to.IsNull() {
		d.count("other")
		return "There is no postmaster; it was dropped", nil
	}
	body, err := l.Open(ctx)
	if err != nil {
		return "", fmt.Errorf("open: %w", err)
	}
	defer body.Close()
	e := *l.Envelope
	e.Recipients = []mail.Recipient{{Address: to, Notify: mail.NotifyNever}}
	e.Prefix, e.Submission, e.Expire = l.Header, false, time.Time{}
	e.ReturnPath, e.Batch = smtp.Address{}, spool.ID{} // ours, where it came from one of us: it is no copy any more
	key := l.ID.String() + " " + strconv.Itoa(l.place) + " postmaster"
	switch err := d.deps.Outbox.Send(ctx, key, &e, body); {
	case errors.Is(err, spool.ErrDuplicate):
	case err != nil:
		return "", fmt.Errorf("send on: %w", err)
	}
	d.count("passed")
	return "Sent on to " + to.String(), nil
}
