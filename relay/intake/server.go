package intake

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tenma/metrics"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// Server is the door. It keeps two promises of package relay. Promise 2: what
// it stores as the body is what came, octet for octet, without the blind-copy
// fields of a submission and the field that names a tenant. Promise 9: whoever
// logged in sends only as itself, or as its own domain where that is set, and mail
// of a tenant only as its domains (sender.go, tenant.go).
type Server struct {
	deps    Deps
	config  atomic.Pointer[Config]
	ids     idSource
	scratch [len(scratchSizes)]sync.Pool // of *[]byte, for bodies that are arriving
	held    atomic.Int64                 // octets of memory that arriving bodies take
	// strangers is the part of held that clients take who may not relay.
	strangers atomic.Int64
}

// New makes a Server. It starts no goroutine.
func New(c Config, d Deps) *Server {
	if d.Random == nil {
		d.Random = rand.Reader
	}
	if d.Metrics == nil {
		d.Metrics = metrics.New(prometheus.NewRegistry()).Intake
	}
	s := &Server{deps: d}
	s.ids.random = bufio.NewReaderSize(d.Random, 1<<10)
	s.Apply(c)
	return s
}

// Apply puts another configuration in force, for messages that begin later.
func (s *Server) Apply(c Config) {
	c = c.withDefaults()
	s.config.Store(&c)
}

// Accept takes a message: it reads body to its end, completes e (Received,
// Size, Prefix, EightBit, LongLines and the texts for the log) and stores both. A nil
// error means that they are on stable storage under the id that is returned.
//
// Errors are *smtp.Error or wrap one: 554 for a loop, 550 for a sender that the
// account may not use, 552 for a header section beyond MaxHeader, 452 when
// memory or spool are full, 421 when the relay stops, 451 otherwise. The error
// of body itself comes back as it is.
// After an error nothing of the message will be delivered, except that a spool
// that did not answer within Config.CommitWait may still have it.
func (s *Server) Accept(ctx context.Context, e *mail.Envelope, body io.WriterTo) (spool.ID, error) {
	r := s.begin(ctx, e)
	defer r.release()
	if _, err := body.WriteTo(r); err != nil {
		r.forget()
		s.deps.Metrics.Refused.Body.Inc()
		return spool.ID{}, err
	}
	if l, ok := body.(Lined); ok {
		e.LongLines = l.LongestLine() > maxLine
	}
	entries, err := r.draft()
	if err != nil {
		r.forget()
		return spool.ID{}, err
	}
	if entries == nil { // an inspection wants it thrown away, and has told its log so
		r.forget()
		return r.id, nil
	}
	id, err := s.commit(ctx, entries)
	if err != nil {
		if settled(err) {
			r.forget()
		}
		return spool.ID{}, err
	}
	if id != entries[0].draft.ID { // a repeat of a message that we have
		r.forget()
		return id, nil
	}
	s.count(r, len(entries))
	for i := range entries {
		s.announce(&entries[i])
	}
	return id, nil
}

// announce tells the mail log.
func (s *Server) announce(t *entry) {
	s.deps.Record.Record(&mail.Event{
		Kind: mail.EventReception, Time: time.Now(), ID: t.draft.ID, Envelope: t.env, Recipient: -1,
		Outcome: mail.Outcome{
			Reply: smtp.Reply{Code: 250, Status: smtp.Status{2, 0, 0}, Text: "OK"},
			Host:  t.env.HELO, Peer: t.env.Client,
		},
	})
}

// commit waits until the entries are on stable storage and gives the first one's id,
// or the earlier one's where the spool had it already.
func (s *Server) commit(ctx context.Context, entries []entry) (spool.ID, error) {
	var room [1]spool.Draft // enough for nearly all
	drafts := room[:0]
	for i := range entries {
		drafts = append(drafts, entries[i].draft)
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.Load().CommitWait)
	defer cancel()
	start := time.Now()
	err := s.deps.Spool.Commit(ctx, drafts...)
	s.deps.Metrics.Commit.Observe(time.Since(start).Seconds())
	if dup, ok := errors.AsType[*spool.DuplicateError](err); ok {
		return dup.First, nil
	}
	if err != nil {
		return spool.ID{}, s.storageError("commit", err)
	}
	return drafts[0].ID, nil
}

// settled reports that the spool is sure not to have the draft. After a
// time-out, or when it is sick, its staged body must stay: the draft may be on
// its way to the disk. An orphan is swept after a restart.
func settled(err error) bool { return errors.Is(err, spool.ErrFull) }

// storageError turns an error of the spool into what the client hears.
func (s *Server) storageError(what string, err error) error {
	m := s.deps.Metrics.Refused
	err = fmt.Errorf("intake: %s: %w", what, err)
	switch {
	case errors.Is(err, spool.ErrFull):
		m.Full.Inc()
		return &smtp.Error{Reply: smtp.Reply{Code: 452, Status: smtp.Status{4, 3, 1}, Text: "Insufficient system storage"}, Err: err}
	case errors.Is(err, spool.ErrSick):
		m.Storage.Inc()
		return &smtp.Error{Reply: smtp.Reply{Code: 452, Status: smtp.Status{4, 3, 0}, Text: "Storage is not available, try again later"}, Err: err}
	case errors.Is(err, spool.ErrClosed):
		m.Storage.Inc()
		return &smtp.Error{Reply: smtp.Reply{Code: 421, Status: smtp.Status{4, 3, 2}, Text: "Service is shutting down, try again later"}, Err: err}
	}
	m.Storage.Inc()
	return &smtp.Error{Reply: smtp.Reply{Code: 451, Status: smtp.Status{4, 3, 0}, Text: "Local error, try again later"}, Err: err}
}

func (s *Server) count(r *reception, entries int) {
	m := s.deps.Metrics
	m.Messages.Inc()
	m.Copies.Add(float64(entries - 1))
	m.Octets.Add(float64(r.size))
	if r.stage != nil {
		m.Staged.Inc()
	}
	if r.e.Tenant != "" {
		m.Tenants.WithLabelValues(r.e.Tenant).Inc()
	}
}

// idSource makes ids. Randomness is read ahead, so that the usual id costs no
// system call.
type idSource struct {
	mu     sync.Mutex
	random *bufio.Reader
}

func (i *idSource) next(now time.Time) (spool.ID, error) {
	var b [10]byte
	i.mu.Lock()
	_, err := io.ReadFull(i.random, b[:])
	i.mu.Unlock()
	if err != nil {
		return spool.ID{}, err
	}
	return spool.NewID(now, b), nil
}
