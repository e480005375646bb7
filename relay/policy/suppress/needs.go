package suppress

import (
	"context"
	"time"

	"tenma/relay/mail"
)

// Store keeps entries. A nil error of Update means that the change is on stable
// storage, as a whole; what a crash leaves of others is the whole or nothing. Its
// methods may be called from any goroutine.
type Store interface {
	// Get gives the entry of a key that is not held; ok is false if there is
	// none. One that has expired is given as it is.
	Get(k Key) (e Entry, ok bool, err error)
	// Counts tells how many entries there are. It is asked before every Get and
	// costs nothing.
	Counts() *Counts
	Update(ctx context.Context, c Change) (Done, error)
	// Scan calls fn for the entries from a key on, by domain, local part, tenant
	// and campaign, until it says false. The zero Key is before all.
	Scan(held bool, from Key, fn func(*Entry) bool) error
	// Made calls fn for the entries with a reason that is Bounced, made at or
	// after since, oldest first, until it says false.
	Made(held bool, since time.Time, fn func(*Entry) bool) error
	// Ended calls fn for the entries that expired at or before a time, until it
	// says false.
	Ended(at time.Time, fn func(*Entry) bool) error
}

// Change is one step. Removals come first, so that an entry may move.
type Change struct {
	Remove []Removal
	Put    []Entry
	Force  bool      // Put replaces what is there; else only what expired or yields
	Now    time.Time // by which entries have expired
}

// Removal names an entry that is to go.
type Removal struct {
	Key
	Held bool
	// If is the Created that it must have, zero for any: what was made anew since
	// it was looked at stays.
	If time.Time
}

// Done tells what a Change came to.
type Done struct {
	Added    int // there was none for the key
	Replaced int // another, or one that had expired
	Kept     int // there was one that stays
	Removed  int
}

// Recorder takes events for the mail log.
type Recorder interface{ Record(*mail.Event) }
