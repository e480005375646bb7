package pebblespool

import (
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"tenma/spool/pebblespool/layout"
	"tenma/spool/pebblespool/layout/inmem"
)

// maxGroup is how many octets a group takes before it is written; what is left
// makes the next one. A sync of 8 MiB takes 10-50 ms on ordinary disks, which
// bounds what a small message waits behind a burst of large ones.
const maxGroup = 8 << 20

var errTimeout = errors.New("a write took longer than the commit time-out")

// longestSleep bounds the committer's timer, because timers follow the
// monotonic clock and due times the wall clock: after the latter was set
// forward, parked mail is late by this at most.
const longestSleep = 5 * time.Minute

// commitLoop is the committer: it takes what waits, stores it with one sync,
// and answers.
func (s *Spool) commitLoop(stop <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	g := s.newGroup()
	for {
		if s.fence.Err() != nil {
			return // failAll answers what waits
		}
		if err := s.popDue(); err != nil {
			s.fence.Fail("read due index", s.o.Dir, err)
			return
		}
		if reqs := s.take(); len(reqs) > 0 {
			if !s.commitGroup(g, reqs) {
				return
			}
			continue
		}
		select {
		case <-stop:
			return // the queue is empty, and nothing comes after stop
		default:
		}
		timer.Reset(s.sleep())
		select {
		case <-s.wake:
		case <-timer.C:
		case <-stop:
		case <-s.fence.Sick():
		}
	}
}

// take gives the requests of the next group.
func (s *Spool) take() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fence.Err() != nil {
		return nil
	}
	n, weight := 0, 0
	for n < len(s.queue) && weight < maxGroup {
		weight += s.queue[n].weigh()
		n++
	}
	reqs := s.queue[:n:n]
	if s.queue = s.queue[n:]; len(s.queue) == 0 {
		s.queue = nil
	}
	if s.expiry.next <= uint32(time.Now().Unix()) {
		reqs = append(reqs, sweep{})
	}
	s.inflight = reqs
	return reqs
}

// sleep is the time until something is due without anybody asking.
func (s *Spool) sleep() time.Duration {
	at := min(s.due.Next, s.expiry.next)
	at = min(at, s.due.NextLate())
	s.mu.Lock()
	if s.feed.room() <= 0 && at == s.due.Next {
		at = s.expiry.next // Feed pokes
	}
	s.mu.Unlock()
	if at == never {
		return longestSleep
	}
	return max(0, min(time.Until(time.Unix(int64(at), 0)), longestSleep))
}

// commitGroup stores reqs and answers them. It returns false if the spool has
// become sick; the answers are then failAll's.
func (s *Spool) commitGroup(g *group, reqs []request) bool {
	start := time.Now()
	g.reset()
	errs := make([]error, len(reqs))
	for i, r := range reqs {
		errs[i] = r.build(g)
		if g.broken != nil {
			s.fence.Fail("read", s.o.Dir, g.broken)
			return false
		}
	}
	if !g.batch.Empty() {
		oldest := g.oldest(inmem.Last())
		s.mu.Lock()
		s.low.Adding(oldest)
		s.mu.Unlock()
		err := s.watched(func() error { return s.db.Apply(g.batch, pebble.Sync) })
		if err != nil {
			s.fence.Fail("commit", s.o.Dir, err)
			return false
		}
	}
	s.install(g)
	s.m.GroupTime.Observe(time.Since(start).Seconds())
	s.m.GroupSize.Observe(float64(len(reqs)))
	for i, r := range reqs {
		r.finish(errs[i])
	}
	return true
}

// watched does what writes, and declares the spool sick if it takes too long: Pebble
// may try a failing table for ever, and the fence may park us.
func (s *Spool) watched(write func() error) error {
	watch := time.AfterFunc(s.o.CommitTimeout, func() { s.fence.Fail("commit", s.o.Dir, errTimeout) })
	defer watch.Stop()
	return write()
}

// install makes a durable group known: to readers, to Feed and to the figures.
func (s *Spool) install(g *group) {
	s.mu.Lock()
	s.inflight = nil
	s.low.Added()
	for _, c := range g.order {
		s.installChange(c)
	}
	for _, body := range g.dying {
		delete(s.dying, body)
	}
	if !g.batch.Empty() {
		s.stats.Groups++
	}
	s.stats.Commits += int64(g.stored)
	s.stats.Settlements += int64(g.settled)
	st, cached := s.stats, s.cache.Used()
	s.mu.Unlock()
	poke(s.fedWake)

	s.m.Groups.Inc()
	s.m.Commits.Add(float64(g.stored))
	s.m.Settlements.Add(float64(g.settled))
	s.m.Entries.Set(float64(st.Entries))
	s.m.Parked.Set(float64(st.Parked))
	s.m.BodyBytes.Set(float64(st.BodyBytes))
	s.m.CachedBytes.Set(float64(cached))
}

// installChange is install for one entry. s.mu is held.
func (s *Spool) installChange(c *change) {
	// Figures: an entry that they hold already counts by the difference.
	known := !c.created && !c.adopt
	s.stats.Entries += count(!c.removed) - count(known)
	s.stats.BodyBytes += c.Size * (count(!c.removed) - count(known))
	s.stats.Parked += count(c.parked) - count(known && c.wasParked)

	s.removed += c.Size * count(c.removed)

	cached := s.cache.Get(c.ID)
	switch {
	case c.removed && cached != nil:
		s.cache.Remove(cached)
	case c.removed:
	case c.created:
		c.Live.State, c.Live.StateLen = c.st, c.stateSize
		s.cache.Add(c.Live, c.data)
	case cached != nil:
		s.cache.Update(cached, c.st, c.stateSize)
	}
	switch {
	case c.reparked:
		s.due.Add(layout.Place{Due: layout.Seconds(c.st.Due), ID: c.ID})
	case c.wasParked && !c.parked:
		s.due.Forget(c.ID)
	}
	if c.feed {
		s.feed.fresh.Push(c.ID)
	}
}

func count(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
