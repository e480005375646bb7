package inmem

import "tenma/spool"

// Queue is a first-in first-out queue of ids.
type Queue struct {
	ids  []spool.ID
	head int
}

// Len is how many wait.
func (q *Queue) Len() int { return len(q.ids) - q.head }

// Push appends.
func (q *Queue) Push(id spool.ID) { q.ids = append(q.ids, id) }

// Pop takes the first; ok is false if there is none.
func (q *Queue) Pop() (id spool.ID, ok bool) {
	if q.Len() == 0 {
		return id, false
	}
	id = q.ids[q.head]
	q.head++
	switch {
	case q.head == len(q.ids) && cap(q.ids) <= 4096:
		q.ids, q.head = q.ids[:0], 0
	case q.head == len(q.ids):
		q.ids, q.head = nil, 0
	case q.head >= 1024 && q.head > len(q.ids)/2:
		q.ids = append(make([]spool.ID, 0, 2*q.Len()), q.ids[q.head:]...)
		q.head = 0
	}
	return id, true
}
