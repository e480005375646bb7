package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/spool/pebblespool/disk"
)

// ErrClosed is what changes get after Run has ended.
var ErrClosed = errors.New("mailbox: store is closed")

// ErrTimeout is a change that did not become durable in time. It still may.
var ErrTimeout = errors.New("mailbox: the store did not answer in time")

// Options say where a DB lies.
type Options struct {
	Dir string
	FS  vfs.FS
	Log *slog.Logger
	// MemTable in octets; 0: 64 MiB. Two may be in memory at a time. Bodies
	// live long here, so a larger one would save little.
	MemTable int
	Bubble   bool          // without Pebble's ticker, as a testing/synctest bubble needs
	Timeout  time.Duration // of one commit and of Wait; 0: 30 s
	// OnGroup is told how many changes each synced group held; nil: nobody is.
	OnGroup func(changes int, took time.Duration)
}

// DB is the database. Only its Run writes.
type DB struct {
	o     Options
	fence *disk.Fence
	db    *pebble.DB
	wake  chan struct{}

	mu    sync.Mutex
	queue []*Change
	phase phase

	reading sync.RWMutex // held for reading by readers, for writing by Close
	closed  bool
}

type phase uint8

const (
	phaseNew phase = iota
	phaseRunning
	phaseEnding
	phaseEnded
)

// Open opens the database in o.Dir, or makes one. One process may have it open.
func Open(o Options) (*DB, error) {
	if o.MemTable == 0 {
		o.MemTable = 64 << 20
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if err := o.FS.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	d := &DB{o: o, fence: disk.NewFence(o.FS, false, o.Log), wake: make(chan struct{}, 1)}
	err := d.fenced(func() (err error) {
		d.db, err = pebble.Open(o.Dir, d.options())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", o.Dir, err)
	}
	return d, nil
}

func (d *DB) options() *pebble.Options {
	p := &pebble.Options{
		FS:                          d.fence,
		Logger:                      disk.Log{To: d.o.Log, Fence: d.fence},
		CacheSize:                   32 << 20,
		MemTableSize:                uint64(d.o.MemTable),
		MemTableStopWritesThreshold: 3,
		// Set explicitly: a later Pebble must not raise it by itself, since
		// that bars the way back to an earlier version of the relay.
		FormatMajorVersion:         pebble.FormatValueSeparation,
		LBaseMaxBytes:              64 << 20,
		L0CompactionThreshold:      4,
		L0StopWritesThreshold:      40,
		CompactionConcurrencyRange: func() (int, int) { return 1, 2 },
		MaxOpenFiles:               1000,
	}
	// Most deliveries that are looked up were never made.
	for i := range p.Levels {
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	p.EventListener = &pebble.EventListener{
		BackgroundError: func(err error) { d.o.Log.Error("pebble: background error", "error", err) },
		WriteStallBegin: func(i pebble.WriteStallBeginInfo) { d.o.Log.Warn("pebble: writes stall", "reason", i.Reason) },
		WriteStallEnd:   func() { d.o.Log.Info("pebble: writes go on") },
	}
	if d.o.Bubble {
		p.Experimental.CompactionScheduler = pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()
	}
	return p
}

// fenced runs fn, which writes, in a goroutine of its own: the fence parks it if
// the disk fails.
func (d *DB) fenced(fn func() error) error {
	done := make(chan error, 1)
	go func() { done <- fn() }()
	select {
	case err := <-done:
		return err
	case <-d.fence.Sick():
		return d.fence.Err()
	}
}

// Close releases the database after Run has returned. A sick one is left as it
// is until the process ends, and Close says so.
func (d *DB) Close() error {
	if err := d.fence.Err(); err != nil {
		return err
	}
	d.mu.Lock()
	running := d.phase == phaseRunning || d.phase == phaseEnding
	if !running {
		d.phase = phaseEnded
	}
	d.mu.Unlock()
	if running {
		return errors.New("mailbox: Close while Run runs")
	}
	d.reading.Lock()
	defer d.reading.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	return d.fenced(d.db.Close)
}

// Health is nil, or wraps spool.ErrSick with the reason.
func (d *DB) Health() error { return d.fence.Err() }

// DiskUsage is what the database takes on disk, in octets.
func (d *DB) DiskUsage() int64 {
	d.reading.RLock()
	defer d.reading.RUnlock()
	if d.closed || d.fence.Err() != nil {
		return 0
	}
	return int64(d.db.Metrics().DiskSpaceUsage())
}

// Get gives a record, nil if there is none.
func (d *DB) Get(key []byte) ([]byte, error) {
	d.reading.RLock()
	defer d.reading.RUnlock()
	if d.closed {
		return nil, ErrClosed
	}
	v, c, err := d.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return append(make([]byte, 0, len(v)), v...), c.Close()
}

// Scan calls fn for the records from lower to before upper until it says
// false. key and value are fn's for the call only. fn must be quick: Close
// waits for it.
func (d *DB) Scan(lower, upper []byte, fn func(key, value []byte) (bool, error)) (err error) {
	d.reading.RLock()
	defer d.reading.RUnlock()
	if d.closed {
		return ErrClosed
	}
	it, err := d.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if more, err := fn(it.Key(), v); err != nil || !more {
			return err
		}
	}
	return it.Error()
}

// Checkpoint writes a copy of the database, as of now, into a new directory.
func (d *DB) Checkpoint(dir string) error {
	d.reading.RLock()
	defer d.reading.RUnlock()
	if d.closed {
		return ErrClosed
	}
	return d.fenced(func() error { return d.db.Checkpoint(dir, pebble.WithFlushedWAL()) })
}

// Run commits what is submitted until ctx is cancelled and all that came before
// is durable. Its error is what made the disk fail.
func (d *DB) Run(ctx context.Context) error {
	d.mu.Lock()
	if d.phase != phaseNew {
		d.mu.Unlock()
		return errors.New("mailbox: Run was called before, or after Close")
	}
	d.phase = phaseRunning
	d.mu.Unlock()
	ended := make(chan struct{})
	go func() { defer close(ended); d.commitLoop(ctx.Done()) }()
	select {
	case <-ended:
	case <-d.fence.Sick(): // the committer may be parked for good
		<-ctx.Done()
	}
	d.mu.Lock()
	d.phase = phaseEnded
	d.mu.Unlock()
	return d.fence.Err()
}
