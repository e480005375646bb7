package suppress

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tenma/metrics"
	"tenma/relay/mail"
	"tenma/relay/policy/suppress/storm"
	"tenma/relay/wire/smtp"
)

// List is the suppression list. Its methods may be called from any goroutine.
type List struct {
	store   Store
	config  atomic.Pointer[Config]
	metrics *metrics.Suppress
	log     *slog.Logger

	inbox inbox

	mu        sync.Mutex
	guard     *storm.Guard         // guarded by mu
	providers map[mail.Lane]string // guarded by mu: see provider
	failing   bool                 // Run's: the store's last change failed
}

// New makes a List. What it hears is written down by Run.
func New(c Config, d Deps) *List {
	if d.Metrics == nil {
		d.Metrics = metrics.NewSuppress(nil)
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	l := &List{store: d.Store, metrics: d.Metrics, log: d.Log, guard: storm.New(c.Storm), providers: map[mail.Lane]string{}}
	l.inbox.wake, l.inbox.hurry = make(chan struct{}, 1), make(chan struct{}, 1)
	l.Apply(c)
	l.show()
	return l
}

// Apply puts another configuration in force. Entries that are there keep their
// end.
func (l *List) Apply(c Config) {
	c = c.withDefaults()
	l.config.Store(&c)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.guard.Apply(c.Storm)
}

// Find gives the entry that stops mail of a tenant and campaign to a, if there is
// one. It asks the store for what there is any of: nothing while the list is
// empty, once while it has nothing but addresses for all mail, six times at most.
func (l *List) Find(a smtp.Address, tenant, campaign string) (e Entry, stopped bool, err error) {
	c := l.store.Counts()
	if c.none() {
		return e, false, nil
	}
	conf := l.config.Load()
	full, err := NewKey(a, tenant, campaign)
	if errors.Is(err, ErrScope) { // no entry has such a campaign; others of its tenant do
		full, err = NewKey(a, tenant, "")
	}
	if errors.Is(err, ErrScope) {
		full, err = NewKey(a, "", "")
	}
	if err != nil {
		return e, false, nil // the postmaster without a domain
	}
	own := slices.Contains(conf.Own, full.Domain)
	now := time.Now()
	for domain := range c.kinds {
		for scope := range c.kinds[domain] {
			k, ok := full.part(domain, scope)
			if !ok || c.kinds[domain][scope].Load() == 0 {
				continue
			}
			e, ok, err = l.store.Get(k)
			switch {
			case err != nil:
				l.metrics.Errors.Inc()
				return e, false, fmt.Errorf("suppression list: %w", err)
			case !ok || !e.InForce(now):
			case own && e.Reason != Unsubscribe: // our own mailboxes come and go
			case e.Reason == Unsubscribe && slices.Contains(conf.Transactional, tenant):
			default:
				return e, true, nil
			}
		}
	}
	return Entry{}, false, nil
}

// part gives the key of an entry that would stop k's mail; ok is false if k has
// no such part.
func (k Key) part(domain, scope int) (_ Key, ok bool) {
	if domain == 1 {
		k.Local = ""
	} else if k.Local == "" {
		return k, false
	}
	if scope < 2 {
		if scope == 1 && k.Tenant == "" {
			return k, false
		}
		k.Campaign = ""
	}
	if scope == 0 {
		k.Tenant = ""
	}
	return k, scope < 2 || k.Campaign != ""
}

// none reports an empty list, but for what is held.
func (c *Counts) none() bool {
	for d := range c.kinds {
		for s := range c.kinds[d] {
			if c.kinds[d][s].Load() != 0 {
				return false
			}
		}
	}
	return true
}

// Recipient decides on a RCPT of a client that may relay: nil if mail of a tenant
// may go to a, else an *smtp.Error: 550 5.7.1 for who is on the list, 451 if that
// cannot be told.
func (l *List) Recipient(a smtp.Address, tenant string) error {
	e, stopped, err := l.Find(a, tenant, "")
	switch {
	case err != nil:
		return &smtp.Error{Reply: unknown(), Err: err}
	case stopped:
		l.metrics.Hits.WithLabelValues("rcpt").Inc()
		return &smtp.Error{Reply: e.reply(), Err: fmt.Errorf("suppressed: %s", e.Detail)}
	}
	return nil
}

// reply is what a sender hears (RFC 3463 section 3.8: delivery not authorized).
func (e *Entry) reply() smtp.Reply {
	words := map[Reason]string{
		HardBounce: "mail to it failed for good", Returned: "mail to it was returned", Complaint: "its owner complained",
		Unsubscribe: "its owner unsubscribed", Manual: "by the operator", Import: "by the operator",
	}
	return smtp.Reply{
		Code: 550, Status: smtp.Status{5, 7, 1},
		Text: fmt.Sprintf("%s is on the suppression list: %s, %s", e.Subject(), words[e.Reason], e.Created.UTC().Format(time.DateOnly)),
	}
}

func unknown() smtp.Reply {
	return smtp.Reply{Code: 451, Status: smtp.Status{4, 3, 0}, Text: "the suppression list cannot be read, try again later"}
}

// ErrNothing is told by who was asked for a change and given none.
var ErrNothing = errors.New("nothing is named")

// Add makes entries, in one step, that replace those that are there. Created and
// Expires are filled in where they are zero.
func (l *List) Add(ctx context.Context, all []Entry) (Done, error) {
	now := time.Now()
	for i := range all {
		e := &all[i]
		if e.Created.IsZero() || e.Created.After(now) {
			e.Created = now
		}
		if e.Expires.IsZero() {
			e.Expires = l.end(e.Reason, now) // not from Created: a list of old bounces would end as it comes
		}
		if err := e.Check(); err != nil {
			return Done{}, fmt.Errorf("%s: %w", e.Subject(), err)
		}
	}
	return l.change(ctx, Change{Put: all, Force: true, Now: now})
}

// end is when an entry expires that is made now.
func (l *List) end(r Reason, now time.Time) time.Time {
	if d := l.config.Load().Expire[r]; d > 0 {
		return now.Add(d)
	}
	return time.Time{}
}

// change updates store and gauges.
func (l *List) change(ctx context.Context, c Change) (Done, error) {
	done, err := l.store.Update(ctx, c)
	l.show()
	return done, err
}

func (l *List) show() {
	c := l.store.Counts()
	for r := HardBounce; r < reasons; r++ {
		l.metrics.Entries.WithLabelValues(r.String()).Set(float64(c.Reason(r)))
	}
	l.metrics.Held.Set(float64(c.Held()))
}
