package pebblespool

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"tenma/metrics"
	"tenma/spool"
	"tenma/spool/pebblespool/disk"
	"tenma/spool/pebblespool/layout"
	"tenma/spool/pebblespool/layout/inmem"
)

// Spool is a spool.Engine on one Pebble database.
//
// Promise 1: Commit returns nil only after the batch that holds its drafts was
// synced. Promise 2: a body's key is written once and deleted once. Promise 3:
// a settlement waits SettleDelay at most before its group is written. Promise
// 4: a settlement and its drafts are one batch. Promise 5: BeforeSettle has
// returned before the group of a settlement is built.
type Spool struct {
	o     Options
	log   *slog.Logger
	m     *metrics.Spool
	fence *disk.Fence
	db    *pebble.DB
	run   uint64 // number of this process run, in each entry it stores

	wake       chan struct{} // the committer: the queue has something, or Feed has room
	settleWake chan struct{} // the settler
	fedWake    chan struct{} // Feed: the fresh queue has something
	staging    chan stageWrite
	stalled    atomic.Pointer[error] // why settlements wait, while they do
	ended      chan struct{}         // closed when Run takes no more

	mu       sync.Mutex
	phase    phase
	queue    []request     // to the committer
	settling []*settlement // to the settler
	held     []*settlement // with the settler
	inflight []request     // with the committer
	cache    *inmem.Cache
	feed     feed
	opened   map[spool.ID]int      // large bodies being read, and by how many
	dying    map[spool.ID]struct{} // bodies that the group under way deletes
	orphans  map[spool.ID]int64    // bodies to delete when the last reader closes, and their sizes
	stats    spool.Stats
	removed  int64 // octets of bodies removed in this run
	closed   bool
	readers  sync.WaitGroup

	// The committer's own.
	due       inmem.Due
	expiry    expiries
	sharedNum int64 // records under r|

	low  inmem.Low
	free disk.Reserve

	staged atomic.Uint64 // number of bodies staged in this run
}

// phase is how far the engine has come in its life.
type phase uint8

const (
	phaseNew phase = iota
	phaseRunning
	phaseEnding // Run takes no more and finishes what it holds
	phaseEnded
)

var _ spool.Engine = (*Spool)(nil)

// Open opens the spool in o.Dir, or makes one. Staged bodies that belong to no
// entry are swept. Only one process may have a spool open.
func Open(o Options) (*Spool, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	if err := o.FS.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("pebblespool: %w", err)
	}
	s := &Spool{
		o: o, log: o.Logger, m: o.Metrics,
		fence:      disk.NewFence(o.FS, o.NoSync, o.Logger),
		wake:       make(chan struct{}, 1),
		settleWake: make(chan struct{}, 1),
		fedWake:    make(chan struct{}, 1),
		staging:    make(chan stageWrite),
		ended:      make(chan struct{}),
		cache:      inmem.NewCache(o.Memory),
		opened:     map[spool.ID]int{},
		dying:      map[spool.ID]struct{}{},
		orphans:    map[spool.ID]int64{},
		low:        inmem.NewLow(),
	}
	s.feed.init()
	s.free = disk.Reserve{
		Ask: o.FreeSpace, Percent: o.MinFreePercent, Bytes: o.MinFreeBytes, Gauge: o.Metrics.FreeBytes,
	}
	if err := s.fenced(s.open); err != nil {
		err = fmt.Errorf("pebblespool: opening %s: %w", o.Dir, err)
		if s.fence.Err() == nil && s.db != nil {
			err = errors.Join(err, s.fenced(s.db.Close))
		}
		return nil, err
	}
	if o.NoSync {
		s.m.Unsynced.Set(1)
	}
	return s, nil
}

// spareLogs is how many logs lie ready: one is written while another is flushed.
const spareLogs = 2

// runKey holds the number of the last run.
var runKey = []byte{layout.KindMeta, 'r'}

