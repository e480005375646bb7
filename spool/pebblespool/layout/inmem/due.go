package inmem

import (
	"container/heap"

	"tenma/spool"
	"tenma/spool/pebblespool/layout"
)

// Never is a time in seconds that does not come.
const Never = 1<<32 - 1

// Due is the committer's view of the parked entries. All that stands up to
// mark was handed out, save what is in late; nothing behind it is due before
// next. Without the mark each look would climb over the tombstones of all that
// was there before (300 ms after 900,000 of them).
//
// An entry may be parked with a time before the mark: it was due already, or
// the clock was set back. It goes into late, in memory, so that the mark need
// never go back, which would hand out again what was handed out.
type Due struct {
	Mark layout.Place // read by others under the mutex of the spool
	Next uint32
	late lateHeap
	in   map[spool.ID]uint32 // the valid entries of late
}

type lateHeap []layout.Place

func (h lateHeap) Len() int           { return len(h) }
func (h lateHeap) Less(i, j int) bool { return h[j].After(h[i]) }
func (h lateHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *lateHeap) Push(x any)        { *h = append(*h, x.(layout.Place)) }
func (h *lateHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// Waiting reports whether an entry that is parked on disk at p has not been
// handed out in this run.
func (d *Due) Waiting(p layout.Place) bool {
	if p.After(d.Mark) {
		return true
	}
	at, ok := d.in[p.ID]
	return ok && at == p.Due
}

// Add notes that an entry was parked at p.
func (d *Due) Add(p layout.Place) {
	if p.After(d.Mark) {
		delete(d.in, p.ID)
		d.Next = min(d.Next, p.Due)
		return
	}
	if d.in == nil {
		d.in = map[spool.ID]uint32{}
	}
	if at, ok := d.in[p.ID]; ok && at == p.Due {
		return
	}
	d.in[p.ID] = p.Due
	heap.Push(&d.late, p)
}

// Forget notes that an entry is parked no more.
func (d *Due) Forget(id spool.ID) { delete(d.in, id) }

// PopLate takes what is due from late.
func (d *Due) PopLate(now uint32, hand func(spool.ID)) {
	for len(d.late) > 0 && d.late[0].Due <= now {
		p := heap.Pop(&d.late).(layout.Place)
		if at, ok := d.in[p.ID]; ok && at == p.Due {
			delete(d.in, p.ID)
			hand(p.ID)
		}
	}
}

// NextLate is when something in late is due.
func (d *Due) NextLate() uint32 {
	if len(d.late) == 0 {
		return Never
	}
	return d.late[0].Due
}
