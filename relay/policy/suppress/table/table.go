package table

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/relay/policy/suppress"
	"tenma/spool"
	"tenma/spool/pebblespool/disk"
)

// ErrClosed is what a Table says after Close.
var ErrClosed = errors.New("suppression list: closed")

const (
	// memTable holds what was changed last, in octets. Pebble takes it, and those
	// that are being flushed, out of the cache's room.
	memTable = 4 << 20
	// cache holds filters, indexes and blocks that are in use. The filters take 1.25
	// octets an entry: those of 30 million fit, and with them a lookup of who is not
	// on the list costs no read. With a quarter of this a lookup took 130 us, for
	// filters that were read again each time.
	cache = 64 << 20
	// tableSize keeps filters small, so that the cache is shared well.
	tableSize = 16 << 20
	// commitTime bounds a write, so that a disk that hangs becomes an error.
	commitTime = 30 * time.Second
)

// Options say where a Table lies.
type Options struct {
	Dir    string
	FS     vfs.FS // nil: the machine's
	Log    *slog.Logger
	Bubble bool // without Pebble's ticker, as a testing/synctest bubble needs
}

// Table is the database. It is a suppress.Store.
type Table struct {
	fence  *disk.Fence
	db     *pebble.DB
	dir    string
	counts suppress.Counts

	writing sync.Mutex   // held while a change is made
	reading sync.RWMutex // held for reading by who reads, for writing by Close
	closed  bool         // under reading
}

// Open opens the database in o.Dir, or makes one. One process may have it open.
func Open(o Options) (*Table, error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := o.FS.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	t := &Table{fence: disk.NewFence(o.FS, false, o.Log), dir: o.Dir}
	err := t.fenced(func() (err error) {
		t.db, err = pebble.Open(o.Dir, t.options(&o))
		return err
	})
	if err == nil {
		err = t.recount()
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", o.Dir, err)
	}
	return t, nil
}

func (t *Table) options(o *Options) *pebble.Options {
	p := &pebble.Options{
		FS: t.fence, Logger: disk.Log{To: o.Log, Fence: t.fence}, CacheSize: cache, MemTableSize: memTable,
		// Set explicitly: a later Pebble must not raise it by itself, since
		// that bars the way back to an earlier version of the relay.
		FormatMajorVersion:          pebble.FormatValueSeparation,
		MemTableStopWritesThreshold: 3,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       40,
		MaxOpenFiles:                1000,
	}
	for i := range p.Levels {
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // one in a hundred that are not there costs a read
		p.TargetFileSizes[i] = tableSize
	}
	// No table holds two kinds of record: the indexes need no filters in the cache.
	p.Experimental.SpanPolicyFunc = func(start []byte) (pebble.SpanPolicy, []byte, error) {
		return pebble.SpanPolicy{}, []byte{start[0] + 1}, nil
	}
	p.EventListener = &pebble.EventListener{
		BackgroundError: func(err error) { o.Log.Error("pebble: background error", "error", err) },
	}
	if o.Bubble {
		p.Experimental.CompactionScheduler = pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()
	}
	return p
}

// fenced runs fn, which writes, in a goroutine of its own: the fence parks it if
// the disk fails.
func (t *Table) fenced(fn func() error) error {
	done := make(chan error, 1)
	go func() { done <- fn() }()
	select {
	case err := <-done:
		return err
	case <-t.fence.Sick():
		return t.fence.Err()
	}
}

// recount takes back the numbers.
func (t *Table) recount() error {
	v, c, err := t.db.Get([]byte{counted})
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer c.Close()
	var numbers []int64
	for len(v) > 0 {
		n, size := binary.Varint(v)
		if size <= 0 {
			return errDamaged
		}
		numbers, v = append(numbers, n), v[size:]
	}
	t.counts.Set(numbers)
	return nil
}

