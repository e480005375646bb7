package pebblespool

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"

	"tenma/spool"
	"tenma/spool/pebblespool/layout"
	"tenma/spool/pebblespool/layout/inmem"
)

func (s *Spool) get(k []byte) ([]byte, error) { return layout.Get(s.db, k) }

// load reads an entry, nil if there is none.
func (s *Spool) load(id spool.ID) (*inmem.Live, error) {
	e, err := layout.Load(s.db, id)
	if e == nil || err != nil {
		return nil, err
	}
	return &inmem.Live{Stored: *e}, nil
}

func public(e *layout.Stored) spool.Entry {
	return spool.Entry{ID: e.ID, Envelope: e.Envelope, State: e.State.Data, BodySize: e.Size, Due: e.State.Due}
}

// Get is described in spool.Engine.
func (s *Spool) Get(_ context.Context, id spool.ID) (spool.Entry, error) {
	s.mu.Lock()
	if l := s.cache.Get(id); l != nil {
		e := public(&l.Stored)
		s.mu.Unlock()
		return e, nil
	}
	s.mu.Unlock()
	if err := s.reading(); err != nil {
		return spool.Entry{}, err
	}
	defer s.readers.Done()
	l, err := s.load(id)
	switch {
	case err != nil:
		return spool.Entry{}, fmt.Errorf("pebblespool: %w", err)
	case l == nil:
		return spool.Entry{}, spool.ErrNotFound
	}
	return public(&l.Stored), nil
}

// Open is described in spool.Engine.
func (s *Spool) Open(_ context.Context, id spool.ID) (spool.Body, error) {
	s.mu.Lock()
	if l := s.cache.Get(id); l != nil && l.Mem != nil {
		b := inMemory(l.Mem.Data)
		s.mu.Unlock()
		s.m.BodyReads.WithLabelValues("memory").Inc()
		return b, nil
	}
	s.mu.Unlock()
	if err := s.reading(); err != nil {
		return nil, err
	}
	defer s.readers.Done()
	l, err := s.load(id)
	if err != nil {
		return nil, fmt.Errorf("pebblespool: %w", err)
	}
	if l == nil {
		return nil, spool.ErrNotFound
	}
	s.m.BodyReads.WithLabelValues("disk").Inc()
	if l.Size <= layout.ChunkSize {
		data, err := s.chunk(l.Body, l.Size, 0)
		if err != nil {
			return nil, err
		}
		return inMemory(data), nil
	}
	return s.openLarge(l)
}

// chunk reads one chunk of a body, whole or with an error.
func (s *Spool) chunk(body spool.ID, size int64, n int) ([]byte, error) {
	if size == 0 {
		return nil, nil
	}
	k := layout.ChunkKey(body, n)
	data, err := s.get(k[:])
	switch {
	case err != nil:
		return nil, fmt.Errorf("pebblespool: body %v: %w", body, err)
	case data == nil:
		return nil, spool.ErrNotFound
	case len(data) != layout.ChunkLen(size, n):
		return nil, fmt.Errorf("pebblespool: body %v: %w", body, layout.ErrRecord)
	}
	return data, nil
}

// memory is a body in memory.
type memory struct{ bytes.Reader }

func inMemory(data []byte) *memory {
	m := new(memory)
	m.Reset(data)
	return m
}

func (*memory) Close() error { return nil }

// large is a body that is read chunk by chunk. While it is open the committer
// does not delete it: an iterator would protect it too, but would keep whole
// memtables alive as long as the slowest receiver takes its mail.
type large struct {
	s     *Spool
	body  spool.ID
	size  int64
	next  int // chunk
	chunk []byte
	once  sync.Once
}

func (s *Spool) openLarge(l *inmem.Live) (spool.Body, error) {
	s.mu.Lock()
	if _, gone := s.dying[l.Body]; gone {
		s.mu.Unlock()
		return nil, spool.ErrNotFound
	}
	s.opened[l.Body]++
	s.mu.Unlock()
	b := &large{s: s, body: l.Body, size: l.Size}
	// It may have been removed before we were counted.
	if again, err := s.load(l.ID); again == nil || err != nil {
		_ = b.Close()
		if err != nil {
			return nil, fmt.Errorf("pebblespool: %w", err)
		}
		return nil, spool.ErrNotFound
	}
	return b, nil
}

func (b *large) Size() int64 { return b.size }

// fill gets the next chunk.
func (b *large) fill() error {
	if b.next == layout.Chunks(b.size) {
		return io.EOF
	}
	if err := b.s.reading(); err != nil {
		return err
	}
	defer b.s.readers.Done()
	data, err := b.s.chunk(b.body, b.size, b.next)
	if err != nil {
		return err
	}
	b.chunk, b.next = data, b.next+1
	return nil
}

func (b *large) Read(p []byte) (int, error) {
	if len(b.chunk) == 0 {
		if err := b.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.chunk)
	b.chunk = b.chunk[n:]
	return n, nil
}

func (b *large) WriteTo(w io.Writer) (total int64, err error) {
	for {
		if len(b.chunk) == 0 {
			if err := b.fill(); err == io.EOF {
				return total, nil
			} else if err != nil {
				return total, err
			}
		}
		n, err := w.Write(b.chunk)
		b.chunk = b.chunk[n:]
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
}

// Close lets go of the body. The last reader of one that was removed meanwhile
// has it deleted; if that is not done before the end, the next start does it.
func (b *large) Close() error {
	b.once.Do(func() {
		s := b.s
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.opened[b.body]--; s.opened[b.body] > 0 {
			return
		}
		delete(s.opened, b.body)
		if size, ok := s.orphans[b.body]; ok && s.refusal() == nil {
			delete(s.orphans, b.body)
			s.queue = append(s.queue, &discard{body: b.body, size: size})
			poke(s.wake)
		}
	})
	return nil
}
