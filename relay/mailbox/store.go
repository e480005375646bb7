package mailbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/metrics"
	"tenma/relay/mail"
	"tenma/relay/mailbox/ledger"
	"tenma/relay/mailbox/ledger/blob"
	"tenma/relay/wire/smtp"
)

// Store keeps the mail of all accounts. It may be used from any goroutine.
//
// Promise: what an operation that returned nil has changed is on stable
// storage, whole; one that returned an error is there whole or not at all. A UID
// that anybody has seen is never given to another message. What a mailbox
// takes is, after any crash, exactly the sum of its messages.
type Store struct {
	cfg   atomic.Pointer[Config]
	deps  Deps
	log   *slog.Logger
	db    *ledger.DB
	blobs *blob.Store

	// Locks are taken in this order: metaMu, box.mu (several: by account), mu.
	metaMu sync.Mutex // also held while a change of meta is submitted
	meta   ledger.Meta
	mu     sync.Mutex
	boxes  map[string]*box
	cache  cache
}

var _ mail.Deliver = (*Store)(nil).Deliver

// New opens the database in cfg.Dir, or makes one. One process may have it open.
// Nothing is written before Run.
func New(cfg Config, deps Deps) (*Store, error) {
	cfg = cfg.withDefaults()
	if deps.FS == nil {
		deps.FS = vfs.Default
	}
	if deps.Metrics == nil {
		deps.Metrics = metrics.NewMailbox(nil)
	}
	if deps.Random == nil {
		deps.Random = func(b []byte) { _, _ = rand.Read(b) } // it never fails
	}
	if deps.MinFree == nil {
		deps.MinFree = func() error { return nil }
	}
	db, err := ledger.Open(ledger.Options{Dir: cfg.Dir, FS: deps.FS, Log: cfg.Log, MemTable: deps.MemTable, Bubble: deps.Bubble})
	if err != nil {
		return nil, fmt.Errorf("mailbox: %w", err)
	}
	s := &Store{deps: deps, log: cfg.Log, db: db, blobs: blob.New(db, deps.Random), boxes: map[string]*box{}}
	s.cfg.Store(&cfg)
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

func (c Config) withDefaults() Config {
	def := DefaultConfig()
	if c.Hostname == "" {
		c.Hostname = "localhost"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Quota == 0 {
		c.Quota = def.Quota
	}
	if c.QuotaWarn == 0 {
		c.QuotaWarn = def.QuotaWarn
	}
	if c.MessageSize == 0 {
		c.MessageSize = def.MessageSize
	}
	if c.Folders == 0 {
		c.Folders = def.Folders
	}
	if c.TrashDays == 0 {
		c.TrashDays = def.TrashDays
	}
	if c.JunkDays == 0 {
		c.JunkDays = def.JunkDays
	}
	if c.POP3Days == 0 {
		c.POP3Days = def.POP3Days
	}
	return c
}

// Apply puts another configuration in force, but for Dir and Log.
func (s *Store) Apply(cfg Config) {
	cfg = cfg.withDefaults()
	s.cfg.Store(&cfg)
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
	helpers.Go(func() { s.clean(ctx) })
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
	return s.deps.MinFree()
}

// DiskUsage is what all mailboxes take on disk, in octets.
func (s *Store) DiskUsage() int64 { return s.db.DiskUsage() }

// Accounts calls fn for each account that has a mailbox, by name, until it says
// false.
func (s *Store) Accounts(fn func(account string) bool) error {
	const run = 1000
	for last := ""; ; {
		var names []string
		lower, upper := ledger.Accounts(last)
		err := s.db.Scan(lower, upper, func(key, _ []byte) (bool, error) {
			names = append(names, ledger.AccountOf(key))
			return len(names) < run, nil
		})
		if err != nil {
			return err
		}
		for _, n := range names {
			if !fn(n) {
				return nil
			}
		}
		if len(names) < run {
			return nil
		}
		last = names[run-1]
	}
}

// Usage is what an account's mailbox takes. One that has no mailbox yet takes
// nothing; none is made.
func (s *Store) Usage(account string) (Usage, error) {
	account = fold(account)
	b, err := s.db.Get(ledger.AccountKey(account))
	if err != nil || b == nil {
		return Usage{Limit: s.limit(account)}, err
	}
	m, err := s.Open(account)
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
func (s *Store) limit(account string) int64 {
	limit := s.cfg.Load().Quota
	if s.deps.Resolver != nil {
		if a, err := smtp.ParseMailbox(account); err == nil {
			if set, ok := s.deps.Resolver.Settings(a); ok && set.Quota != 0 {
				limit = set.Quota
			}
		}
	}
	return max(0, limit)
}

// fold makes one of the spellings of an account's name: people do not tell Ann
// from ann. Only ASCII, as the names of accounts are compared elsewhere.
func fold(account string) string {
	b := []byte(account)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// validity gives the next UIDVALIDITY: larger than any before, and by the clock,
// so that one after the loss of all data is larger too (RFC 9051 section
// 2.3.1.1).
func validity(last uint32) uint32 { return max(uint32(time.Now().Unix()), last+1) }