// Close releases the database. A sick one is left as it is until the process
// ends, and Close says so.
func (t *Table) Close() error {
	if err := t.fence.Err(); err != nil {
		return err
	}
	t.writing.Lock()
	defer t.writing.Unlock()
	t.reading.Lock()
	defer t.reading.Unlock()
	if t.closed {
		return nil
	}
	t.closed = true
	return t.fenced(t.db.Close)
}

// Health is nil, or wraps spool.ErrSick with the reason.
func (t *Table) Health() error { return t.fence.Err() }

// Counts is suppress.Store's.
func (t *Table) Counts() *suppress.Counts { return &t.counts }

// Get is suppress.Store's.
func (t *Table) Get(k suppress.Key) (e suppress.Entry, ok bool, err error) {
	t.reading.RLock()
	defer t.reading.RUnlock()
	if t.closed {
		return e, false, ErrClosed
	}
	return read(t.db, &k, false)
}

// read gives the entry of a key as a database or a batch has it.
func read(from pebble.Reader, k *suppress.Key, isHeld bool) (e suppress.Entry, ok bool, err error) {
	var room [128]byte // the usual key needs no memory
	v, c, err := from.Get(entryKey(room[:0], k, isHeld))
	if errors.Is(err, pebble.ErrNotFound) {
		return e, false, nil
	}
	if err != nil {
		return e, false, err
	}
	e.Key, e.Held = *k, isHeld
	err = parseEntry(v, &e)
	return e, err == nil, errors.Join(err, c.Close())
}

// Scan is suppress.Store's.
func (t *Table) Scan(isHeld bool, from suppress.Key, fn func(*suppress.Entry) bool) error {
	return t.scan(entryKey(nil, &from, isHeld), []byte{kindOf(isHeld) + 1}, func(key, value []byte) (bool, error) {
		e := suppress.Entry{Held: isHeld}
		var err error
		if e.Key, err = parseKey(key[1:]); err == nil {
			err = parseEntry(value, &e)
		}
		return err == nil && fn(&e), err
	})
}

// Made is suppress.Store's.
func (t *Table) Made(isHeld bool, since time.Time, fn func(*suppress.Entry) bool) error {
	kind := kindOf(isHeld)
	from := binary.BigEndian.AppendUint64([]byte{made, kind}, stamp(since))
	return t.scan(from, []byte{made, kind + 1}, func(key, _ []byte) (bool, error) {
		return t.indexed(key, isHeld, fn)
	})
}

// Ended is suppress.Store's.
func (t *Table) Ended(at time.Time, fn func(*suppress.Entry) bool) error {
	to := binary.BigEndian.AppendUint64([]byte{ends}, stamp(at)+1)
	return t.scan([]byte{ends}, to, func(key, _ []byte) (bool, error) {
		return t.indexed(key, len(key) > 9 && key[9] == held, fn)
	})
}

// indexed gives fn the entry that an index leads to.
func (t *Table) indexed(key []byte, isHeld bool, fn func(*suppress.Entry) bool) (bool, error) {
	const head = 10 // kind, kind of the entry, time
	if len(key) < head {
		return false, errDamaged
	}
	k, err := parseKey(key[head:])
	if err != nil {
		return false, err
	}
	e, ok, err := read(t.db, &k, isHeld)
	if err != nil || !ok { // it went since the scan began
		return err == nil, err
	}
	return fn(&e), nil
}

