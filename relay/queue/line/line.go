// Package line has lists whose links lie in what stands in them, so that
// standing in a list costs no memory and leaving from its middle no search.
package line

// Links are what a value needs to stand in one List.
type Links[P any] struct {
	prev, next P
	listed     bool
}

// In gives the links to the list.
func (l *Links[P]) In() *Links[P] { return l }

// Next is the one behind, or zero.
func (l *Links[P]) Next() P { return l.next }

// Listed reports whether the value stands in a list.
func (l *Links[P]) Listed() bool { return l.listed }

// Linked is a pointer to a value that has Links; embedding them does.
type Linked[P any] interface {
	comparable
	In() *Links[P]
}

// List is a list in the order in which its members are to have their turn. The
// zero value is empty.
type List[P Linked[P]] struct {
	first, last P
	n           int
}

// First is the one whose turn it is, or zero.
func (l *List[P]) First() P { return l.first }

// Len counts the members.
func (l *List[P]) Len() int { return l.n }

// Add puts p at the front or at the end. It must stand in no list.
func (l *List[P]) Add(p P, front bool) {
	var none P
	p.In().listed = true
	l.n++
	switch {
	case l.first == none:
		l.first, l.last = p, p
	case front:
		p.In().next, l.first.In().prev, l.first = l.first, p, p
	default:
		p.In().prev, l.last.In().next, l.last = l.last, p, p
	}
}

// Remove takes p out, which must be a member.
func (l *List[P]) Remove(p P) {
	var none P
	k := p.In()
	if k.prev == none {
		l.first = k.next
	} else {
		k.prev.In().next = k.next
	}
	if k.next == none {
		l.last = k.prev
	} else {
		k.next.In().prev = k.prev
	}
	*k = Links[P]{}
	l.n--
}
