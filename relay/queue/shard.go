package queue

import (
	"errors"
	"math/rand/v2"
	"time"

	"tenma/relay/queue/fate"
	"tenma/relay/queue/item"
	"tenma/relay/queue/mailbox"
	"tenma/relay/queue/rest"
	"tenma/relay/queue/settings"
	"tenma/spool"
)

const (
	// longestSleep bounds how long a shard with waiting items sleeps, so that
	// it notices when the wall clock was set.
	longestSleep = time.Minute
	// clockSlack is the step of the wall clock that is left alone: NTP slews.
	clockSlack = 5 * time.Second
	// healthEvery is how old an answer of Spool.Health may be; sickEvery is how
	// often a paused shard asks again, and retries settlements that failed.
	healthEvery = 100 * time.Millisecond
	sickEvery   = time.Second
	// sweepEvery is how often items that wait for a place are looked through
	// for those whose time has run out.
	sweepEvery = time.Minute
	// idleLanes is how many lanes without mail are kept for their last reply.
	idleLanes = 1024
	// crowded is how many parts a shard's lanes may hold in all before each
	// lane gets no more than fewReady; it bounds memory when thousands of lanes
	// are slow at the same time.
	crowded  = mostOpen / 2
	fewReady = 16
)

// shard is a goroutine and what it owns. All fields are the goroutine's alone,
// except box and q.
type shard struct {
	q   *Queue
	n   int
	box *mailbox.Box[msg]

	conf *settings.Settings // as of this batch
	now  time.Time          // as of this batch, the wall clock
	rand *rand.Rand
	out  [][]msg // for other shards (and this one), sent after the batch

	// Messages.
	ledgers map[spool.ID]*ledger
	items   *item.Store
	names   item.Names
	loading int
	touched item.Recent // by an operator
	redo    []*ledger   // settlements that failed, to be tried again at redoAt
	redoAt  time.Time
	plan    fate.Plan
	verdict []fate.Verdict

	// Lanes.
	lanes      map[string]*lane
	idle       []*lane
	open       int // parts in all lanes that wait
	most       int // mostOpen
	lobby      lobby
	runs       int
	maxRuns    int
	starved    []*lane // have something ready, and runs == maxRuns
	resting    rest.Set[*lane]
	stopping   bool
	healthAt   time.Time
	paused     bool
	sweepAt    time.Time
	mono       time.Time // reading of both clocks at the last batch
	wallBefore time.Time
	told       gauges
}

// gauges are the shard's part of the gauges as last reported.
type gauges struct{ ready, deferred, lanes, paused, resting int }

func newShard(q *Queue, n, shards, maxRuns int, r *rand.Rand) *shard {
	s := &shard{
		most: mostOpen,
		q:    q, n: n, box: mailbox.New[msg](), rand: r, maxRuns: maxRuns,
		out:     make([][]msg, shards),
		ledgers: map[spool.ID]*ledger{}, touched: item.Recent{For: time.Minute}, items: item.NewStore(),
		names: item.NewNames(),
		lanes: map[string]*lane{},
	}
	s.openLobby()
	return s
}

// loop works until halt is closed.
func (s *shard) loop(halt <-chan struct{}) {
	timer := time.NewTimer(longestSleep)
	defer timer.Stop()
	var batch []msg
	for {
		batch = s.box.Take(batch)
		s.begin()
		for i := range batch {
			s.handle(&batch[i])
			batch[i] = msg{}
		}
		s.tick()
		s.report()
		if sent := s.flush(); len(batch) > 0 || sent {
			continue
		}
		// Without anything to wait for there is no timer: an idle queue costs
		// nothing.
		timer.Stop()
		if d, any := s.sleep(); any {
			timer.Reset(d)
		}
		select {
		case <-s.box.Wake:
		case <-timer.C:
		case <-halt:
			return
		}
	}
}

// begin reads the clock and the configuration, once for a batch. The wall clock
// may have been set: waiting items are moved with it, so that they come due
// after the same real time as before, neither all at once nor never.
func (s *shard) begin() {
	s.conf = s.q.conf.Load()
	mono := time.Now()
	s.now = s.q.wall().Round(0)
	if !s.mono.IsZero() {
		if step := fate.ClockStep(s.wallBefore, s.now, mono.Sub(s.mono)); step.Abs() > clockSlack {
			s.q.log.Warn("the clock was set", "by", step)
			s.shift(step)
		}
	}
	s.mono, s.wallBefore = mono, s.now
}

// shift moves everything that waits for a time by step.
func (s *shard) shift(step time.Duration) {
	s.items.Shift(int64(step / time.Second))
	s.healthAt, s.sweepAt = time.Time{}, time.Time{}
	s.resting.Probe(s.now)
	if !s.redoAt.IsZero() {
		s.redoAt = s.now
	}
}

// tick does what the time asks for.
func (s *shard) tick() {
	if s.stopping {
		return
	}
	now := item.Seconds(s.now.Unix())
	for s.loading < maxLoads {
		id, when, ok := s.items.Next()
		if !ok || when > now {
			break
		}
		s.unwait(id)
		s.look(id, ask{})
	}
	if len(s.redo) > 0 && !s.now.Before(s.redoAt) {
		s.settleAgain()
	}
	if s.paused && s.healthy() {
		s.kick()
	}
	s.admit()
	for _, l := range s.resting.Due(s.now) {
		s.start(l) // a probe
	}
	if (s.items.Overflowing() > 0 || s.open > 0) && !s.now.Before(s.sweepAt) {
		s.sweepAt = s.now.Add(sweepEvery)
		s.sweep()
	}
}