func (s *Spool) open() error {
	if s.o.LogAhead >= 0 {
		if err := s.fence.KeepSpares(s.o.Dir, spareLogs, max(s.o.MemTable, s.o.LogAhead)); err != nil {
			return err
		}
	}
	var merging disk.Merging
	p := disk.Pebble(s.fence, s.o.MemTable, &merging, s.o.Logger)
	db, err := pebble.Open(s.o.Dir, p)
	if err != nil {
		return err
	}
	s.db = db
	defer merging.Begin()
	old, err := s.get(runKey)
	if err != nil {
		return err
	}
	if old != nil {
		n, k := binary.Uvarint(old)
		if k <= 0 {
			return layout.ErrRecord
		}
		s.run = n
	}
	s.run++
	b := db.NewBatch()
	defer b.Close()
	if err := b.Set(runKey, binary.AppendUvarint(nil, s.run), nil); err != nil {
		return err
	}
	if err := s.sweepStaged(b); err != nil {
		return err
	}
	if s.sharedNum, err = layout.Count(db, layout.KindRefs); err != nil {
		return err
	}
	if s.cache.Beyond, err = s.youngest(); err != nil {
		return err
	}
	return b.Commit(pebble.Sync)
}

// Close releases the database after Run has returned. A sick spool is left as
// it is until the process ends, and Close says so.
func (s *Spool) Close() error {
	if err := s.fence.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	switch {
	case s.phase == phaseRunning || s.phase == phaseEnding:
		s.mu.Unlock()
		return errors.New("pebblespool: Close while Run runs")
	case s.closed:
		s.mu.Unlock()
		return nil
	case s.phase == phaseNew:
		close(s.ended)
	}
	s.phase, s.closed = phaseEnded, true
	s.mu.Unlock()
	s.readers.Wait()
	return s.fenced(s.db.Close)
}

// fenced runs fn, which writes, in a goroutine of its own: the fence parks it if
// the disk fails.
func (s *Spool) fenced(fn func() error) error {
	done := make(chan error, 1)
	go func() { done <- fn() }()
	select {
	case err := <-done:
		return err
	case <-s.fence.Sick():
		return s.fence.Err()
	}
}

// reading is called before, and s.readers.Done after, the database is read by
// anyone but the committer, so that Close does not pull it away.
func (s *Spool) reading() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return spool.ErrClosed
	}
	s.readers.Add(1)
	return nil
}

// Run works until ctx is cancelled and all that was handed in before is
// durable. If the storage fails, everything is refused with spool.ErrSick from
// then on, and Run returns the reason when ctx is cancelled.
func (s *Spool) Run(ctx context.Context) error {
	s.mu.Lock()
	if s.phase != phaseNew {
		s.mu.Unlock()
		return errors.New("pebblespool: Run was called before")
	}
	s.phase = phaseRunning
	s.mu.Unlock()

	spares := newStage(func(stop <-chan struct{}) {
		if s.o.LogAhead > 0 {
			s.fence.MakeSpares(stop)
		}
	})
	settler := newStage(s.settleLoop)
	stager := newStage(s.stageLoop)
	committer := newStage(s.commitLoop)
	keeper := newStage(s.keeper().Run)
	select {
	case <-ctx.Done():
	case <-s.fence.Sick():
		s.m.Sick.Set(1)
		s.failAll()
		<-ctx.Done()
	}
	s.mu.Lock()
	s.phase = phaseEnding
	s.mu.Unlock()
	close(s.ended)
	// Each hands what it holds to the next, so they end in this order.
	for _, st := range []*stage{spares, keeper, stager, settler, committer} {
		st.end(s.fence.Sick())
	}
	if s.fence.Err() != nil {
		s.failAll()
	}
	s.mu.Lock()
	s.phase = phaseEnded
	s.mu.Unlock()
	return s.fence.Err()
}

// stage is a goroutine that is told to finish and waited for.
type stage struct{ stop, done chan struct{} }

func newStage(loop func(stop <-chan struct{})) *stage {
	st := &stage{make(chan struct{}), make(chan struct{})}
	go func() { defer close(st.done); loop(st.stop) }()
	return st
}

// end waits for the goroutine, unless the spool is sick: then it may be parked
// behind the fence for good.
func (st *stage) end(sick <-chan struct{}) {
	close(st.stop)
	select {
	case <-st.done:
	case <-sick:
	}
}

// submit queues r for the committer. After the end, or when sick, it finishes r
// at once.
func (s *Spool) submit(r ...request) {
	s.mu.Lock()
	err := s.refusal()
	if err == nil {
		s.queue = append(s.queue, r...)
	}
	s.mu.Unlock()
	if err != nil {
		for _, r := range r {
			r.finish(err)
		}
		return
	}
	poke(s.wake)
}

