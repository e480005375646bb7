package pebblespool

import (
	"context"
	"fmt"

	"tenma/spool"
)

// lowMark remembers an id that no entry is older than. Without it a scan from
// the beginning would climb over the tombstones of all mail delivered so far.
// Guarded by Spool.mu.
type lowMark struct {
	at      spool.ID
	added   spool.ID // the oldest added since scanning began
	scanner bool     // a scan is finding out
}

// lowered notes the ids that a group is about to add.
func (s *Spool) lowered(g *group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range g.order {
		if !c.created {
			continue
		}
		if compare(c.id, s.low.at) < 0 {
			s.low.at = c.id
		}
		if compare(c.id, s.low.added) < 0 {
			s.low.added = c.id
		}
	}
}

// last is behind every id.
var last = spool.ID{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// walk calls fn for the entries behind from, by age, until it returns false.
// Envelope and state are copies. The two kinds of record are read side by side.
func (s *Spool) walk(from spool.ID, fn func(*live) bool) error {
	first := from == spool.ID{}
	s.mu.Lock()
	begin := s.low.at
	finds := first && !s.low.scanner
	if finds {
		s.low.scanner, s.low.added = true, last
	}
	s.mu.Unlock()
	oldest := last
	whole := false // oldest was found out
	if finds {
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.low.scanner = false
			if whole {
				s.low.at = oldest
				if compare(s.low.added, oldest) < 0 {
					s.low.at = s.low.added
				}
			}
		}()
	}

	snap := s.db.NewSnapshot()
	defer snap.Close()
	w, err := newWalker(snap, max0(begin, from))
	if err != nil {
		return err
	}
	defer w.close()
	for {
		l, err := w.next()
		if err != nil {
			return err
		}
		if l == nil {
			whole = true
			return nil
		}
		if !whole {
			whole, oldest = true, l.id
		}
		if l.id == from {
			continue
		}
		if !fn(l) {
			return nil
		}
	}
}

func max0(a, b spool.ID) spool.ID {
	if compare(a, b) > 0 {
		return a
	}
	return b
}

// Scan is described in spool.Engine.
func (s *Spool) Scan(ctx context.Context, after spool.ID, fn func(spool.Entry) bool) error {
	if err := s.reading(); err != nil {
		return err
	}
	defer s.readers.Done()
	err := s.walk(after, func(l *live) bool { return ctx.Err() == nil && fn(l.public()) })
	if err != nil {
		return fmt.Errorf("pebblespool: %w", err)
	}
	return ctx.Err()
}

// Find is described in spool.Engine.
func (s *Spool) Find(ctx context.Context, key string, after spool.ID, fn func(spool.Entry) bool) error {
	if err := s.reading(); err != nil {
		return err
	}
	defer s.readers.Done()
	prefix := findPrefix(key)
	low := prefix
	if !after.IsZero() {
		low = append(keyOfFind(key, after), 0)
	}
	snap := s.db.NewSnapshot()
	defer snap.Close()
	it, err := snap.NewIter(bounds(low, next(prefix)))
	if err != nil {
		return fmt.Errorf("pebblespool: %w", err)
	}
	defer it.Close()
	for ok := it.First(); ok && ctx.Err() == nil; ok = it.Next() {
		var id spool.ID
		if k := it.Key(); len(k) == len(prefix)+idLen {
			copy(id[:], k[len(prefix):])
		}
		l, err := loadFrom(snap, id)
		if err != nil {
			return fmt.Errorf("pebblespool: %w", err)
		}
		if l != nil && !fn(l.public()) {
			return nil
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("pebblespool: %w", err)
	}
	return ctx.Err()
}
