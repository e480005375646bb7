package pebblespool

import (
	"tenma/spool"
	"tenma/spool/pebblespool/layout"
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
