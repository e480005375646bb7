package queue

import (
	"context"
	"errors"
	"slices"
	"time"

	"tenma/relay/queue/lanes"

	"tenma/relay/queue/fate"
	"tenma/relay/queue/item"
	"tenma/relay/queue/view"
	"tenma/spool"
)

// The queue as an operator sees it.
type (
	Filter      = view.Filter
	Message     = view.Message
	Summary     = view.Summary
	LaneSummary = view.LaneSummary
)

// page is how many messages an operator's method has under way at a time.
const page = 256

// op is one operation on one message.
type op struct {
	kind opKind
	done func(error) // called once; must not block
}

type opKind uint8

const (
	opRetry opKind = iota
	opDelete
	opHold
	opRelease
)

// errUnchanged says that there was nothing to do.
var errUnchanged = errors.New("queue: unchanged")

// exclusive operations have nothing started before them, and wait for what is
// running.
func (o op) exclusive() bool { return o.kind == opDelete || o.kind == opHold }

// apply does the next operation of a ledger that is not settling.
func (s *shard) apply(l *ledger, o op) {
	var vs []fate.Verdict
	changed := false
	switch o.kind {
	case opRetry:
		for i := range l.state.Recipients {
			r := &l.state.Recipients[i]
			if !r.Fate.Final() && !l.out[i] && r.Due.After(s.now) && !l.state.Held {
				r.Due, changed = time.Time{}, true
			}
		}
	case opDelete:
		vs = fate.Delete(&l.state)
		changed = true
	case opHold, opRelease:
		changed = l.state.Held != (o.kind == opHold)
		l.state.Held = o.kind == opHold
	}
	if !changed {
		o.done(errUnchanged)
		return
	}
	s.beginSettlement(l)
	l.after = o.done
	s.commit(l, vs, nil)
}

// Retry makes every deferred recipient of the messages due now, parked ones
// too, and returns how many messages that changed. A held message stays held.
// Lanes that rest make their next probe now.
func (q *Queue) Retry(ctx context.Context, f Filter) (int, error) {
	if err := q.onShards(ctx, func(s *shard) { s.resting.Probe(s.now) }); err != nil {
		return 0, err
	}
	return q.operate(ctx, f, opRetry)
}

// Delete removes messages without a DSN; each recipient that had no fate yet
// gets an AdminBounce event. Running attempts finish first and count. It
// returns how many messages it removed; those that wait for an attempt when ctx
// ends are removed later.
func (q *Queue) Delete(ctx context.Context, f Filter) (int, error) {
	return q.operate(ctx, f, opDelete)
}

// Hold keeps messages from being tried until Release, over restarts; running
// attempts finish first. A held message does not expire before its release. It
// returns how many messages were not held before.
func (q *Queue) Hold(ctx context.Context, f Filter) (int, error) { return q.operate(ctx, f, opHold) }

// Release ends Hold and returns for how many messages.
func (q *Queue) Release(ctx context.Context, f Filter) (int, error) {
	return q.operate(ctx, f, opRelease)
}

// operate does kind to every message that f selects, a page at a time, so that
// no view of the store is kept open while attempts finish.
func (q *Queue) operate(ctx context.Context, f Filter, kind opKind) (int, error) {
	total := 0
	f.Limit = page
	for {
		ms, last, err := view.Match(ctx, q.deps.Spool, f, q.wall())
		if err != nil {
			return total, err
		}
		ids := make([]spool.ID, len(ms))
		for i, m := range ms {
			ids[i] = m.ID
		}
		n, err := q.operateOn(ctx, ids, kind)
		total += n
		if err != nil || last.IsZero() {
			return total, err
		}
		f.After = last
	}
}

func (q *Queue) operateOn(ctx context.Context, ids []spool.ID, kind opKind) (int, error) {
	results := make(chan error, len(ids))
	for _, id := range ids {
		o := &op{kind: kind, done: func(err error) { results <- err }}
		s := q.owner(id)
		s.box.Post(msg{kind: perform, do: func() { s.look(id, ask{op: o}) }})
	}
	n := 0
	var failed error
	for range ids {
		select {
		case err := <-results:
			switch {
			case err == nil:
				n++
			case !errors.Is(err, errUnchanged) && !errors.Is(err, spool.ErrNotFound):
				failed = err
			}
		case <-ctx.Done():
			return n, ctx.Err()
		case <-q.closed:
			return n, ErrClosed
		}
	}
	return n, failed
}

