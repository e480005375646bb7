package inmem

import (
	"tenma/spool"
	"tenma/spool/pebblespool/layout"
)

// Low remembers an id that no entry is older than. Without it a scan from the
// beginning would climb over the tombstones of all mail delivered so far.
// NewLow makes one; it is used under the mutex of the spool.
type Low struct {
	At      spool.ID // nothing is older
	group   spool.ID // the oldest that the group under way adds
	added   spool.ID // the oldest added since a scan that looks for a better mark began
	looking bool     // there is such a scan
	since   spool.ID // the oldest added since Watch
}

// NewLow makes a Low of which nothing is known.
func NewLow() Low { return Low{group: Last()} }

// Adding notes the oldest id that a group is about to add, Last if it adds none;
// Added that the group can be seen.
func (l *Low) Adding(oldest spool.ID) {
	l.group = oldest
	l.At, l.added, l.since = Older(l.At, oldest), Older(l.added, oldest), Older(l.since, oldest)
}

// Added is described with Adding.
func (l *Low) Added() { l.group = Last() }

// Look begins a scan from the start and gives the id to begin at. The scan calls
// found with the oldest entry that it saw.
func (l *Low) Look() (from spool.ID, found func(oldest spool.ID)) {
	if l.looking {
		return l.At, func(spool.ID) {}
	}
	// What the group under way adds may not be seen yet.
	l.looking, l.added = true, l.group
	return l.At, func(oldest spool.ID) { l.looking, l.At = false, Older(oldest, l.added) }
}

// Watch begins a span of time, and Since gives the oldest id added in it.
func (l *Low) Watch() { l.since = l.group }

// Since is described with Watch.
func (l *Low) Since() spool.ID { return l.since }

// Last is behind every id.
func Last() (id spool.ID) {
	for i := range id {
		id[i] = 0xff
	}
	return id
}

// Older gives the older of two ids.
func Older(a, b spool.ID) spool.ID {
	if layout.Compare(a, b) < 0 {
		return a
	}
	return b
}
