package rendition

import (
	"container/list"
	"sync"

	"tenma/relay/wire/mime/sevenbit"
	"tenma/spool"
)

// What is remembered at most. A message that goes to several such hosts, or is
// tried again, is asked for within hours; the usual one has half a dozen steps
// and a signature of a KiB or two, so that all take some MiB. The second bound is
// for messages of ten thousand parts.
const (
	maxRecent = 1024
	maxSteps  = 1 << 17
)

// recent are the renditions that were asked for last.
type recent struct {
	mu      sync.Mutex
	entries map[name]*entry // guarded by mu, as are the next two
	order   list.List       // of *entry, last asked for first
	steps   int
}

// name tells renditions apart.
type name struct {
	id   spool.ID
	need sevenbit.Need
}

// entry is what is known of one rendition. Whoever holds its lock may read and
// fill it; others who want the same message wait, so that it is signed once.
type entry struct {
	sync.Mutex
	name
	plan      *sevenbit.Plan // nil: not made yet
	size      int64
	signature []byte

	place *list.Element // guarded by recent.mu, as is steps
	steps int
}

// get gives the entry of a message, a new one if there is none.
func (r *recent) get(n name) *entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[n]
	if e == nil {
		if r.entries == nil {
			r.entries = map[name]*entry{}
		}
		e = &entry{name: n}
		e.place = r.order.PushFront(e)
		r.entries[n] = e
	}
	r.order.MoveToFront(e.place)
	r.shrink()
	return e
}

// grown notes that an entry was filled; its lock is held.
func (r *recent) grown(e *entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.entries[e.name] == e {
		e.steps = e.plan.Steps()
		r.steps += e.steps
		r.shrink()
	}
}

// shrink forgets those that were asked for longest ago. Whoever has one goes on
// with it. mu is held.
func (r *recent) shrink() {
	for len(r.entries) > 1 && (len(r.entries) > maxRecent || r.steps > maxSteps) {
		e := r.order.Remove(r.order.Back()).(*entry)
		delete(r.entries, e.name)
		r.steps -= e.steps
	}
}
