package pebblespool

import (
	"container/heap"
	"encoding/binary"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"tenma/spool"
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
	k := keyOf(kindRefs, body)
	v := g.get(k[:])
	if v == nil {
		return 1
	}
	n, used := binary.Uvarint(v)
	if used <= 0 {
		g.broken = errRecord
	}
	return n
}

func (g *group) addRef(body spool.ID) { g.setRefs(body, g.refCount(body)+1) }

func (g *group) setRefs(body spool.ID, n uint64) {
	old := g.refCount(body)
	g.refs[body] = n
	k := keyOf(kindRefs, body)
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
func (g *group) dedupeFirst(h hash) (spool.ID, bool) {
	if first, ok := g.dedupes[h]; ok {
		return first, true
	}
	k := keyOfHash(h)
	v := g.get(k[:])
	if v == nil {
		return spool.ID{}, false
	}
	d, err := readDedupe(v)
	if err != nil {
		g.broken = err
	}
	return d.first, d.expiry > uint32(time.Now().Unix())
}

func (g *group) setDedupe(h hash, first spool.ID, until time.Time) {
	d := dedupe{first, seconds(until)}
	k := keyOfHash(h)
	g.set(k[:], d.append(nil))
	x := keyOfExpiry(d.expiry, h)
	g.set(x[:], nil)
	g.dedupes[h] = first
	g.s.expiry.next = min(g.s.expiry.next, d.expiry)
}

// expiries is the committer's view of the expiry index: what stands before mark
// was dealt with, and nothing expires before next.
type expiries struct{ mark, next uint32 }

// sweepBatch is how many index entries are taken at a time, so that no group
// waits long for a sweep (1,000 take 1-3 ms).
const sweepBatch = 1000

// sweepEvery is how many seconds lie between sweeps, each of which costs a sync.
const sweepEvery = 60

// sweep forgets dedupe keys that have expired, as a request of its own.
type sweep struct{}

func (sweep) weigh() int   { return 0 }
func (sweep) finish(error) {}

func (sweep) build(g *group) error {
	e := &g.s.expiry
	now := uint32(time.Now().Unix())
	low := keyOfExpiry(e.mark, hash{})
	it, err := g.s.iter(low[:], []byte{kindExpiry + 1})
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
		var h hash
		copy(h[:], k[5:])
		g.del(k, 0)
		dk := keyOfHash(h)
		v := g.get(dk[:])
		// A later use of the key has its own, later entry.
		if d, err := readDedupe(v); err == nil && d.expiry == at && g.dedupes[h].IsZero() {
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

const never = 1<<32 - 1

// The due index.

// dueLen is the length of its values, which are the run that wrote them.
const dueLen = 8

func dueValue(run uint64) []byte { return binary.BigEndian.AppendUint64(nil, run) }

// dueIndex is the committer's view of the parked entries. All that stands up to
// mark was handed out, save what is in late; nothing behind it is due before
// next. Without the mark each look would climb over the tombstones of all that
// was there before (300 ms after 900,000 of them).
//
// An entry may be parked with a time before the mark: it was due already, or
// the clock was set back. It goes into late, in memory, so that the mark need
// never go back, which would hand out again what was handed out.
type dueIndex struct {
	mark place // read by others under Spool.mu
	next uint32
	late lateHeap
	in   map[spool.ID]uint32 // the valid entries of late
}

type lateHeap []place

func (h lateHeap) Len() int           { return len(h) }
func (h lateHeap) Less(i, j int) bool { return h[j].after(h[i]) }
func (h lateHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *lateHeap) Push(x any)        { *h = append(*h, x.(place)) }
func (h *lateHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// waiting reports whether an entry that is parked on disk at p has not been
// handed out in this run.
func (d *dueIndex) waiting(p place) bool {
	if p.after(d.mark) {
		return true
	}
	at, ok := d.in[p.id]
	return ok && at == p.due
}

// add notes that an entry was parked at p.
func (d *dueIndex) add(p place) {
	if p.after(d.mark) {
		delete(d.in, p.id)
		d.next = min(d.next, p.due)
		return
	}
	if d.in == nil {
		d.in = map[spool.ID]uint32{}
	}
	if at, ok := d.in[p.id]; ok && at == p.due {
		return
	}
	d.in[p.id] = p.due
	heap.Push(&d.late, p)
}

func (d *dueIndex) forget(id spool.ID) { delete(d.in, id) }

// popLate takes what is due from late.
func (d *dueIndex) popLate(now uint32, hand func(spool.ID)) {
	for len(d.late) > 0 && d.late[0].due <= now {
		p := heap.Pop(&d.late).(place)
		if at, ok := d.in[p.id]; ok && at == p.due {
			delete(d.in, p.id)
			hand(p.id)
		}
	}
}

// popDue hands to Feed what is due, as long as Feed keeps up.
func (s *Spool) popDue() error {
	now := uint32(time.Now().Unix())
	d := &s.due
	s.mu.Lock()
	d.popLate(now, func(id spool.ID) {
		s.feed.fresh.push(id)
		s.stats.Parked--
	})
	s.mu.Unlock()
	for d.next <= now {
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
	low := keyOfDue(d.mark.due, d.mark.id)
	it, err := s.iter(append(low[:], 0), []byte{kindDue + 1})
	if err != nil {
		return err
	}
	defer it.Close()
	type found struct {
		place
		run uint64
	}
	page := make([]found, 0, 64)
	d.next = never
	for ok := it.First(); ok; ok = it.Next() {
		p, ok := placeOf(it.Key())
		if !ok {
			return errRecord
		}
		if p.due > now || len(page) == most {
			d.next = p.due
			break
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if len(v) != dueLen {
			return errRecord
		}
		page = append(page, found{p, binary.BigEndian.Uint64(v)})
	}
	if err := it.Error(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range page {
		s.feed.fresh.push(f.id)
		if f.run == s.run || s.feed.seen(f.id) {
			s.stats.Parked--
		}
		d.mark = f.place
	}
	return nil
}

// iter opens a bounded iterator.
func (s *Spool) iter(low, high []byte) (*pebble.Iterator, error) {
	return s.db.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
}
