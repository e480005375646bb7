// Package mailbox carries what goroutines tell one of their number.
//
// The owner of a Box sleeps until Wake has its token, takes all that stands
// there at once, and works through it: one lock, one wake-up and one reading of
// the clock for a batch, however many wrote to it meanwhile.
package mailbox

import "sync"

// Box takes messages from any goroutine and never blocks, so that two owners
// that write to each other cannot wait for each other. It has no bound of its
// own: what stands in it is bounded by what its writers may have open.
type Box[M any] struct {
	Wake chan struct{} // one token: there is something to take

	mu   sync.Mutex
	full []M
}

// New makes an empty Box.
func New[M any]() *Box[M] { return &Box[M]{Wake: make(chan struct{}, 1)} }

// Post adds messages in their order.
func (b *Box[M]) Post(m ...M) {
	b.mu.Lock()
	first := len(b.full) == 0
	b.full = append(b.full, m...)
	b.mu.Unlock()
	if first {
		select {
		case b.Wake <- struct{}{}:
		default:
		}
	}
}

// Take gives all messages and leaves empty in their place.
func (b *Box[M]) Take(empty []M) []M {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.full
	b.full = empty[:0]
	return all
}
