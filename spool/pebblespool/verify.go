package pebblespool

import "tenma/spool/pebblespool/layout"

// Verify reads the whole spool as it is now and calls bad for everything that
// does not fit together (`tenma spool verify`). The error is one of reading.
func (s *Spool) Verify(bad func(finding string)) error {
	if err := s.reading(); err != nil {
		return err
	}
	defer s.readers.Done()
	snap := s.db.NewSnapshot()
	defer snap.Close()
	return layout.Verify(snap, bad)
}
