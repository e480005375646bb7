package pebblespool

import (
	"context"
	"errors"

	"tenma/spool"
	"tenma/spool/pebblespool/layout"
	"tenma/spool/pebblespool/layout/inmem"
)

// feed is what Feed works through. It is guarded by Spool.mu.
//
// fresh holds the ids of entries that are durable and to be handed out: new
// ones, due ones, unparked ones. Only ids (16 octets each), so a receiver that
// is far behind costs little; the entry is read when its turn comes, from
// memory as a rule.
//
// The reading of stored entries goes by id from cursor. It hands out those of
// earlier runs that are not parked; those of this run and parked ones come by
// way of fresh. taken are ids beyond the cursor that a settlement took out of
// its hands.
type feed struct {
	active  bool
	fresh   inmem.Queue
	rebuilt bool
	cursor  spool.ID
	taken   map[spool.ID]struct{}
}

// feedAhead is how many ids the due index may run ahead of Feed.
const feedAhead = 4096

func (f *feed) init() { f.taken = map[spool.ID]struct{}{} }

func (f *feed) room() int { return feedAhead - f.fresh.Len() }

// seen reports whether the reading is past an entry of an earlier run, so that
// the figures hold it.
func (f *feed) seen(id spool.ID) bool {
	if f.rebuilt || layout.Compare(id, f.cursor) <= 0 {
		return true
	}
	_, ok := f.taken[id]
	return ok
}

// takeOver takes an entry of an earlier run out of the reading's hands. It is
// false if the reading has passed it or it was taken before.
func (f *feed) takeOver(id spool.ID) bool {
	if f.seen(id) {
		return false
	}
	f.taken[id] = struct{}{}
	return true
}

// Feed is described in spool.Engine. A later Feed goes on where the last one
// ended. An entry that cannot be read is logged and left out.
func (s *Spool) Feed(ctx context.Context, take func(spool.Entry)) error {
	s.mu.Lock()
	if s.feed.active {
		s.mu.Unlock()
		return errors.New("pebblespool: Feed runs already")
	}
	s.feed.active = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.feed.active = false
		s.mu.Unlock()
	}()

	stored := storedReader{s: s}
	for ctx.Err() == nil {
		// Turn and turn about: neither new mail nor a long backlog waits for
		// the other.
		e, some, err := s.nextFresh()
		if err != nil {
			return err
		}
		s.hand(e, take)
		if ctx.Err() != nil {
			break
		}
		old, more, err := stored.next()
		if err != nil {
			return err
		}
		s.hand(old, take)
		if some || more {
			continue
		}
		select {
		case <-ctx.Done():
		case <-s.fedWake:
		}
	}
	return nil
}

func (s *Spool) hand(e *spool.Entry, take func(spool.Entry)) {
	if e != nil {
		s.m.Fed.Inc()
		take(*e)
	}
}

// nextFresh takes the next id of the fresh queue. The entry is nil if it was
// removed meanwhile or cannot be read; some is false if the queue is empty.
func (s *Spool) nextFresh() (e *spool.Entry, some bool, err error) {
	s.mu.Lock()
	id, some := s.feed.fresh.Pop()
	due := some && s.feed.room() == feedAhead/2 // the due index may have waited
	s.mu.Unlock()
	if due {
		poke(s.wake)
	}
	if !some {
		return nil, false, nil
	}
	got, err := s.Get(context.Background(), id)
	switch {
	case err == nil:
		return &got, true, nil
	case errors.Is(err, spool.ErrClosed):
		return nil, true, err
	case !errors.Is(err, spool.ErrNotFound):
		s.m.Skipped.Inc()
		s.log.Error("a stored entry cannot be read", "id", id, "error", err)
	}
	return nil, true, nil
}

// readPage is how many stored entries are read at a time; an iterator that
// stayed open while take blocks would keep old tables alive.
const readPage = 512

// storedReader reads the entries of earlier runs by age.
type storedReader struct {
	s    *Spool
	page []*layout.Stored
	end  bool // there is nothing behind page
}

// next gives the next entry to hand out, nil if the one looked at is not; more
// is false when all were read.
func (r *storedReader) next() (e *spool.Entry, more bool, err error) {
	s := r.s
	if len(r.page) == 0 {
		s.mu.Lock()
		from, done := s.feed.cursor, s.feed.rebuilt
		s.mu.Unlock()
		if done {
			return nil, false, nil
		}
		if !r.end {
			if r.page, r.end, err = s.readStored(from); err != nil {
				return nil, false, err
			}
		}
		if len(r.page) == 0 {
			s.mu.Lock()
			s.feed.rebuilt = true
			s.feed.taken = nil
			s.mu.Unlock()
			return nil, false, nil
		}
	}
	l := r.page[0]
	r.page = r.page[1:]
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.feed.taken[l.ID]; taken {
		delete(s.feed.taken, l.ID)
		s.feed.cursor = l.ID
		return nil, true, nil
	}
	s.feed.cursor = l.ID
	s.stats.Entries++
	s.stats.BodyBytes += l.Size
	if l.State.Parked {
		if s.due.Waiting(layout.Place{Due: layout.Seconds(l.State.Due), ID: l.ID}) {
			s.stats.Parked++
		}
		return nil, true, nil
	}
	return &spool.Entry{ID: l.ID, Envelope: l.Envelope, State: l.State.Data, BodySize: l.Size, Due: l.State.Due}, true, nil
}

// readStored reads a page of entries of earlier runs behind from.
func (s *Spool) readStored(from spool.ID) (page []*layout.Stored, end bool, err error) {
	if err := s.reading(); err != nil {
		return nil, false, err
	}
	defer s.readers.Done()
	end = true
	err = s.walk(from, func(l *layout.Stored) bool {
		if l.Run != s.run {
			page = append(page, l)
		}
		end = len(page) < readPage
		return end
	})
	return page, end, err
}
