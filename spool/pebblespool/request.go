package pebblespool

import (
	"context"
	"crypto/sha256"
	"sync/atomic"
	"time"

	"tenma/spool"
	"tenma/spool/pebblespool/disk"
	"tenma/spool/pebblespool/layout"
)

// request is what the committer works on.
type request interface {
	// build writes the request into the group, all of it or nothing. Its error
	// is the answer to the request; one that concerns the storage goes to
	// group.broken instead.
	build(g *group) error
	// finish gives the answer, once; later calls do nothing.
	finish(err error)
	// weigh is how many octets it adds to the batch, about.
	weigh() int
}

// waiter is a request that somebody waits for.
type waiter struct {
	claimed atomic.Bool
	done    chan struct{}
	result  error
}

func newWaiter() *waiter { return &waiter{done: make(chan struct{})} }

func (w *waiter) finish(err error) {
	if w.claimed.CompareAndSwap(false, true) {
		w.result = err
		close(w.done)
	}
}

func (w *waiter) wait(ctx context.Context, f *disk.Fence) error {
	select {
	case <-w.done:
		return w.result
	case <-ctx.Done():
		return ctx.Err()
	case <-f.Sick():
	}
	select {
	case <-w.done: // what is durable is durable
		return w.result
	default:
		return f.Err()
	}
}

// commitment is one Commit.
type commitment struct {
	*waiter
	drafts []spool.Draft
}

func (r *commitment) weigh() int { return weighDrafts(r.drafts) }

func weighDrafts(ds []spool.Draft) (n int) {
	for i := range ds {
		n += len(ds[i].Body) + len(ds[i].Envelope) + len(ds[i].State) + 100
	}
	return n
}

func (r *commitment) build(g *group) error {
	plans, err := g.plan(r.drafts, false)
	if err != nil {
		return err
	}
	g.write(plans)
	return nil
}

// defaultDedupe is how long a dedupe key is remembered when the draft does not
// say (Draft.DedupeFor).
const defaultDedupe = 24 * time.Hour

// plan is a draft with what was found out about it before anything is written.
type plan struct {
	draft  *spool.Draft
	body   spool.ID
	size   int64
	hash   layout.Hash // of the dedupe key, if it has one
	shares bool
}

// plan looks at all drafts of a call before any is written. Drafts whose id
// exists are left out; with skipUsed so are those whose dedupe key was used.
func (g *group) plan(drafts []spool.Draft, skipUsed bool) ([]plan, error) {
	plans := g.plans[:0]
	defer func() { g.plans = plans[:0] }()
	for i := range drafts {
		d := &drafts[i]
		p := plan{draft: d, body: d.ID, size: int64(len(d.Body))}
		if known := g.find(d.ID); known != nil || planned(plans, d.ID) != nil {
			continue
		}
		if len(d.DedupeKey) > 0 {
			p.hash = sha256.Sum256(d.DedupeKey)
			first, used := g.dedupeFirst(p.hash)
			for j := range plans {
				if len(plans[j].draft.DedupeKey) > 0 && plans[j].hash == p.hash {
					first, used = plans[j].draft.ID, true
				}
			}
			if used && skipUsed {
				continue
			}
			if used {
				return nil, &spool.DuplicateError{First: first}
			}
		}
		switch {
		case !d.Share.IsZero():
			p.shares = true
			if q := planned(plans, d.Share); q != nil {
				p.body, p.size = q.body, q.size
			} else if c := g.find(d.Share); c != nil {
				p.body, p.size = c.Body, c.Size
			} else {
				return nil, spool.ErrNotFound
			}
		case d.Staged != nil:
			size, ok := g.stagedSize(d.Staged.Key)
			if !ok || g.usedStaged[d.Staged.Key] || stagedTwice(plans, d.Staged.Key) {
				return nil, spool.ErrNotFound
			}
			p.body, p.size = d.Staged.Key, size
		}
		plans = append(plans, p)
	}
	return plans, nil
}

func planned(plans []plan, id spool.ID) *plan {
	for i := range plans {
		if plans[i].draft.ID == id {
			return &plans[i]
		}
	}
	return nil
}

func stagedTwice(plans []plan, key spool.ID) bool {
	for i := range plans {
		if s := plans[i].draft.Staged; s != nil && s.Key == key {
			return true
		}
	}
	return false
}

// settlement is one Settle.
type settlement struct {
	spool.Settlement
	done    func(error)
	claimed atomic.Bool
}

func (r *settlement) finish(err error) {
	if r.claimed.CompareAndSwap(false, true) && r.done != nil {
		r.done(err)
	}
}

func (r *settlement) weigh() int { return 200 + len(r.State) + weighDrafts(r.Drafts) }

func (r *settlement) build(g *group) error {
	c := g.find(r.ID)
	if c == nil {
		return spool.ErrNotFound
	}
	plans, err := g.plan(r.Drafts, true)
	if err != nil {
		return err
	}
	g.write(plans) // before the removal: a draft may share the entry's body
	g.touch(c)
	g.settled++
	if r.Remove {
		g.remove(c)
		return nil
	}
	st := c.st
	if r.State != nil {
		st.Data = r.State
	}
	st.Due, st.Parked = r.Due, r.Park
	if r.Keys != nil {
		g.setWords(c, r.Keys)
		st.Words = len(r.Keys) > 0
	}
	g.park(c, &st)
	g.setState(c, st)
	return nil
}

// unparking is one Unpark.
type unparking struct{ ids []spool.ID }

func (r *unparking) weigh() int   { return 100 * len(r.ids) }
func (r *unparking) finish(error) {}

func (r *unparking) build(g *group) error {
	for _, id := range r.ids {
		c := g.find(id)
		if c == nil || !c.parked {
			continue
		}
		g.touch(c)
		st := c.st
		st.Parked = false
		g.park(c, &st)
		g.setState(c, st)
	}
	return nil
}
