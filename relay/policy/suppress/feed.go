package suppress

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tenma/relay/policy/suppress/storm"
	"tenma/relay/wire/smtp"
)

// Fact is a reason not to write to somebody again.
type Fact struct {
	Recipient        smtp.Address
	Tenant, Campaign string // whose mail is to stop; "": all
	Reason           Reason
	Rule             string // of the classifier
	Detail           string // the reply, or what a report says
	Message          string // id of our message, if known
	// Provider is who says so, for HardBounce; "": the domain.
	Provider string
	// Sender is whose failure it is, where there is no Tenant.
	Sender smtp.Domain
}

const (
	// gather is how long the failures of our own mail wait for each other, so that
	// a thousand of them cost one write. What a crash loses of them is learned
	// again with the next mail.
	gather = time.Second
	// tickEvery is how often storms are looked at, sweepEvery expired entries.
	tickEvery  = time.Minute
	sweepEvery = time.Hour
	// batch bounds the entries of one change.
	batch = 1000
)

// Suppress makes an entry of a fact and returns when it is on stable storage, or
// when the fact is known not to make one: there is one already, or it is held
// back in a storm. It may be repeated. Facts that come at a time share a write.
func (l *List) Suppress(ctx context.Context, f Fact) error {
	n, err := l.note(f, time.Now())
	if err != nil {
		return err
	}
	n.done = make(chan error, 1)
	if !l.inbox.put(n) {
		return errors.New("suppression list: too busy, try again later")
	}
	l.inbox.signal(l.inbox.hurry)
	select {
	case err := <-n.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Stands reports that Suppress would change nothing, since an entry that a fact would
// make, or one that weighs no less, is in force for the very address and scope.
func (l *List) Stands(f Fact) (bool, error) {
	now := time.Now()
	n, err := l.note(f, now)
	if err != nil {
		return false, err
	}
	e, ok, err := l.store.Get(n.entry.Key)
	if err != nil {
		return false, fmt.Errorf("suppression list: %w", err)
	}
	return ok && e.InForce(now) && !e.Yields(&n.entry), nil
}

// note turns a fact into an entry to be.
func (l *List) note(f Fact, now time.Time) (note, error) {
	if !named(f.Tenant) {
		return note{}, ErrScope
	}
	k, err := NewKey(f.Recipient, f.Tenant, f.Campaign)
	if err != nil {
		return note{}, err
	}
	e := Entry{
		Key: k, Reason: f.Reason, Rule: f.Rule, Detail: f.Detail, Message: f.Message, Creator: "relay",
		Created: now, Expires: l.end(f.Reason, now),
	}
	stream := f.Tenant
	if f.Reason.Bounced() {
		switch e.Provider = f.Provider; {
		case f.Reason == Returned:
			e.Provider = byReport
		case e.Provider == "":
			e.Provider = string(k.Domain)
		}
		if stream == "" {
			stream = "@" + string(f.Sender)
		}
	}
	if err := e.Check(); err != nil {
		return note{}, err
	}
	return note{entry: e, stream: stream}, nil
}

// Run writes down what the list hears, and looks after what ends. Cancelling ctx
// ends it, with all that was heard before on stable storage.
func (l *List) Run(ctx context.Context) error {
	ticks, sweeps := time.NewTicker(tickEvery), time.NewTicker(sweepEvery)
	defer ticks.Stop()
	defer sweeps.Stop()
	for {
		select {
		case <-ctx.Done():
			l.empty()
			return nil
		case <-ticks.C:
			l.tick(time.Now())
		case <-sweeps.C:
			l.sweep(time.Now())
		case <-l.inbox.hurry:
			l.empty()
		case <-l.inbox.wake:
			l.wait(ctx)
			l.empty()
		}
	}
}

// wait lets more come, unless somebody waits for it.
func (l *List) wait(ctx context.Context) {
	t := time.NewTimer(gather)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.inbox.hurry:
	case <-ctx.Done():
	}
}

// empty writes down all that was heard.
func (l *List) empty() {
	for {
		notes := l.inbox.take(batch)
		if len(notes) == 0 {
			return
		}
		err := l.write(context.Background(), notes)
		for _, n := range notes {
			if n.done != nil {
				n.done <- err
			} else if err != nil {
				l.metrics.Lost.Inc()
			}
		}
		if err != nil && !l.failing {
			l.log.Error("the suppression list cannot be written", "error", err)
		}
		l.failing = err != nil
	}
}

// write makes entries of notes. A storm that begins among them takes back what
// came before.
func (l *List) write(ctx context.Context, notes []note) error {
	now := time.Now()
	held := l.store.Counts().Held() > 0
	c := Change{Now: now}
	for _, n := range notes {
		e := n.entry
		switch l.judge(&e, n.stream) {
		case storm.Begins:
			if err := l.keep(ctx, &c); err != nil {
				return err
			}
			if err := l.takeBack(ctx, e.Provider, now); err != nil {
				return err
			}
			fallthrough
		case storm.Storm:
			e.Held, e.Expires, held = true, now.Add(l.config.Load().HoldFor), true
		default:
			if held { // it failed again, and not in a storm
				c.Remove = append(c.Remove, Removal{Key: e.Key, Held: true})
			}
		}
		c.Put = append(c.Put, e)
	}
	return l.keep(ctx, &c)
}

// judge says whether a failure is to be believed.
func (l *List) judge(e *Entry, stream string) storm.Verdict {
	if !e.Reason.Bounced() {
		return storm.Calm
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.guard.Failed(e.Provider, stream, e.Created)
	if v == storm.Begins {
		l.metrics.Storms.Set(float64(len(l.guard.Storms())))
	}
	return v
}

// keep makes what was gathered durable, and begins anew.
func (l *List) keep(ctx context.Context, c *Change) error {
	if len(c.Put) == 0 {
		return nil
	}
	before := map[Reason]int{}
	for i := range c.Put {
		if !c.Put[i].Held {
			before[c.Put[i].Reason]++
		}
	}
	done, err := l.change(ctx, *c)
	if err != nil {
		return err
	}
	if done.Added+done.Replaced > 0 {
		for r, n := range before {
			l.metrics.Made.WithLabelValues(r.String()).Add(float64(n))
		}
	}
	*c = Change{Now: c.Now}
	return nil
}

// takeBack holds the entries that failures at a provider made in the last window:
// when a storm is noticed it has begun already.
func (l *List) takeBack(ctx context.Context, provider string, now time.Time) error {
	l.mu.Lock()
	since := now.Add(-2 * l.guard.Window())
	l.mu.Unlock()
	n, err := l.moveAll(ctx, Selection{Since: since, Provider: provider}, now, true)
	l.log.Warn("mail to a provider fails far more than usual: a storm; its failures make no entries in the suppression list, and those of the last minutes are held back",
		"provider", provider, "held", n, "command", "tenma suppress list --held")
	if err != nil {
		return fmt.Errorf("entries of a storm cannot be held back: %w", err)
	}
	return nil
}

// tick ends storms.
func (l *List) tick(now time.Time) {
	l.mu.Lock()
	over := l.guard.Tick(now)
	l.metrics.Storms.Set(float64(len(l.guard.Storms())))
	l.mu.Unlock()
	for _, o := range over {
		l.log.Warn("a storm of failures is over; what it made is held: release it, or leave it, and what fails again becomes an entry",
			"provider", o.Provider, "since", o.Began.UTC(), "failures", o.Failures, "command", "tenma suppress release --provider "+o.Provider)
	}
}

// sweep removes what has expired.
func (l *List) sweep(now time.Time) {
	for {
		c := Change{Now: now}
		err := l.store.Ended(now, func(e *Entry) bool {
			c.Remove = append(c.Remove, Removal{Key: e.Key, Held: e.Held, If: e.Created})
			return len(c.Remove) < batch
		})
		if err == nil && len(c.Remove) > 0 {
			_, err = l.change(context.Background(), c)
		}
		if err != nil {
			l.log.Error("expired entries of the suppression list cannot be removed", "error", err)
			return
		}
		if len(c.Remove) < batch {
			return
		}
	}
}
