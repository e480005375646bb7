package queue

import (
	"encoding/binary"

	"tenma/spool"
)

// An item stands for a message that has no open ledger: 32 octets, no pointer,
// so that the collector never looks at it. It is a hint, "look at this message
// then", and the spool holds the truth: one too many or out of date does no
// harm.
type item struct {
	id   spool.ID
	when uint32 // Unix seconds. waiting: due; overflow: the message's expiry
	lane uint32 // number in the shard's names
	link uint32 // waiting: position in the heap; overflow: next of the list; free: next free
	kind uint8
	// class is the priority class of an overflow item.
	class uint8
	_     [2]byte
}

// Kinds of item.
const (
	itemFree     = iota
	itemWaiting  // in the heap until its time; one for each message at most, at the owner of the message
	itemOverflow // in a lane that has no place for it; one for each (message, lane), at the owner of the lane
	itemDead     // in a lane's list, to be dropped when it comes up
)

const (
	none      = ^uint32(0)
	chunkSize = 4096 // items; growing by chunks never copies what is there
)

// slab holds items by number.
type slab struct {
	chunks []*[chunkSize]item
	free   uint32 // head of the list of free items
	n      int    // items in use
}

func newSlab() slab { return slab{free: none} }

func (s *slab) at(i uint32) *item { return &s.chunks[i/chunkSize][i%chunkSize] }

func (s *slab) add(it item) uint32 {
	if s.free == none {
		base := uint32(len(s.chunks) * chunkSize)
		c := new([chunkSize]item)
		for i := range c {
			c[i].link = base + uint32(i) + 1
		}
		c[chunkSize-1].link = none
		s.chunks = append(s.chunks, c)
		s.free = base
	}
	i := s.free
	p := s.at(i)
	s.free = p.link
	*p = it
	s.n++
	return i
}

func (s *slab) drop(i uint32) {
	*s.at(i) = item{link: s.free}
	s.free = i
	s.n--
}

// dueHeap is a 4-ary heap of waiting items, the earliest on top. Four children
// a node make it half as deep as a binary heap, and their numbers share a cache
// line.
type dueHeap struct{ a []uint32 }

func (h *dueHeap) put(s *slab, pos int, i uint32) {
	h.a[pos] = i
	s.at(i).link = uint32(pos)
}

func (h *dueHeap) push(s *slab, i uint32) {
	h.a = append(h.a, i)
	h.up(s, len(h.a)-1)
}

// fix restores the order after item i's time has changed.
func (h *dueHeap) fix(s *slab, i uint32) { h.down(s, h.up(s, int(s.at(i).link))) }

// remove takes item i out of the heap; it stays in the slab.
func (h *dueHeap) remove(s *slab, i uint32) {
	pos, last := int(s.at(i).link), len(h.a)-1
	moved := h.a[last]
	h.a = h.a[:last]
	if pos != last {
		h.put(s, pos, moved)
		h.fix(s, moved)
	}
}

func (h *dueHeap) up(s *slab, pos int) int {
	i := h.a[pos]
	when := s.at(i).when
	for pos > 0 {
		above := (pos - 1) / 4
		if s.at(h.a[above]).when <= when {
			break
		}
		h.put(s, pos, h.a[above])
		pos = above
	}
	h.put(s, pos, i)
	return pos
}

func (h *dueHeap) down(s *slab, pos int) {
	i := h.a[pos]
	when := s.at(i).when
	for {
		first := pos*4 + 1
		if first >= len(h.a) {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, len(h.a)); c++ {
			if s.at(h.a[c]).when < s.at(h.a[least]).when {
				least = c
			}
		}
		if s.at(h.a[least]).when >= when {
			break
		}
		h.put(s, pos, h.a[least])
		pos = least
	}
	h.put(s, pos, i)
}

// index finds items by message: open addressing with linear probing over item
// numbers, 5 to 10 octets an item where a map with the id as its key takes 44.
type index struct {
	table []uint32 // item number, or none
	n     int
}

// hash uses the random part of an id as it is.
func hash(id spool.ID) uint64 { return binary.LittleEndian.Uint64(id[8:]) }

// each calls fn for the items of id until it returns false.
func (x *index) each(s *slab, id spool.ID, fn func(i uint32, it *item) bool) {
	if x.n == 0 {
		return
	}
	mask := uint64(len(x.table) - 1)
	for at := hash(id) & mask; x.table[at] != none; at = (at + 1) & mask {
		if it := s.at(x.table[at]); it.id == id && !fn(x.table[at], it) {
			return
		}
	}
}

// find gives the item of that kind, and for an overflow item that lane, or none.
func (x *index) find(s *slab, id spool.ID, kind uint8, lane uint32) uint32 {
	found := none
	x.each(s, id, func(i uint32, it *item) bool {
		if it.kind == kind && (kind != itemOverflow || it.lane == lane) {
			found = i
		}
		return found == none
	})
	return found
}

func (x *index) add(s *slab, i uint32) {
	if (x.n+1)*8 > len(x.table)*7 {
		x.grow(s)
	}
	x.insert(s, i)
	x.n++
}

func (x *index) insert(s *slab, i uint32) {
	mask := uint64(len(x.table) - 1)
	at := hash(s.at(i).id) & mask
	for x.table[at] != none {
		at = (at + 1) & mask
	}
	x.table[at] = i
}

func (x *index) grow(s *slab) {
	old := x.table
	x.table = make([]uint32, max(64, 2*len(old)))
	for i := range x.table {
		x.table[i] = none
	}
	for _, i := range old {
		if i != none {
			x.insert(s, i)
		}
	}
}

// remove forgets item i, which must still be in the slab, and moves up those
// behind it that would no longer be found.
func (x *index) remove(s *slab, i uint32) {
	mask := uint64(len(x.table) - 1)
	at := hash(s.at(i).id) & mask
	for x.table[at] != i {
		at = (at + 1) & mask
	}
	x.n--
	for hole := at; ; {
		at = (at + 1) & mask
		j := x.table[at]
		if j == none {
			x.table[hole] = none
			return
		}
		home := hash(s.at(j).id) & mask
		if (at-home)&mask >= (at-hole)&mask { // its way from home leads over the hole
			x.table[hole] = j
			hole = at
		}
	}
}

// names gives numbers to lane names, and takes them back when the last user
// has let go.
type names struct {
	byKey map[string]uint32
	all   []name
	free  []uint32
}

type name struct {
	key  string
	refs int
	lane *lane // the lane's shard: while it exists
}

func (n *names) hold(key string) uint32 {
	num, ok := n.byKey[key]
	if !ok {
		if k := len(n.free); k > 0 {
			num, n.free = n.free[k-1], n.free[:k-1]
		} else {
			num = uint32(len(n.all))
			n.all = append(n.all, name{})
		}
		n.all[num] = name{key: key}
		n.byKey[key] = num
	}
	n.all[num].refs++
	return num
}

func (n *names) release(num uint32) {
	e := &n.all[num]
	e.refs--
	if e.refs == 0 {
		delete(n.byKey, e.key)
		*e = name{}
		n.free = append(n.free, num)
	}
}