// List gives the messages that f selects, oldest first.
func (q *Queue) List(ctx context.Context, f Filter) ([]Message, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	ms, _, err := view.Match(ctx, q.deps.Spool, f, q.wall())
	if err == nil {
		err = q.addLanes(ctx, ms)
	}
	if err != nil {
		return nil, err // a shard may still write to ms
	}
	return ms, nil
}

// Show gives one message, or spool.ErrNotFound.
func (q *Queue) Show(ctx context.Context, id spool.ID) (Message, error) {
	e, err := q.deps.Spool.Get(ctx, id)
	if err != nil {
		return Message{}, err
	}
	m, err := view.Decode(&e)
	if err != nil {
		return Message{}, err
	}
	ms := []Message{m}
	if err := q.addLanes(ctx, ms); err != nil {
		return Message{}, err
	}
	return ms[0], nil
}

// onShards runs fn on every shard, one after the other.
func (q *Queue) onShards(ctx context.Context, fn func(*shard)) error {
	for _, s := range q.shards {
		done := make(chan struct{})
		s.box.Post(msg{kind: perform, do: func() { fn(s); close(done) }})
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		case <-q.closed:
			return ErrClosed
		}
	}
	return nil
}

// addLanes fills in where messages are now.
func (q *Queue) addLanes(ctx context.Context, ms []Message) error {
	return q.onShards(ctx, func(s *shard) {
		for i := range ms {
			m := &ms[i]
			add := func(key string) {
				if n := lanes.Name(key); n != "" && !slices.Contains(m.Lanes, n) {
					m.Lanes = append(m.Lanes, n)
				}
			}
			if l := s.ledgers[m.ID]; l != nil {
				for _, p := range l.parts {
					add(p.key)
				}
			}
			s.items.Of(m.ID, func(it *item.Item) { add(s.names.Key(it.Lane)) })
		}
	})
}

// Summary counts what is in memory now, by lane, the longest backlog first. It
// goes through all items: 1 to 2 ms for 100,000.
func (q *Queue) Summary(ctx context.Context) (Summary, error) {
	st := q.deps.Spool.Stats()
	sum := Summary{Messages: st.Entries, Parked: st.Parked, Rebuilding: st.Rebuilding}
	byKey := map[string]*LaneSummary{}
	if err := q.onShards(ctx, func(s *shard) { s.summary(&sum, byKey) }); err != nil {
		return Summary{}, err
	}
	for _, l := range byKey {
		sum.Lanes = append(sum.Lanes, *l)
	}
	sum.Sort()
	sum.Quote(ctx, q.deps.Spool)
	return sum, nil
}

func (s *shard) summary(sum *Summary, byKey map[string]*LaneSummary) {
	get := func(key string) *LaneSummary {
		l := byKey[key]
		if l == nil {
			l = &LaneSummary{Lane: lanes.Name(key)}
			byKey[key] = l
		}
		return l
	}
	s.items.Each(func(_ uint32, it *item.Item) {
		l := get(s.names.Key(it.Lane))
		l.Has(it.ID)
		if it.Kind == item.Waiting {
			l.Deferred++
			sum.Deferred++
		} else {
			l.Ready++
			sum.Ready++
		}
	})
	for key, l := range s.lanes {
		out := get(key)
		for c := range l.open {
			out.Ready += int64(l.open[c] + l.looking[c])
			sum.Ready += int64(l.open[c] + l.looking[c])
			if p := l.ready[c].First(); p != nil {
				out.Seen(p.Envelope.Received)
			}
		}
		for _, r := range l.runs {
			n, oldest := r.running()
			out.Running += int64(n)
			sum.Running += int64(n)
			out.Seen(oldest)
		}
		out.LastReply, out.LastAt = l.last.Get()
		out.Since, out.Resting = l.rest.Span()
	}
}

// running counts what a run has taken and not answered for.
func (r *run) running() (n int, oldest time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, p := range r.held {
		if i == 0 || p.Envelope.Received.Before(oldest) {
			oldest = p.Envelope.Received
		}
	}
	return len(r.held), oldest
}
