// Package item keeps the queue's messages that have nothing under way in little
// memory: 32-octet records without pointers in a chunked slab, a heap of record
// numbers for those that wait for their time, lists through the records for
// those that wait for a place in a lane, and an index by message id. A million
// take under 50 MB and are nothing to the garbage collector.
//
// A Store belongs to one goroutine.
package item

import (
	"unsafe"

	"tenma/spool"
)

// Item stands for a message that has no open ledger. It is a hint, "look at this
// message then", and the spool holds the truth: one too many or out of date does
// no harm.
type Item struct {
	ID   spool.ID
	When uint32 // Unix seconds. Waiting: due; Overflow: the message's expiry
	Lane uint32 // number of the lane's name
	link uint32 // Waiting: position in the heap; Overflow: next of the list; free: next free
	Kind Kind
	// Class is the priority class of an overflow item.
	Class uint8
	_     [2]byte
}

// Seconds is the time of an Item for a Unix time, as close as it can be.
func Seconds(unix int64) uint32 { return uint32(min(max(unix, 0), 1<<32-2)) }

// Kind says where an item stands.
type Kind uint8

// Kinds of item.
const (
	free     Kind = iota
	Waiting       // in the heap until its time; one for each message at most
	Overflow      // in the list of a lane that has no place for it; one for each message and lane
	dead          // in a list, to be dropped when it comes up
)

// List is a list of overflow items, first in, first out. The zero value is
// empty.
type List struct {
	head, tail uint32
	n          int
}

// Len counts the items of the list, buried ones too.
func (l *List) Len() int { return l.n }

// Store keeps the items of one shard.
type Store struct {
	slab     slab
	heap     dueHeap
	byID     index
	overflow int
}

// NewStore makes an empty Store.
func NewStore() *Store { return &Store{slab: newSlab()} }

// Waiting and Overflowing count the items of each kind.
func (s *Store) Waiting() int     { return len(s.heap.a) }
func (s *Store) Overflowing() int { return s.overflow }

// Mapped is how many octets lie outside Go's heap, where its figures do not show them.
func (s *Store) Mapped() int64 { return int64(s.slab.mapped) * int64(unsafe.Sizeof([chunkSize]Item{})) }

// Wait makes the message's waiting item come due then. It reports whether there
// was none before; only then lane is kept.
func (s *Store) Wait(id spool.ID, when, lane uint32) (added bool) {
	if i := s.byID.find(&s.slab, id, Waiting, 0); i != none {
		if it := s.slab.at(i); it.When != when {
			it.When = when
			s.heap.fix(&s.slab, i)
		}
		return false
	}
	i := s.slab.add(Item{ID: id, When: when, Lane: lane, Kind: Waiting})
	s.heap.push(&s.slab, i)
	s.byID.add(&s.slab, i)
	return true
}

// Unwait drops the message's waiting item and gives its lane; ok is false if
// there is none.
func (s *Store) Unwait(id spool.ID) (lane uint32, ok bool) {
	i := s.byID.find(&s.slab, id, Waiting, 0)
	if i == none {
		return 0, false
	}
	lane = s.slab.at(i).Lane
	s.heap.remove(&s.slab, i)
	s.byID.remove(&s.slab, i)
	s.slab.drop(i)
	return lane, true
}

// Next is the waiting item that comes due first.
func (s *Store) Next() (id spool.ID, when uint32, ok bool) {
	if len(s.heap.a) == 0 {
		return id, 0, false
	}
	it := s.slab.at(s.heap.a[0])
	return it.ID, it.When, true
}

// Shift moves the time of all waiting items by that many seconds. All move
// alike, so the heap stays one.
func (s *Store) Shift(by int64) {
	for _, i := range s.heap.a {
		it := s.slab.at(i)
		it.When = uint32(min(max(int64(it.When)+by, 0), 1<<32-2))
	}
}

// Push puts an overflow item at the end of its lane's list. It does nothing and
// reports false if the message has one there already.
func (s *Store) Push(l *List, id spool.ID, when, lane uint32, class uint8) bool {
	if s.byID.find(&s.slab, id, Overflow, lane) != none {
		return false
	}
	i := s.slab.add(Item{ID: id, When: when, Lane: lane, link: none, Kind: Overflow, Class: class})
	s.byID.add(&s.slab, i)
	if l.n == 0 {
		l.head = i
	} else {
		s.slab.at(l.tail).link = i
	}
	l.tail = i
	l.n++
	s.overflow++
	return true
}

// Pop drops the first item of a list, which must not be empty; live is false if
// it was buried.
func (s *Store) Pop(l *List) (id spool.ID, live bool) {
	i := l.head
	it := s.slab.at(i)
	id, live = it.ID, it.Kind == Overflow
	l.head = it.link
	l.n--
	if live {
		s.bury(i)
	}
	s.slab.drop(i)
	return id, live
}

// bury takes an overflow item out of everything but its list.
func (s *Store) bury(i uint32) {
	s.byID.remove(&s.slab, i)
	s.slab.at(i).Kind = dead
	s.overflow--
}

// BuryBefore takes the overflow items whose time is not after now out of
// everything but their lists, and calls fn for each.
func (s *Store) BuryBefore(now uint32, fn func(*Item)) {
	s.Each(func(i uint32, it *Item) {
		if it.Kind == Overflow && it.When <= now {
			s.bury(i)
			fn(it)
		}
	})
}

// Each calls fn for every item.
func (s *Store) Each(fn func(i uint32, it *Item)) {
	if s.slab.n == 0 {
		return
	}
	for n, c := range s.slab.chunks {
		for i := range c {
			if k := c[i].Kind; k == Waiting || k == Overflow {
				fn(uint32(n*chunkSize+i), &c[i])
			}
		}
	}
}

// Of calls fn for every item of a message.
func (s *Store) Of(id spool.ID, fn func(it *Item)) {
	s.byID.each(&s.slab, id, func(_ uint32, it *Item) bool {
		fn(it)
		return true
	})
}
