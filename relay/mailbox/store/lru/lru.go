// Package lru keeps what nobody uses at the moment, up to a total weight, and says
// what to forget when there is more: what was put longest ago.
package lru

import "container/list"

// List is such a collection; New makes one. It is for one goroutine at a time.
type List[T comparable] struct {
	order list.List // of item[T], the newest in front
	at    map[T]*list.Element
	total int
	limit int
}

type item[T comparable] struct {
	x      T
	weight int
}

// New makes a List for things that together weigh at most limit.
func New[T comparable](limit int) List[T] {
	return List[T]{at: map[T]*list.Element{}, limit: limit}
}

// Put adds x, which may be in already, as the newest, and gives what is out for
// it. x itself stays.
func (l *List[T]) Put(x T, weight int) (out []T) {
	l.Take(x)
	l.at[x] = l.order.PushFront(item[T]{x, weight})
	for l.total += weight; l.total > l.limit && l.order.Len() > 1; {
		old := l.order.Back().Value.(item[T]).x
		l.Take(old)
		out = append(out, old)
	}
	return out
}

// Take takes x out, if it is in.
func (l *List[T]) Take(x T) {
	if e := l.at[x]; e != nil {
		l.total -= l.order.Remove(e).(item[T]).weight
		delete(l.at, x)
	}
}

// Has reports whether x is in.
func (l *List[T]) Has(x T) bool { return l.at[x] != nil }

// Weight is that of all.
func (l *List[T]) Weight() int { return l.total }
