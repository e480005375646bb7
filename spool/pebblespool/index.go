package pebblespool

import (
	"encoding/binary"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"tenma/spool"
	"tenma/spool/pebblespool/layout"
	"tenma/spool/pebblespool/layout/inmem"
)

// References to shared bodies. A body with one owner has no record, so the
// ordinary message pays nothing.

func (g *group) refCount(body spool.ID) uint64 {
	if n, ok := g.refs[body]; ok {
		return n
	}
	if g.s.sharedNum == 0 {
		return 1
	}
	k := layout.Key(layout.KindRefs, body)
	v := g.get(k[:])
	if v == nil {
		return 1
	}
	n, used := binary.Uvarint(v)
	if used <= 0 {
		g.broken = layout.ErrRecord
	}
	return n
}

func (g *group) addRef(body spool.ID) { g.setRefs(body, g.refCount(body)+1) }

func (g *group) setRefs(body spool.ID, n uint64) {
	old := g.refCount(body)
	g.refs[body] = n
	k := layout.Key(layout.KindRefs, body)
	if n <= 1 {
		g.del(k[:], len(binary.AppendUvarint(nil, old)))
		g.s.sharedNum--
		return
	}
	if old <= 1 {
		g.s.sharedNum++
	}
	g.set(k[:], binary.AppendUvarint(nil, n))
}

// Dedupe keys.

// dedupeFirst gives the id that used the key before, if it is remembered.
func (g *group) dedupeFirst(h layout.Hash) (spool.ID, bool) {
	if first, ok := g.dedupes[h]; ok {
		return first, true
	}
	k := layout.DedupeKey(h)
	v := g.get(k[:])
	if v == nil {
		return spool.ID{}, false
	}
	d, err := layout.ReadDedupe(v)
	if err != nil {
		g.broken = err
	}
	return d.First, d.Expiry > uint32(time.Now().Unix())
}

func (g *group) setDedupe(h layout.Hash, first spool.ID, until time.Time) {
	d := layout.Dedupe{First: first, Expiry: layout.Seconds(until)}
	k := layout.DedupeKey(h)
	g.set(k[:], d.Append(nil))
	x := layout.ExpiryKey(d.Expiry, h)
	g.set(x[:], nil)
	g.dedupes[h] = first
	g.s.expiry.next = min(g.s.expiry.next, d.Expiry)
}

// expiries is the committer's view of the expiry index: what stands before mark
// was dealt with, and nothing expires before next.
type expiries struct{ mark, next uint32 }

// sweepBatch is how many index entries are taken at a time, so that no group
// waits long for a sweep (1,000 take 1-3 ms).
const sweepBatch = 1000

// sweepEvery is how many layout.Seconds lie between sweeps, each of which costs a sync.
const sweepEvery = 60

// sweep forgets dedupe keys that have expired, as a request of its own.
type sweep struct{}

func (sweep) weigh() int   { return 0 }
func (sweep) finish(error) {}

func (sweep) build(g *group) error {
	e := &g.s.expiry
	now := uint32(time.Now().Unix())
	low := layout.ExpiryKey(e.mark, layout.Hash{})
	it, err := g.s.iter(low[:], []byte{layout.KindExpiry + 1})
	if err != nil {
		g.broken = err
		return nil
	}
	defer it.Close()
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		k := it.Key()
		at := binary.BigEndian.Uint32(k[1:])
		switch {
		case at > now:
			e.mark, e.next = at, max(at, now+sweepEvery)
			return nil
		case n == sweepBatch:
			e.mark, e.next = at, at
			return nil
		}
		n++
		var h layout.Hash
		copy(h[:], k[5:])
		g.del(k, 0)
		dk := layout.DedupeKey(h)
		v := g.get(dk[:])
		// A later use of the key has its own, later entry.
		if d, err := layout.ReadDedupe(v); err == nil && d.Expiry == at && g.dedupes[h].IsZero() {
			g.del(dk[:], len(v))
		}
	}
	e.mark, e.next = now, never
	if len(g.dedupes) > 0 {
		e.next = now + sweepEvery
	}
	if it.Error() != nil {
		g.broken = it.Error()
	}
	return nil
}

const never = inmem.Never

// The due index.

// popDue hands to Feed what is due, as long as Feed keeps up.
func (s *Spool) popDue() error {
	now := uint32(time.Now().Unix())
	d := &s.due
	s.mu.Lock()
	d.PopLate(now, func(id spool.ID) {
		s.feed.fresh.Push(id)
		s.stats.Parked--
	})
	s.mu.Unlock()
	for d.Next <= now {
		s.mu.Lock()
		room := s.feed.room()
		s.mu.Unlock()
		if room <= 0 {
			break // Feed pokes the committer when it has caught up
		}
		if err := s.popPage(now, min(room, sweepBatch)); err != nil {
			return err
		}
	}
	poke(s.fedWake)
	return nil
}

func (s *Spool) popPage(now uint32, most int) error {
	d := &s.due
	low := layout.DueKey(d.Mark.Due, d.Mark.ID)
	it, err := s.iter(append(low[:], 0), []byte{layout.KindDue + 1})
	if err != nil {
		return err
	}
	defer it.Close()
	type found struct {
		layout.Place
		run uint64
	}
	page := make([]found, 0, 64)
	d.Next = never
	for ok := it.First(); ok; ok = it.Next() {
		p, ok := layout.PlaceOf(it.Key())
		if !ok {
			return layout.ErrRecord
		}
		if p.Due > now || len(page) == most {
			d.Next = p.Due
			break
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if len(v) != layout.DueLen {
			return layout.ErrRecord
		}
		page = append(page, found{p, binary.BigEndian.Uint64(v)})
	}
	if err := it.Error(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range page {
		s.feed.fresh.Push(f.ID)
		if f.run == s.run || s.feed.seen(f.ID) {
			s.stats.Parked--
		}
		d.Mark = f.Place
	}
	return nil
}

// iter opens a bounded iterator.
func (s *Spool) iter(low, high []byte) (*pebble.Iterator, error) {
	return s.db.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
}
