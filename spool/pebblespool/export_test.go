package pebblespool

import (
	"github.com/cockroachdb/pebble/v2"

	"tenma/spool"
	"tenma/spool/pebblespool/layout"
	"tenma/spool/pebblespool/layout/reclaim"
)

// Bodies calls fn for each stored chunk.
func (s *Spool) Bodies(fn func(spool.ID)) error {
	it, err := s.iter([]byte{layout.KindBody}, []byte{layout.KindBody + 1})
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		var id spool.ID
		copy(id[:], it.Key()[1:])
		fn(id)
	}
	return it.Error()
}

// Pebble gives the figures of the database.
func (s *Spool) Pebble() *pebble.Metrics { return s.db.Metrics() }

// Flush writes what is in memory to tables.
func (s *Spool) Flush() error { return s.fenced(s.db.Flush) }

// ReclaimWhile drops dead tables, if there are any. fn is called between the
// search and the deletion.
func (s *Spool) ReclaimWhile(fn func()) error {
	k := s.keeper()
	del := k.Delete
	k.Delete = func(dead []reclaim.Range) { fn(); del(dead) }
	return s.fenced(k.Drop)
}
