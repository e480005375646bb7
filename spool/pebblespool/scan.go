package pebblespool

import (
	"context"
	"fmt"

	"tenma/spool"
	"tenma/spool/pebblespool/layout"
	"tenma/spool/pebblespool/layout/inmem"
)

// oldest is the older of id and what the group adds.
func (g *group) oldest(id spool.ID) spool.ID {
	for _, c := range g.order {
		if c.created {
			id = inmem.Older(id, c.ID)
		}
	}
	return id
}

// walk calls fn for the entries behind from, by age, until it returns false.
// Envelope and state are copies.
func (s *Spool) walk(from spool.ID, fn func(*layout.Stored) bool) error {
	begin, found := from, func(spool.ID) {}
	if from.IsZero() {
		s.mu.Lock()
		begin, found = s.low.Look()
		s.mu.Unlock()
	}
	oldest := begin // if it cannot be found out
	defer func() {
		s.mu.Lock()
		found(oldest)
		s.mu.Unlock()
	}()

	snap := s.db.NewSnapshot()
	defer snap.Close()
	w, err := layout.NewWalker(snap, begin)
	if err != nil {
		return err
	}
	defer w.Close()
	for n := 0; ; n++ {
		e, err := w.Next()
		switch {
		case err != nil:
			return err
		case e == nil && n == 0:
			oldest = inmem.Last()
			return nil
		case e == nil:
			return nil
		case n == 0:
			oldest = e.ID
		}
		if e.ID != from && !fn(e) {
			return nil
		}
	}
}

// youngest is the greatest id of all entries.
func (s *Spool) youngest() (id spool.ID, err error) {
	it, err := s.iter([]byte{layout.KindEntry}, []byte{layout.KindEntry + 1})
	if err != nil {
		return id, err
	}
	defer it.Close()
	if it.Last() {
		copy(id[:], it.Key()[1:])
	}
	return id, it.Error()
}

// Scan is described in spool.Engine.
func (s *Spool) Scan(ctx context.Context, after spool.ID, fn func(spool.Entry) bool) error {
	if err := s.reading(); err != nil {
		return err
	}
	defer s.readers.Done()
	err := s.walk(after, func(e *layout.Stored) bool { return ctx.Err() == nil && fn(public(e)) })
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
	prefix := layout.FindPrefix(key)
	low := prefix
	if !after.IsZero() {
		low = append(layout.FindKey(key, after), 0)
	}
	snap := s.db.NewSnapshot()
	defer snap.Close()
	it, err := snap.NewIter(layout.Bounds(low, layout.Next(prefix)))
	if err != nil {
		return fmt.Errorf("pebblespool: %w", err)
	}
	defer it.Close()
	for ok := it.First(); ok && ctx.Err() == nil; ok = it.Next() {
		var id spool.ID
		if k := it.Key(); len(k) == len(prefix)+layout.IDLen {
			copy(id[:], k[len(prefix):])
		}
		e, err := layout.Load(snap, id)
		if err != nil {
			return fmt.Errorf("pebblespool: %w", err)
		}
		if e != nil && !fn(public(e)) {
			return nil
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("pebblespool: %w", err)
	}
	return ctx.Err()
}
