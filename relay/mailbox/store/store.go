package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/relay/mailbox/store/ledger"
	"tenma/relay/mailbox/store/ledger/blob"
	"tenma/relay/mailbox/store/lru"
)

// Options say where a Store lies and what it works with. Only Dir is required.
type Options struct {
	Dir     string
	FS      vfs.FS                     // nil: the machine's
	Log     *slog.Logger               // nil: none
	Limit   func(account string) int64 // the quota of an account, in octets; 0 and below: none. nil: none for anybody
	MinFree func() error               // an error that wraps spool.ErrFull when the disk is nearly full; nil: never
	Random  func([]byte)               // fills a slice with random octets; nil: crypto/rand

	MemTable int  // of the database, in octets; 0: 64 MiB
	Bubble   bool // for tests: the database runs without its ticker, as a testing/synctest bubble needs

	Bounds
}

// Bounds can be changed while the Store runs.
type Bounds struct {
	MessageSize int64 // octets of the largest message that APPEND may bring; 0: 50 MiB
	Folders     int   // of one mailbox; 0: 2000
}

func (b Bounds) withDefaults() Bounds {
	if b.MessageSize == 0 {
		b.MessageSize = 50 << 20
	}
	if b.Folders == 0 {
		b.Folders = 2000
	}
	return b
}

// Store keeps the mail of all accounts. It may be used from any goroutine.
//
// Promise: what an operation that returned nil has changed is on stable
// storage, whole; one that returned an error is there whole or not at all. A UID
// that anybody has seen is never given to another message. What a mailbox
// takes is, after any crash, exactly the sum of its messages.
type Store struct {
	o      Options // but for Bounds
	bounds atomic.Pointer[Bounds]
	db     *ledger.DB
	blobs  *blob.Store

	// Locks are taken in this order: metaMu, box.mu (several: by account), mu.
	metaMu    sync.Mutex // also held while a change of meta is submitted
	meta      ledger.Meta
	mu        sync.Mutex
	boxes     map[string]*box
	idleBoxes lru.List[*box]    // nobody has them open
	idleLists lru.List[*folder] // of no view
}

// Open opens the database in o.Dir, or makes one. One process may have it open.
// No mail is written before Run.
func Open(o Options) (*Store, error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Limit == nil {
		o.Limit = func(string) int64 { return 0 }
	}
	if o.MinFree == nil {
		o.MinFree = func() error { return nil }
	}
	if o.Random == nil {
		o.Random = func(b []byte) { _, _ = rand.Read(b) } // it never fails
	}
	db, err := ledger.Open(ledger.Options{Dir: o.Dir, FS: o.FS, Log: o.Log, MemTable: o.MemTable, Bubble: o.Bubble})
	if err != nil {
		return nil, fmt.Errorf("mailbox: %w", err)
	}
	s := &Store{o: o, db: db, blobs: blob.New(db, o.Random), boxes: map[string]*box{}, idleBoxes: lru.New[*box](cachedFolders), idleLists: lru.New[*folder](cachedMessages)}
	s.Apply(o.Bounds)
	if err := s.loadMeta(); err != nil {
		return nil, errors.Join(fmt.Errorf("mailbox: %w", err), db.Close())
	}
	return s, nil
}

func (s *Store) loadMeta() error {
	b, err := s.db.Get(ledger.MetaKey())
	if err != nil || b == nil {
		return err
	}
	s.meta, err = ledger.DecodeMeta(b)
	return err
}

// Apply puts other bounds in force.
func (s *Store) Apply(b Bounds) {
	b = b.withDefaults()
	s.bounds.Store(&b)
}

// Run commits what the other methods write, and cleans up, until ctx is
// cancelled and all that was begun is durable. Its error is what made the
// disk fail. Without it, whatever writes waits.
func (s *Store) Run(ctx context.Context) error {
	forDB, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.db.Run(forDB) }()
	var helpers sync.WaitGroup
	helpers.Go(func() {
		s.blobs.Clean(ctx, func(err error) {
			s.o.Log.Error("mailboxes: clearing away what was removed failed; it is tried again", "error", err)
		})
	})
	<-ctx.Done()
	helpers.Wait()
	stop()
	return <-ended
}

// Close releases the database after Run has returned. Mailboxes that are still
// open give ErrClosed from then on. After a failure of the disk it is left as it is
// until the process ends, and Close says so.
func (s *Store) Close() error { return s.db.Close() }

// Health is nil, or wraps spool.ErrSick or spool.ErrFull with the reason.
func (s *Store) Health() error {
	if err := s.db.Health(); err != nil {
		return err
	}
	return s.o.MinFree()
}

// DiskUsage is what all mailboxes take on disk, in octets.
func (s *Store) DiskUsage() int64 { return s.db.DiskUsage() }

// Accounts calls fn for each account that has a mailbox, by name, until it says
// false.
func (s *Store) Accounts(fn func(account string) bool) error { return s.db.EachAccount(fn) }

// Usage is what an account's mailbox takes. One that has no mailbox yet takes
// nothing; none is made.
func (s *Store) Usage(account string) (Usage, error) {
	account = fold(account)
	b, err := s.db.Get(ledger.AccountKey(account))
	if err != nil || b == nil {
		return Usage{Limit: s.limit(account)}, err
	}
	m, err := s.Mailbox(account)
	if err != nil {
		return Usage{}, err
	}
	defer m.Close()
	return m.Usage(), nil
}

// Room says whether a message of that size would go into the mailbox now: nil,
// ErrQuota if it is full, ErrTooLarge if it never can. Whoever asks before
// delivering spares a sender the sending; the delivery asks again.
func (s *Store) Room(account string, size int64) error {
	limit := s.limit(account)
	switch {
	case size > maxMessage, limit > 0 && size > limit:
		return ErrTooLarge
	case limit == 0:
		return nil
	}
	u, err := s.Usage(account)
	if err == nil && u.Octets+size > limit {
		return ErrQuota
	}
	return err
}

// limit is the quota of an account, 0: none.
func (s *Store) limit(account string) int64 { return max(0, s.o.Limit(account)) }

// fold makes one of the spellings of an account's name: people do not tell Ann
// from ann. Only ASCII, as the names of accounts are compared elsewhere.
func fold(account string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, account)
}

// validity gives the next UIDVALIDITY: larger than any before, and by the clock,
// so that one after the loss of all data is larger too (RFC 9051 section
// 2.3.1.1).
func validity(last uint32) uint32 { return max(uint32(time.Now().Unix()), last+1) }
