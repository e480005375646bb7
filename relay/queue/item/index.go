package item

import (
	"encoding/binary"

	"tenma/spool"
)

// index finds items by message: open addressing with linear probing over item
// numbers, 5 to 10 octets an item where a map with the id as its key takes 44.
type index struct {
	table []uint32 // item number, or none
	n     int
}

// Hash spreads ids over 64 bits. Ids are random, but nothing checks that, and
// a clump of them would make every search long.
func Hash(id spool.ID) uint64 {
	h := binary.LittleEndian.Uint64(id[:8]) ^ binary.LittleEndian.Uint64(id[8:])*0x9e3779b97f4a7c15
	h = (h ^ h>>32) * 0xd6e8feb86659fd93 // multiply, xor, shift: rrmxmx's constant
	return h ^ h>>32
}

// each calls fn for the items of id until it returns false.
func (x *index) each(s *slab, id spool.ID, fn func(i uint32, it *Item) bool) {
	if x.n == 0 {
		return
	}
	mask := uint64(len(x.table) - 1)
	for at := Hash(id) & mask; x.table[at] != none; at = (at + 1) & mask {
		if it := s.at(x.table[at]); it.ID == id && !fn(x.table[at], it) {
			return
		}
	}
}

// find gives the item of that kind, and for an overflow item that lane, or none.
func (x *index) find(s *slab, id spool.ID, kind Kind, lane uint32) uint32 {
	found := none
	x.each(s, id, func(i uint32, it *Item) bool {
		if it.Kind == kind && (kind != Overflow || it.Lane == lane) {
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
	at := Hash(s.at(i).ID) & mask
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
	at := Hash(s.at(i).ID) & mask
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
		home := Hash(s.at(j).ID) & mask
		if (at-home)&mask >= (at-hole)&mask { // its way from home leads over the hole
			x.table[hole] = j
			hole = at
		}
	}
}
