package search

import (
	"context"
	"slices"
)

// Standing is the result of a search that is kept up to date (RFC 5267 section 4.3).
// It belongs to one goroutine.
type Standing struct {
	query *Query
	found []uint32 // UIDs, rising
	seen  uint32   // the highest UID that was looked at
}

// Stand makes one of a result that has just been found in v. It is nil for a query
// that cannot be kept up to date: by message number, so that messages come to be
// found by the going of others, or by the result that was saved.
func (q *Query) Stand(v View, found []uint32) *Standing {
	if q.places || q.saved {
		return nil
	}
	s := &Standing{query: q, found: make([]uint32, len(found)), seen: v.UID(v.Len())}
	for i, seq := range found {
		s.found[i] = v.UID(int(seq))
	}
	return s
}

// Len is how many messages are in the result.
func (s *Standing) Len() int { return len(s.found) }

// Remove takes a message out whose UID is gone, and tells whether it was in.
func (s *Standing) Remove(uid uint32) bool {
	at, in := slices.BinarySearch(s.found, uid)
	if in {
		s.found = slices.Delete(s.found, at, at+1)
	}
	return in
}

// Change looks at messages whose flags have changed, and at those that are new, and
// gives the numbers of those that came into the result, and of those that left it.
// Its errors are Run's.
func (s *Standing) Change(ctx context.Context, v View, changed []uint32) (in, out []uint32, err error) {
	look := slices.Clone(changed)
	for n := v.SeqFrom(s.seen + 1); n <= v.Len(); n++ {
		look = append(look, uint32(n))
	}
	if len(look) == 0 {
		return nil, nil, nil
	}
	slices.Sort(look)
	look = slices.Compact(look)
	found, err := s.query.among(ctx, v, nil, look)
	if err != nil {
		return nil, nil, err
	}
	s.seen = max(s.seen, v.UID(v.Len()))
	for _, seq := range look {
		uid := v.UID(int(seq))
		at, was := slices.BinarySearch(s.found, uid)
		switch _, is := slices.BinarySearch(found, seq); {
		case is && !was:
			s.found = slices.Insert(s.found, at, uid)
			in = append(in, seq)
		case was && !is:
			s.found = slices.Delete(s.found, at, at+1)
			out = append(out, seq)
		}
	}
	return in, out, nil
}
