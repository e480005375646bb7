package item

import (
	"time"

	"tenma/spool"
)

// Recent remembers ids for a while: at least For, at most twice that, counted
// by the times that Add and Has are given. The zero value, with For set, is
// ready.
type Recent struct {
	For      time.Duration
	now, old map[spool.ID]struct{}
	since    time.Time
}

// Add remembers id from now on.
func (r *Recent) Add(id spool.ID, at time.Time) {
	r.age(at)
	if r.now == nil {
		r.now = map[spool.ID]struct{}{}
	}
	r.now[id] = struct{}{}
}

// Has reports whether id was added not long ago.
func (r *Recent) Has(id spool.ID, at time.Time) bool {
	if len(r.now)+len(r.old) == 0 {
		return false
	}
	r.age(at)
	_, now := r.now[id]
	_, old := r.old[id]
	return now || old
}

// age drops what is old enough. A clock that was set back starts anew.
func (r *Recent) age(at time.Time) {
	switch d := at.Sub(r.since); {
	case d >= 2*r.For:
		r.now, r.old, r.since = nil, nil, at
	case d >= r.For || d < 0:
		r.now, r.old, r.since = nil, r.now, at
	}
}
