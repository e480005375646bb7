package item

import (
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"tenma/spool"
)

func TestItemIs32Octets(t *testing.T) {
	if n := unsafe.Sizeof(Item{}); n != 32 {
		t.Errorf("%d octets", n)
	}
}

// A Store does what a map and a sort would, whatever comes in which order.
func TestStoreAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewStore()
		ids := make([]spool.ID, 50)
		for i := range ids {
			ids[i] = spool.ID{15: byte(i % 7)}.Derive(string(rune(i)))
			if i%2 == 0 {
				ids[i] = spool.ID{8: byte(i)} // a clump
			}
		}
		waiting := map[spool.ID]uint32{}
		var list List
		var order []spool.ID
		pick := func() spool.ID { return ids[rapid.IntRange(0, len(ids)-1).Draw(t, "id")] }
		t.Repeat(map[string]func(*rapid.T){
			"wait": func(t *rapid.T) {
				id, when := pick(), rapid.Uint32Range(1000, 1100).Draw(t, "when")
				_, had := waiting[id]
				if s.Wait(id, when, 3) == had {
					t.Fatalf("Wait does not know whether %v waits", id)
				}
				waiting[id] = when
			},
			"unwait": func(t *rapid.T) {
				id := pick()
				_, had := waiting[id]
				lane, ok := s.Unwait(id)
				if ok != had || ok && lane != 3 {
					t.Fatalf("Unwait: %v, %v", lane, ok)
				}
				delete(waiting, id)
			},
			"shift": func(*rapid.T) {
				s.Shift(10)
				for id := range waiting {
					waiting[id] += 10
				}
			},
			"push": func(t *rapid.T) {
				id := pick()
				had := slices.Contains(order, id)
				if had == s.Push(&list, id, uint32(id[15]), 9, 1) {
					t.Fatalf("Push does not know whether %v is there", id)
				}
				if !had {
					order = append(order, id)
				}
			},
			"pop": func(t *rapid.T) {
				if list.Len() == 0 {
					return
				}
				id, live := s.Pop(&list)
				if id != order[0] || !live {
					t.Fatalf("Pop: %v %v", id, live)
				}
				order = order[1:]
			},
			"": func(t *rapid.T) {
				if s.Waiting() != len(waiting) || list.Len() != len(order) || s.Overflowing() != len(order) {
					t.Fatalf("counts: %d of %d, %d of %d", s.Waiting(), len(waiting), list.Len(), len(order))
				}
				id, when, ok := s.Next()
				if ok != (len(waiting) > 0) {
					t.Fatal("Next has lost its way")
				}
				for other, w := range waiting {
					if w < when {
						t.Fatalf("Next gives %v at %d, %v is due at %d", id, when, other, w)
					}
				}
				seen := 0
				for _, id := range ids {
					s.Of(id, func(*Item) { seen++ })
				}
				if seen != len(waiting)+len(order) {
					t.Fatalf("the index finds %d", seen)
				}
			},
		})
	})
}

func TestBuryBefore(t *testing.T) {
	s := NewStore()
	var l List
	for i := range 10 {
		s.Push(&l, spool.ID{byte(i)}, uint32(i), 1, 0)
	}
	n := 0
	s.BuryBefore(4, func(*Item) { n++ })
	if n != 5 || s.Overflowing() != 5 || l.Len() != 10 {
		t.Errorf("%d buried, %d left, %d in the list", n, s.Overflowing(), l.Len())
	}
	for i := range 10 {
		if id, live := s.Pop(&l); id != (spool.ID{byte(i)}) || live != (i > 4) {
			t.Errorf("%d: %v %v", i, id, live)
		}
	}
	if s.slab.n != 0 {
		t.Errorf("%d records are not free", s.slab.n)
	}
}

func TestNamesAreGivenBack(t *testing.T) {
	n := NewNames()
	a, b := n.Hold("a"), n.Hold("b")
	if n.Hold("a") != a || a == b || n.Key(b) != "b" {
		t.Error("numbers are mixed up")
	}
	n.Release(a)
	n.Release(a)
	if c := n.Hold("c"); c != a || n.Key(c) != "c" || len(n.byKey) != 2 {
		t.Error("a number was not used again")
	}
}

// Many items are as good outside of Go's heap as few are on it.
func TestManyItemsAreMapped(t *testing.T) {
	s := NewStore()
	id := func(i int) spool.ID { return spool.ID{byte(i), byte(i >> 8), byte(i >> 16), 15: 1} }
	const n = 20 * chunkSize
	for i := range n {
		s.Wait(id(i), uint32(n-i), uint32(i))
	}
	if s.slab.mapped != 0 && s.Mapped() != 4*chunkSize*32 || s.slab.mapped == 0 && runtime.GOOS == "linux" {
		t.Errorf("%d octets are mapped of %d items", s.Mapped(), n)
	}
	runtime.GC()
	for i := n - 1; i >= 0; i-- {
		next, when, ok := s.Next()
		if !ok || next != id(i) || when != uint32(n-i) {
			t.Fatalf("item %d: %v, %d, %v", i, next, when, ok)
		}
		if lane, ok := s.Unwait(next); !ok || lane != uint32(i) {
			t.Fatalf("item %d: lane %d, %v", i, lane, ok)
		}
	}
}
