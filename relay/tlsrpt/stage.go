package tlsrpt

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"tenma/metrics"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

const (
	// turnEvery is how often the stage looks what is to be done.
	turnEvery = time.Minute
	// saveEvery is how much of a day's counts a crash may lose.
	saveEvery = 5 * time.Minute
)

// Config is what a Stage is told.
type Config struct {
	// Contact is whom receivers may ask about our reports. It is their sender too,
	// and its domain signs them. Null: nothing is counted and nothing told.
	Contact      smtp.Address
	Organization string // that reports are from; "": the domain of Contact
	Hostname     string // of this relay: another one with the same Contact tells its own
}

// Deps are what a Stage works with.
type Deps struct {
	Resolver   Resolver
	Outbox     Outbox
	Verified   Client // takes certificates for the host's name only
	Unverified Client // takes any certificate
	Keeper     Keeper // nil: a restart forgets
	Metrics    *metrics.TLSRPT
	Log        *slog.Logger // nil: silence
	Seed       uint64       // of the moments at which others are asked and told
}

// Stage counts and tells. Count may be called from any goroutine.
type Stage struct {
	deps   Deps
	config atomic.Pointer[Config]
	book   *book
	saved  time.Time // when the book was; Run's alone
}

// New builds a Stage, which knows what was kept.
func New(c Config, deps Deps) *Stage {
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	s := &Stage{deps: deps, book: newBook(deps.Seed)}
	s.config.Store(&c)
	s.load()
	return s
}

// Apply changes the configuration.
func (s *Stage) Apply(c Config) { s.config.Store(&c) }

// Count notes what became of a session, if its domain may want to know. It does
// not wait.
func (s *Stage) Count(r *mail.TLSResult) {
	if r.Private || r.Domain == "" || r.Domain.IsLiteral() || s.config.Load().Contact.IsNull() {
		return
	}
	if !s.book.count(r, time.Now()) {
		s.deps.Metrics.Dropped.Inc()
	}
}

// Run asks domains whether they want reports, and tells them, until ctx is
// cancelled. A report that is under way then is finished; its error is nil.
func (s *Stage) Run(ctx context.Context) error {
	turns := time.NewTicker(turnEvery)
	defer turns.Stop()
	s.saved = time.Now()
	for {
		select {
		case <-ctx.Done():
			s.save()
			return nil
		case <-turns.C:
			s.turn(ctx)
		}
	}
}

// turn does what is due.
func (s *Stage) turn(ctx context.Context) {
	s.book.roll(time.Now())
	told := false
	if c := s.config.Load(); !c.Contact.IsNull() {
		s.ask(ctx)
		told = s.tell(ctx, c)
	}
	s.deps.Metrics.Domains.Set(float64(s.book.held()))
	if told || time.Since(s.saved) >= saveEvery {
		s.save()
	}
}
