package list

// cursor walks a list.
type cursor struct {
	l    List
	c, i int // chunk, index in it
	n    int // index in the list
}

func (p *cursor) more() bool    { return p.c < len(p.l.chunks) }
func (p *cursor) entry() Entry  { return p.l.chunks[p.c][p.i] }
func (p *cursor) rest() []Entry { return p.l.chunks[p.c][p.i:] }

func (p *cursor) skip(k int) {
	p.n += k
	if p.i += k; p.i == len(p.l.chunks[p.c]) {
		p.c, p.i = p.c+1, 0
	}
}

// shared is how many entries both have from here on in the same memory.
func shared(a, b []Entry) int {
	if &a[0] != &b[0] {
		return 0
	}
	return min(len(a), len(b))
}

// Diff compares old with a later state of the same folder, in order. gone and
// came get the index in old and in later, changed both.
func Diff(old, later List, gone func(i int), changed func(i, j int), came func(j int)) {
	a, b := cursor{l: old}, cursor{l: later}
	for a.more() && b.more() {
		if k := shared(a.rest(), b.rest()); k > 0 {
			a.skip(k)
			b.skip(k)
			continue
		}
		x, y := a.entry(), b.entry()
		switch {
		case x.UID < y.UID:
			gone(a.n)
			a.skip(1)
		case x.UID > y.UID:
			came(b.n)
			b.skip(1)
		default:
			if x != y {
				changed(a.n, b.n)
			}
			a.skip(1)
			b.skip(1)
		}
	}
	for ; a.more(); a.skip(1) {
		gone(a.n)
	}
	for ; b.more(); b.skip(1) {
		came(b.n)
	}
}

// Union is later with what old has besides.
func Union(old, later List) List {
	missing := false
	Diff(old, later, func(int) { missing = true }, func(int, int) {}, func(int) {})
	if !missing {
		return later
	}
	var u List
	var own []Entry
	flush := func() {
		u.add(own)
		own = nil
	}
	put := func(e Entry) {
		if own = append(own, e); len(own) == chunkSize {
			flush()
		}
	}
	a, b := cursor{l: old}, cursor{l: later}
	for a.more() || b.more() {
		switch {
		case !b.more() || a.more() && a.entry().UID < b.entry().UID:
			put(a.entry())
			a.skip(1)
		case !a.more() || b.entry().UID < a.entry().UID:
			put(b.entry())
			b.skip(1)
		default:
			if k := shared(a.rest(), b.rest()); k > 1 {
				flush()
				u.add(b.rest()[:k:k])
				a.skip(k)
				b.skip(k)
				continue
			}
			put(b.entry())
			a.skip(1)
			b.skip(1)
		}
	}
	flush()
	return u
}
