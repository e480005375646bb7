package item

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
	when := s.at(i).When
	for pos > 0 {
		above := (pos - 1) / 4
		if s.at(h.a[above]).When <= when {
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
	when := s.at(i).When
	for {
		first := pos*4 + 1
		if first >= len(h.a) {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, len(h.a)); c++ {
			if s.at(h.a[c]).When < s.at(h.a[least]).When {
				least = c
			}
		}
		if s.at(h.a[least]).When >= when {
			break
		}
		h.put(s, pos, h.a[least])
		pos = least
	}
	h.put(s, pos, i)
}
