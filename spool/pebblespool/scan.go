package pebblespool

import (
	"context"
	"fmt"

	"tenma/spool"
	"tenma/spool/pebblespool/layout"
)

// lowMark remembers an id that no entry is older than. Without it a scan from
// the beginning would climb over the tombstones of all mail delivered so far.
// Guarded by Spool.mu.
type lowMark struct {
	at      spool.ID // nothing is older
	group   spool.ID // the oldest that the group under way adds
	added   spool.ID // the oldest added since a scan that looks for a better mark began
	looking bool     // there is such a scan
}

// last is behind every id.
func last() (id spool.ID) {
	for i := range id {
		id[i] = 0xff
	}
	return id
}

func older(a, b spool.ID) spool.ID {
	if layout.Compare(a, b) < 0 {
		return a
	}
	return b
}

// lowered notes the ids that a group is about to add.
func (s *Spool) lowered(g *group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &s.low
	m.group = last()
	for _, c := range g.order {
		if c.created {
			m.group = older(m.group, c.ID)
		}
	}
	m.at, m.added = older(m.at, m.group), older(m.added, m.group)
}

// look begins a scan from the start and gives the id to begin at. The scan calls
// found with the oldest entry that it saw.
func (s *Spool) look() (from spool.ID, found func(spool.ID)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &s.low
	if m.looking {
		return m.at, func(spool.ID) {}
	}
	// What the group under way adds may not be seen yet.
	m.looking, m.added = true, m.group
	return m.at, func(oldest spool.ID) {
		s.mu.Lock()
		defer s.mu.Unlock()
		m.looking, m.at = false, older(oldest, m.added)
	}
}

// walk calls fn for the entries behind from, by age, until it returns false.
// Envelope and state are copies.
func (s *Spool) walk(from spool.ID, fn func(*layout.Stored) bool) error {
	begin, found := from, func(spool.ID) {}
	if from.IsZero() {
		begin, found = s.look()
	}
	oldest := begin // if it cannot be found out
	defer func() { found(oldest) }()

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
			oldest = last()
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
