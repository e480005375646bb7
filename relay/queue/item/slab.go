package item

const (
	none      = ^uint32(0)
	chunkSize = 4096 // items; growing by chunks never copies what is there
	onHeap    = 16   // chunks; more than these are mapped
)

// slab holds items by number.
type slab struct {
	chunks []*[chunkSize]Item
	free   uint32 // head of the list of free items
	n      int    // items in use
	mapped int    // chunks outside Go's heap
}

func newSlab() slab { return slab{free: none} }

func (s *slab) at(i uint32) *Item { return &s.chunks[i/chunkSize][i%chunkSize] }

func (s *slab) add(it Item) uint32 {
	if s.free == none {
		base := uint32(len(s.chunks) * chunkSize)
		c := s.chunk()
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

// chunk gives zeroed room for chunkSize items.
func (s *slab) chunk() *[chunkSize]Item {
	if len(s.chunks) >= onHeap {
		if c := mapped(); c != nil {
			s.mapped++
			return c
		}
	}
	return new([chunkSize]Item)
}

func (s *slab) drop(i uint32) {
	*s.at(i) = Item{link: s.free}
	s.free = i
	s.n--
}
