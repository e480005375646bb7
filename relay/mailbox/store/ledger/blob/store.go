package blob

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"tenma/relay/mailbox/store/ledger"
)

// ChunkSize is how many octets of a body are read or written at a time. A body
// up to this size goes with the batch of its message (the spool's MaxInline).
const ChunkSize = 256 << 10

// ErrGone is a body that has been removed.
var ErrGone = errors.New("mailbox: the body is gone")

// Store keeps bodies in a DB.
type Store struct {
	db     *ledger.DB
	random func([]byte)
	wake   chan struct{}

	mu   sync.Mutex
	busy map[ledger.BlobID]int // being written, or read in several chunks
}

// New makes a Store. random fills a slice with random octets.
func New(db *ledger.DB, random func([]byte)) *Store {
	return &Store{db: db, random: random, wake: make(chan struct{}, 1), busy: map[ledger.BlobID]int{}}
}

func (s *Store) newID() (id ledger.BlobID) {
	s.random(id[6:])
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(time.Now().UnixMilli()))
	copy(id[:6], ms[2:])
	return id
}

func (s *Store) pin(id ledger.BlobID) {
	s.mu.Lock()
	s.busy[id]++
	s.mu.Unlock()
}

func (s *Store) unpin(id ledger.BlobID) {
	s.mu.Lock()
	if s.busy[id]--; s.busy[id] == 0 {
		delete(s.busy, id)
	}
	s.mu.Unlock()
}

func (s *Store) pinned(id ledger.BlobID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.busy[id] > 0
}

// Unref writes that the message at p needs the body no more.
func Unref(b *ledger.Batch, id ledger.BlobID, size int64, p ledger.Place) {
	b.Delete(ledger.RefKey(id, p))
	b.Set(ledger.CondemnedKey(id), binary.AppendUvarint(nil, uint64(size)))
}

// Ref writes that the message at p needs the body. The body has another
// reference when the change is committed, or is written by it.
func Ref(b *ledger.Batch, id ledger.BlobID, p ledger.Place) { b.Set(ledger.RefKey(id, p), nil) }

// Poke makes Sweep look soon.
func (s *Store) Poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Condemned receives when Sweep should be called.
func (s *Store) Condemned() <-chan struct{} { return s.wake }

// sweepStep is how many bodies are looked at while everybody waits: 256 look-ups
// take a few milliseconds.
const sweepStep = 256

// Sweep removes the bodies that nobody needs.
func (s *Store) Sweep(ctx context.Context) error {
	var after ledger.BlobID
	for {
		seen := 0
		change := &ledger.Change{NoSync: true, Build: func(b *ledger.Batch) (err error) {
			seen, after, err = s.step(b, after)
			return err
		}}
		if err := s.db.Do(ctx, change); err != nil || seen < sweepStep {
			return err
		}
	}
}

// step removes some. It runs in the committer.
func (s *Store) step(b *ledger.Batch, after ledger.BlobID) (seen int, last ledger.BlobID, err error) {
	type mark struct {
		id   ledger.BlobID
		size int64 // -1: not known
	}
	var marks []mark
	lower, upper := ledger.Condemned(after)
	err = s.db.Scan(lower, upper, func(key, value []byte) (bool, error) {
		m := mark{ledger.CondemnedOf(key), -1}
		if n, k := binary.Uvarint(value); k > 0 {
			m.size = int64(n)
		}
		marks = append(marks, m)
		return len(marks) < sweepStep, nil
	})
	if err != nil {
		return 0, last, err
	}
	for _, m := range marks {
		last = m.id
		if s.pinned(m.id) {
			continue
		}
		needed, err := s.needed(m.id)
		if err != nil {
			return 0, last, err
		}
		if !needed {
			if err := s.remove(b, m.id, m.size); err != nil {
				return 0, last, err
			}
		}
		b.Delete(ledger.CondemnedKey(m.id))
	}
	return len(marks), last, nil
}

func (s *Store) needed(id ledger.BlobID) (yes bool, err error) {
	lower, upper := ledger.Refs(id)
	err = s.db.Scan(lower, upper, func(_, _ []byte) (bool, error) {
		yes = true
		return false, nil
	})
	return yes, err
}

func (s *Store) remove(b *ledger.Batch, id ledger.BlobID, size int64) error {
	if size < 0 {
		lower, upper := ledger.Chunks(id)
		return s.db.Scan(lower, upper, func(key, value []byte) (bool, error) {
			b.DeleteSized(key, len(value))
			return true, nil
		})
	}
	for n := uint32(0); n < chunks(size); n++ {
		b.DeleteSized(ledger.BlobKey(id, n), int(min(ChunkSize, size-int64(n)*ChunkSize)))
	}
	return nil
}

// chunks is how many a body of that size has; an empty one has one.
func chunks(size int64) uint32 { return uint32(max(1, (size+ChunkSize-1)/ChunkSize)) }