// scan calls fn for the records from lower to before upper until it says false.
// key is fn's for the call only.
func (t *Table) scan(lower, upper []byte, fn func(key, value []byte) (bool, error)) (err error) {
	t.reading.RLock()
	defer t.reading.RUnlock()
	if t.closed {
		return ErrClosed
	}
	it, err := t.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
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

// Update is suppress.Store's. Errors wrap spool.ErrSick when the disk has failed,
// and then what became of the change is known only after a restart.
func (t *Table) Update(ctx context.Context, c suppress.Change) (suppress.Done, error) {
	t.writing.Lock()
	defer t.writing.Unlock()
	switch {
	case ctx.Err() != nil:
		return suppress.Done{}, ctx.Err()
	case t.fence.Err() != nil:
		return suppress.Done{}, fmt.Errorf("suppression list: %w", t.fence.Err())
	case t.isClosed():
		return suppress.Done{}, ErrClosed
	}
	s := step{table: t, batch: t.db.NewIndexedBatch(), now: c.Now}
	defer func() {
		if t.fence.Err() == nil { // else it may still be in use
			_ = s.batch.Close()
		}
	}()
	s.counts.Set(t.counts.Values())
	for i := range c.Remove {
		if err := s.remove(&c.Remove[i]); err != nil {
			return suppress.Done{}, err
		}
	}
	for i := range c.Put {
		if err := s.put(&c.Put[i], c.Force); err != nil {
			return suppress.Done{}, err
		}
	}
	if s.batch.Empty() {
		return s.done, nil
	}
	if err := s.commit(); err != nil {
		return suppress.Done{}, fmt.Errorf("suppression list: %w", err)
	}
	t.counts.Set(s.counts.Values())
	return s.done, nil
}

func (t *Table) isClosed() bool {
	t.reading.RLock()
	defer t.reading.RUnlock()
	return t.closed
}

// step is a change in the making.
type step struct {
	table  *Table
	batch  *pebble.Batch
	now    time.Time
	counts suppress.Counts
	done   suppress.Done
}

func (s *step) remove(r *suppress.Removal) error {
	e, ok, err := read(s.batch, &r.Key, r.Held)
	if err != nil || !ok || !r.If.IsZero() && !e.Created.Equal(r.If) {
		return err
	}
	s.done.Removed++
	return s.drop(&e)
}

func (s *step) put(e *suppress.Entry, force bool) error {
	old, ok, err := read(s.batch, &e.Key, e.Held)
	if err != nil {
		return err
	}
	live := ok && (old.Expires.IsZero() || s.now.Before(old.Expires))
	switch {
	case live && !force && !old.Yields(e):
		s.done.Kept++
		return nil
	case ok:
		s.done.Replaced++
		if err := s.drop(&old); err != nil {
			return err
		}
	default:
		s.done.Added++
	}
	s.counts.Add(e, 1)
	err = s.batch.Set(entryKey(nil, &e.Key, e.Held), appendEntry(nil, e), nil)
	if e.Reason.Bounced() {
		err = errors.Join(err, s.batch.Set(madeKey(e), nil, nil))
	}
	if !e.Expires.IsZero() {
		err = errors.Join(err, s.batch.Set(endKey(e), nil, nil))
	}
	return err
}

// drop removes an entry with its indexes.
func (s *step) drop(e *suppress.Entry) error {
	s.counts.Add(e, -1)
	err := s.batch.Delete(entryKey(nil, &e.Key, e.Held), nil)
	if e.Reason.Bounced() {
		err = errors.Join(err, s.batch.Delete(madeKey(e), nil))
	}
	if !e.Expires.IsZero() {
		err = errors.Join(err, s.batch.Delete(endKey(e), nil))
	}
	return err
}

// commit makes the step durable.
func (s *step) commit() error {
	var numbers []byte
	for _, n := range s.counts.Values() {
		numbers = binary.AppendVarint(numbers, n)
	}
	if err := s.batch.Set([]byte{counted}, numbers, nil); err != nil {
		return err
	}
	t := s.table
	// Pebble may try a failing table for ever, and the fence may park us.
	watch := time.AfterFunc(commitTime, func() { t.fence.Fail("commit", t.dir, spool.ErrSick) })
	defer watch.Stop()
	batch := s.batch
	err := t.fenced(func() error { return t.db.Apply(batch, pebble.Sync) })
	if err != nil {
		t.fence.Fail("commit", t.dir, err)
	}
	return errors.Join(err, t.fence.Err())
}