// refusal is why nothing new is taken. s.mu is held.
func (s *Spool) refusal() error {
	if err := s.fence.Err(); err != nil {
		return err
	}
	if s.phase >= phaseEnding {
		return spool.ErrClosed
	}
	return nil
}

// failAll finishes everything that waits, because the spool is sick. The
// committer may be parked for good with what it holds.
func (s *Spool) failAll() {
	s.mu.Lock()
	all := append(s.queue, s.inflight...)
	for _, list := range [][]*settlement{s.held, s.settling} {
		for _, r := range list {
			all = append(all, r)
		}
	}
	s.queue, s.inflight, s.held, s.settling = nil, nil, nil, nil
	s.mu.Unlock()
	for _, r := range all {
		r.finish(s.fence.Err())
	}
}

// poke wakes whoever waits on c, which has room for one.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Commit is described in spool.Engine.
func (s *Spool) Commit(ctx context.Context, drafts ...spool.Draft) error {
	if err := s.free.Err(); err != nil {
		s.m.Refused.WithLabelValues("full").Inc()
		return err
	}
	for i := range drafts {
		if err := validate(&drafts[i]); err != nil {
			return err
		}
	}
	if len(drafts) == 0 {
		return nil
	}
	r := &commitment{drafts: drafts, waiter: newWaiter()}
	s.submit(r)
	err := r.wait(ctx, s.fence)
	switch {
	case errors.Is(err, spool.ErrSick):
		s.m.Refused.WithLabelValues("sick").Inc()
	case errors.Is(err, spool.ErrDuplicate):
		s.m.Refused.WithLabelValues("duplicate").Inc()
	}
	return err
}

// validate refuses what cannot be stored.
func validate(d *spool.Draft) error {
	sources := 0
	if len(d.Body) > 0 {
		sources++
	}
	if d.Staged != nil {
		sources++
	}
	if !d.Share.IsZero() {
		sources++
	}
	switch {
	case d.ID.IsZero():
		return errors.New("pebblespool: draft without id")
	case sources > 1:
		return errors.New("pebblespool: draft with more than one body")
	case len(d.Body) > spool.MaxInline:
		return fmt.Errorf("pebblespool: body of %d octets in a draft, at most %d", len(d.Body), spool.MaxInline)
	}
	return nil
}

// Settle is described in spool.Engine. A draft whose id or dedupe key is known
// is left out; the rest of the settlement holds. A parked entry that is settled
// without Park is handed to Feed, since nobody holds it.
func (s *Spool) Settle(set spool.Settlement, done func(error)) {
	r := &settlement{Settlement: set, done: done}
	for i := range set.Drafts {
		if err := validate(&set.Drafts[i]); err != nil {
			r.finish(err)
			return
		}
	}
	s.mu.Lock()
	err := s.refusal()
	if err == nil {
		s.settling = append(s.settling, r)
	}
	s.mu.Unlock()
	if err != nil {
		r.finish(err)
		return
	}
	poke(s.settleWake)
}

// Unpark is described in spool.Engine.
func (s *Spool) Unpark(ids ...spool.ID) {
	if len(ids) > 0 {
		s.submit(&unparking{ids: ids})
	}
}

// Health is nil, or wraps ErrFull, ErrStalled or ErrSick with the reason.
func (s *Spool) Health() error {
	if err := s.fence.Err(); err != nil {
		return err
	}
	if err := s.stalled.Load(); err != nil {
		return *err
	}
	return s.free.Err()
}

// Stats is described in spool.Engine.
func (s *Spool) Stats() spool.Stats {
	s.mu.Lock()
	st := s.stats
	st.CachedBytes = s.cache.Used()
	st.Rebuilding = !s.feed.rebuilt
	s.mu.Unlock()
	st.FreeBytes, st.Written = s.free.Avail(), s.fence.Written()
	if s.fence.Err() == nil && s.reading() == nil {
		m := s.db.Metrics()
		st.DiskBytes, st.TableBytes, st.CacheBytes = int64(m.DiskSpaceUsage()), int64(m.MemTable.Size), m.BlockCache.Size
		s.readers.Done()
	}
	return st
}