// sleep is how long nothing will be asked of tick; any is false if it is for
// ever.
func (s *shard) sleep() (d time.Duration, any bool) {
	if s.stopping {
		return 0, false
	}
	least := func(v time.Duration) {
		if !any || v < d {
			d, any = v, true
		}
	}
	if _, when, ok := s.items.Next(); ok && s.loading < maxLoads {
		least(min(longestSleep, time.Unix(int64(when), 0).Sub(s.now)))
	}
	if len(s.redo) > 0 {
		least(s.redoAt.Sub(s.now))
	}
	if s.paused {
		least(sickEvery)
	}
	if at := s.resting.Next(); !at.IsZero() {
		least(at.Sub(s.now))
	}
	if s.items.Overflowing() > 0 || s.open > 0 {
		least(s.sweepAt.Sub(s.now))
	}
	return max(d, time.Millisecond), any
}

// send writes to another shard, or to this one, after the batch.
func (s *shard) send(to *shard, m msg) { s.out[to.n] = append(s.out[to.n], m) }

func (s *shard) flush() (any bool) {
	for i, ms := range s.out {
		if len(ms) == 0 {
			continue
		}
		s.q.shards[i].box.Post(ms...)
		clear(ms)
		s.out[i] = ms[:0]
		any = any || i == s.n
	}
	return any
}

// handle does what one message asks for.
func (s *shard) handle(m *msg) {
	switch m.kind {
	case entryCame:
		<-s.q.credit
		s.entry(m.entry)
	case refused:
		s.refused(m.part)
	case look:
		if m.flag {
			s.look(m.id, ask{from: m.lane})
		} else {
			s.look(m.id, ask{lane: m.lane, class: m.class, answer: m.answer})
		}
	case routed:
		s.routed(m.part, m.answer, m.flag)
	case signPlease:
		s.sign(m.part)
	case finished:
		s.finished(m.part, m.outs)
	case settled:
		s.settled(m.led, m.err)
	case outlived:
		s.outlived(m.part)
	case offered:
		s.offer(m.part, m.flag)
	case looked:
		s.looked(m.lane, m.class)
	case ready:
		s.ready(m.part)
	case purge:
		s.purge(m.part)
	case taken:
		s.taken(m.run, m.part, m.flag)
	case ended:
		s.ended(m.run)
	case perform:
		m.do()
	}
}

// wait makes the message's waiting item come due then; lane is for the
// operator to see.
func (s *shard) wait(id spool.ID, due time.Time, lane string) {
	num := s.names.Hold(lane)
	if !s.items.Wait(id, item.Seconds(due.Unix()), num) {
		s.names.Release(num)
	}
}

// unwait drops the message's waiting item, if there is one.
func (s *shard) unwait(id spool.ID) {
	if num, ok := s.items.Unwait(id); ok {
		s.names.Release(num)
	}
}

// healthy asks the spool, at most every healthEvery. Mail that goes out while
// nothing can be settled would go out again after a restart.
func (s *shard) healthy() bool {
	every := healthEvery
	if s.paused {
		every = sickEvery
	}
	if s.now.Sub(s.healthAt) < every && !s.q.sick.Load() {
		return !s.paused
	}
	if s.paused && s.now.Sub(s.healthAt) < every {
		return false
	}
	s.healthAt = s.now
	err := s.q.deps.Spool.Health()
	// ErrFull is no reason: mail that leaves makes room.
	sick := errors.Is(err, spool.ErrSick) || errors.Is(err, spool.ErrStalled)
	if sick != s.paused {
		s.q.log.Warn("deliveries", "held", sick, "spool", err)
	}
	s.paused = sick
	s.q.sick.Store(sick)
	return !sick
}

// kick starts what can be started in every lane.
func (s *shard) kick() {
	for _, l := range s.lanes {
		s.start(l)
		s.pull(l)
	}
}

// halting is the end: nothing more is started or taken up. What waits is
// forgotten, since the spool has it.
func (s *shard) halting() {
	s.stopping = true
	for _, l := range s.ledgers {
		for _, o := range l.ops {
			o.done(ErrClosed)
		}
		l.ops = nil
	}
	for _, l := range s.redo {
		s.giveUp(l)
	}
	s.redo = nil
}

// report brings the gauges up to date.
func (s *shard) report() {
	is := gauges{ready: s.open + s.items.Overflowing(), deferred: s.items.Waiting(), lanes: len(s.lanes), resting: s.resting.Len()}
	if s.paused {
		is.paused = 1
	}
	if is == s.told {
		return
	}
	m := s.q.metrics
	m.Ready.Add(float64(is.ready - s.told.ready))
	m.Deferred.Add(float64(is.deferred - s.told.deferred))
	m.Lanes.Add(float64(is.lanes - s.told.lanes))
	m.Paused.Add(float64(is.paused - s.told.paused))
	m.Resting.Add(float64(is.resting - s.told.resting))
	s.told = is
}
