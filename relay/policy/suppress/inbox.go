package suppress

import "sync"

// maxInbox bounds what waits to be written down; some 20 MiB at worst.
const maxInbox = 1 << 16

// note is an entry to be.
type note struct {
	entry  Entry
	stream string
	done   chan error // of who waits for it, with room for one; nil: nobody does
}

// inbox is what the list has heard and not written down.
type inbox struct {
	mu    sync.Mutex
	notes []note // guarded by mu

	wake, hurry chan struct{} // with room for one: something is there; somebody waits for it
}

// put adds a note, false if there is no room.
func (b *inbox) put(n note) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.notes) >= maxInbox {
		return false
	}
	b.notes = append(b.notes, n)
	return true
}

func (b *inbox) signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// take gives the oldest notes, at most n.
func (b *inbox) take(n int) []note {
	b.mu.Lock()
	defer b.mu.Unlock()
	n = min(n, len(b.notes))
	all := b.notes[:n:n]
	if b.notes = b.notes[n:]; len(b.notes) == 0 {
		b.notes = nil
	}
	return all
}
