package queue

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tenma/metrics"
	"tenma/relay/queue/item"
	"tenma/relay/queue/lanes"
	"tenma/relay/queue/pool"
	"tenma/relay/queue/settings"
	"tenma/spool"
)

const (
	// ahead is how many entries Feed may hand in before the shards have filed
	// them; more wait in the spool.
	ahead = 1024
	// maxLookups is how many domains are looked up at a time: a few thousand
	// silent domains at 5 s each still leave room for others.
	maxLookups = 4096
	// maxLoads is how many entries a shard reads back at a time.
	maxLoads = 256
	// loaders is how many goroutines read entries back.
	loaders = 16
)

// ErrClosed is returned by the operator's methods after Run has ended.
var ErrClosed = errors.New("queue: closed")

// Queue is the stage. It keeps promise 8 of package relay: one shard owns a
// lane, by the hash of its name, and one ledger, at the shard that owns the
// message by its id, knows what is under way for a message. Shards touch only
// what they own and write to each other; nothing of theirs has a lock.
//
// And it keeps its part of promises 3 and 5: a recipient's fate goes to the
// Recorder before its settlement goes to the spool, and nothing is forgotten
// before the spool has said that the settlement is durable.
type Queue struct {
	deps    Deps
	conf    atomic.Pointer[settings.Settings]
	shards  []*shard
	metrics *metrics.Queue
	log     *slog.Logger

	credit chan struct{} // one token for each entry that is not filed yet
	sick   atomic.Bool   // the spool is: nothing new is tried
	stop   atomic.Bool   // Run's context was cancelled
	work   sync.WaitGroup
	closed chan struct{} // Run has ended

	lookups, loads, signs, notes, runs pool.Pool

	ctx  context.Context // Run's; set before any shard runs
	wall func() time.Time
}

// New builds a Queue. It does nothing before Run.
func New(c Config, d Deps) *Queue {
	conf := c.Complete()
	q := &Queue{
		deps: d, metrics: d.Metrics, log: d.Log, wall: time.Now,
		credit: make(chan struct{}, ahead),
		closed: make(chan struct{}),
	}
	q.conf.Store(conf)
	if q.metrics == nil {
		q.metrics = metrics.New(prometheus.NewRegistry()).Queue
	}
	if q.log == nil {
		q.log = slog.Default()
	}
	procs := runtime.GOMAXPROCS(0)
	q.lookups.Max, q.loads.Max, q.signs.Max, q.notes.Max = maxLookups, loaders, settings.SignersPerProc*procs, procs
	n := c.Shards
	if n <= 0 {
		n = procs
	}
	for i := range n {
		q.shards = append(q.shards, newShard(q, i, n, max(1, conf.MaxRunning/n), rand.New(rand.NewPCG(d.Seed, uint64(i)))))
	}
	return q
}

// Run works until ctx is cancelled: then it takes no more from the spool and
// starts no attempt, waits for the attempts under way (promise 6), records and
// settles their outcomes, and returns nil. If the spool's Feed ends before
// that, Run winds down in the same way and returns Feed's error. It may be
// called once; the spool must outlive it.
func (q *Queue) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	q.ctx = ctx
	var shards sync.WaitGroup
	halt := make(chan struct{})
	for _, s := range q.shards {
		shards.Go(func() { s.loop(halt) })
	}
	err := q.deps.Spool.Feed(ctx, q.take)
	if ctx.Err() != nil {
		err = nil
	} else {
		q.log.Error("the spool stopped handing out mail", "err", err)
	}
	<-q.afterFeed(ctx, err)
	cancel()
	q.stop.Store(true)
	var told sync.WaitGroup
	for _, s := range q.shards {
		told.Add(1)
		s.box.Post(msg{kind: perform, do: func() { s.halting(); told.Done() }})
	}
	told.Wait()
	q.work.Wait() // no run starts from here on, so the count only falls
	close(halt)
	shards.Wait()
	for _, p := range []*pool.Pool{&q.lookups, &q.loads, &q.signs, &q.notes, &q.runs} {
		p.Wait()
	}
	close(q.closed)
	return err
}

// afterFeed waits for the end of ctx if Feed returned without an error before.
func (q *Queue) afterFeed(ctx context.Context, err error) <-chan struct{} {
	if err == nil {
		return ctx.Done()
	}
	now := make(chan struct{})
	close(now)
	return now
}

// take is what Feed calls; it blocks while the shards are behind. An entry that
// had to wait is read again: meanwhile an operator may have held or removed it,
// or an item may have had it delivered.
func (q *Queue) take(e spool.Entry) {
	select {
	case q.credit <- struct{}{}:
	default:
		select {
		case q.credit <- struct{}{}:
		case <-q.ctx.Done():
			return // it stays in the spool
		}
		now, err := q.deps.Spool.Get(q.ctx, e.ID)
		if isGone(err) {
			<-q.credit
			return
		}
		if err == nil {
			e = now
		}
	}
	q.owner(e.ID).box.Post(msg{kind: entryCame, entry: &e})
}

// Apply makes c the configuration from now on. Dues that are set already stay.
func (q *Queue) Apply(c Config) {
	q.conf.Store(c.Complete())
	for _, s := range q.shards {
		s.box.Post(msg{kind: perform, do: s.kick})
	}
}

// owner is the shard of a message.
func (q *Queue) owner(id spool.ID) *shard {
	return q.shards[(item.Hash(id)>>32)%uint64(len(q.shards))]
}

// keeper is the shard of a lane.
func (q *Queue) keeper(key string) *shard {
	return q.shards[(lanes.Hash(key)>>32)%uint64(len(q.shards))]
}
