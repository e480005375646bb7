package pebblespool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"tenma/spool"
)

// get reads a copy of a value, nil if there is none.
func (s *Spool) get(k []byte) ([]byte, error) { return getFrom(s.db, k) }

func getFrom(r pebble.Reader, k []byte) ([]byte, error) {
	v, closer, err := r.Get(k)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c := append(make([]byte, 0, len(v)), v...)
	return c, closer.Close()
}

// load reads an entry and its state from the database, nil if there is none.
func (s *Spool) load(id spool.ID) (*live, error) { return loadFrom(s.db, id) }

func loadFrom(r pebble.Reader, id spool.ID) (*live, error) {
	k := keyOf(kindEntry, id)
	b, err := getFrom(r, k[:])
	if b == nil || err != nil {
		return nil, err
	}
	l := &live{id: id, entryLen: len(b)}
	if l.entry, err = readEntry(b, id); err != nil {
		return nil, fmt.Errorf("entry %v: %w", id, err)
	}
	k = keyOf(kindState, id)
	if b, err = getFrom(r, k[:]); b == nil || err != nil {
		return l, err
	}
	l.stateLen = len(b)
	if l.st, err = readState(b); err != nil {
		return nil, fmt.Errorf("state of %v: %w", id, err)
	}
	return l, nil
}

func (l *live) public() spool.Entry {
	return spool.Entry{ID: l.id, Envelope: l.envelope, State: l.st.data, BodySize: l.size, Due: l.st.due}
}

// Get is described in spool.Engine.
func (s *Spool) Get(_ context.Context, id spool.ID) (spool.Entry, error) {
	s.mu.Lock()
	if l := s.cache.get(id); l != nil {
		e := l.public()
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
	return l.public(), nil
}

// Open is described in spool.Engine.
func (s *Spool) Open(_ context.Context, id spool.ID) (spool.Body, error) {
	s.mu.Lock()
	if l := s.cache.get(id); l != nil && l.mem != nil {
		b := &memory{data: l.mem.data}
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
	if l.size <= chunkSize {
		data, err := s.chunk(l.body, l.size, 0)
		if err != nil {
			return nil, err
		}
		return &memory{data: data}, nil
	}
	return s.openLarge(l)
}

// chunk reads one chunk of a body, whole or with an error.
func (s *Spool) chunk(body spool.ID, size int64, n int) ([]byte, error) {
	if size == 0 {
		return nil, nil
	}
	k := keyOfChunk(body, n)
	data, err := s.get(k[:])
	switch {
	case err != nil:
		return nil, fmt.Errorf("pebblespool: body %v: %w", body, err)
	case data == nil:
		return nil, spool.ErrNotFound
	case len(data) != chunkLen(size, n):
		return nil, fmt.Errorf("pebblespool: body %v: %w", body, errRecord)
	}
	return data, nil
}

// memory is a body in memory.
type memory struct {
	data []byte
	pos  int
}

func (m *memory) Size() int64  { return int64(len(m.data)) }
func (m *memory) Close() error { return nil }

func (m *memory) Read(p []byte) (int, error) {
	if m.pos == len(m.data) && len(p) > 0 {
		return 0, io.EOF
	}
	n := copy(p, m.data[m.pos:])
	m.pos += n
	return n, nil
}

func (m *memory) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(m.data[m.pos:])
	m.pos += n
	return int64(n), err
}

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

func (s *Spool) openLarge(l *live) (spool.Body, error) {
	s.mu.Lock()
	if _, gone := s.dying[l.body]; gone {
		s.mu.Unlock()
		return nil, spool.ErrNotFound
	}
	s.opened[l.body]++
	s.mu.Unlock()
	b := &large{s: s, body: l.body, size: l.size}
	// It may have been removed before we were counted.
	if again, err := s.load(l.id); again == nil || err != nil {
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
	if b.next == chunks(b.size) {
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
