package queue

import (
	"slices"
	"sync"
	"time"

	"tenma/relay/mail"
	"tenma/relay/queue/fate"
	"tenma/relay/queue/lanes"
	"tenma/relay/queue/rest"
	"tenma/relay/wire/smtp"
)

// aheadOfRun is how many parts wait in a run's channel: one for the moment at
// which a connection becomes free, one for while the shard hears of that.
const aheadOfRun = 2

// run is one call of Deliver, on a goroutine of its own. The lane's shard puts
// parts into next; whoever receives one and claims it has it.
type run struct {
	lane   *lane
	next   chan *part // the shard alone sends
	queued int        // the shard's: sent and not yet heard of
	took   time.Time  // the shard's: when it was last heard of

	mu   sync.Mutex
	held []*part // taken and not done

	reached, unreached bool // under mu until the run has ended, then the shard's: a session opened, none did
}

// start gives ready parts to runs. Parts go to new runs while the lane may have
// more, since a connection of its own keeps a message from waiting behind
// another; after that they go into the channels.
func (s *shard) start(l *lane) {
	if l.readies() == 0 || s.stopping || lanes.IsLookup(l.key) || !s.healthy() {
		return
	}
	for len(l.runs) < l.rest.Runs(s.conf.LaneConnections, s.now) {
		if s.runs >= s.maxRuns {
			if !l.starved {
				l.starved = true
				s.starved = append(s.starved, l)
			}
			return
		}
		p := s.pop(l)
		if p == nil {
			return
		}
		if p.claim() {
			s.left(p)
			s.begin1(l, p)
		}
	}
	for _, r := range l.runs {
		if r.queued < aheadOfRun && !s.feed(r) {
			return
		}
	}
}

// pop takes the part that is to run next, or nil.
func (s *shard) pop(l *lane) *part {
	p := s.first(l)
	if p != nil {
		l.ready[p.class].Remove(p)
	}
	return p
}

// begin1 starts a run with a part that is claimed.
func (s *shard) begin1(l *lane, p *part) {
	r := &run{lane: l, next: make(chan *part, aheadOfRun), took: s.now, held: []*part{p}}
	l.runs = append(l.runs, r)
	s.runs++
	deliver := s.q.deps.Remote
	if lanes.IsLocal(l.key) {
		deliver = s.q.deps.Local
	}
	s.q.work.Add(1)
	s.q.metrics.Running.Inc()
	s.q.runs.Do(func() { s.carry(r, deliver, p) })
	s.pull(l)
}

// feed fills a run's channel; it is false when nothing is ready.
func (s *shard) feed(r *run) bool {
	if len(s.starved) > 0 {
		return true // others wait for a run: this one is to end when it is through
	}
	for r.queued < aheadOfRun {
		p := s.pop(r.lane)
		if p == nil {
			return false
		}
		p.run = r
		r.next <- p // there is room: queued is at least what stands in it
		r.queued++
	}
	return true
}

// taken hears that a run took a part out of its channel. A run that then has
// nothing left gets what stands in the channel of the run that was heard of
// least recently: that one may hang.
func (s *shard) taken(r *run, p *part, claimed bool) {
	r.queued--
	r.took = s.now
	l := r.lane
	if claimed {
		s.left(p)
		s.reached(l)
	}
	s.pull(l)
	if s.stopping || s.paused {
		return
	}
	s.start(l)
	if r.queued == 0 && l.readies() == 0 && len(s.starved) == 0 {
		if p := s.steal(l, r); p != nil {
			p.run = r
			r.next <- p
			r.queued++
		}
	}
}

// steal takes a part back out of the channel of another run, or gives nil.
func (s *shard) steal(l *lane, but *run) *part {
	var from *run
	for _, r := range l.runs {
		if r != but && len(r.next) > 0 && (from == nil || r.took.Before(from.took)) {
			from = r
		}
	}
	if from == nil {
		return nil
	}
	select {
	case p := <-from.next:
		from.queued--
		p.run = nil
		return p
	default:
		return nil // it was quicker
	}
}

// ended takes a run out of its lane and gives its place to another.
func (s *shard) ended(r *run) {
	l := r.lane
	l.runs = slices.DeleteFunc(l.runs, func(other *run) bool { return other == r })
	s.runs--
	for len(r.next) > 0 { // it is over: nobody else receives
		s.again(<-r.next)
	}
	if s.stopping {
		return
	}
	if l.readies() == 0 {
		if p := s.steal(l, r); p != nil {
			s.again(p)
		}
	}
	if r.reached {
		s.reached(l)
	} else if r.unreached {
		s.unreached(l)
	}
	for n := len(s.starved); n > 0 && s.runs < s.maxRuns; n-- {
		next := s.starved[0]
		s.starved = s.starved[1:]
		next.starved = false
		s.start1(next)
	}
	s.start(l)
	s.rest(l)
}

// start1 starts one run of a lane that had to wait for it; with more to start
// it goes to the end of the line.
func (s *shard) start1(l *lane) {
	most := s.maxRuns
	s.maxRuns = min(most, s.runs+1)
	s.start(l)
	s.maxRuns = most
}

// again puts a part that was in a channel back to the front.
func (s *shard) again(p *part) {
	p.run = nil
	if p.state.Load() == partWaiting {
		p.lane.ready[p.class].Add(p, true)
	}
}

// carry is the goroutine of a run.
func (s *shard) carry(r *run, deliver mail.Deliver, first *part) {
	defer s.q.work.Done()
	deliver(s.q.ctx, &first.Attempt, func() *mail.Attempt { return s.more(r) }, func(a *mail.Attempt, outs []mail.Outcome) { s.done(r, a, outs) })
	r.mu.Lock()
	left := slices.Clone(r.held)
	r.mu.Unlock()
	for _, p := range left {
		s.q.log.Error("an attempt was never answered for", "id", p.ID.String(), "lane", lanes.Name(p.key))
		s.done(r, &p.Attempt, nil)
	}
	s.box.Post(msg{kind: ended, run: r})
}

// more is Deliver's next.
func (s *shard) more(r *run) *mail.Attempt {
	for !s.q.sick.Load() && s.q.ctx.Err() == nil {
		select {
		case p := <-r.next:
			claimed := p.claim()
			if claimed {
				r.mu.Lock()
				r.held = append(r.held, p)
				r.mu.Unlock()
				s.q.metrics.Running.Inc()
			}
			s.box.Post(msg{kind: taken, run: r, part: p, flag: claimed})
			if claimed {
				return &p.Attempt
			}
		default:
			return nil
		}
	}
	return nil
}

// done is Deliver's done. Whatever a Deliver gets wrong, each recipient has one
// outcome in the end, and none counts as sent without a positive reply.
func (s *shard) done(r *run, a *mail.Attempt, outs []mail.Outcome) {
	p := r.release(a)
	if p == nil {
		s.q.log.Error("an attempt was answered for twice", "id", a.ID.String())
		return
	}
	s.q.metrics.Running.Dec()
	if len(outs) != len(p.To) {
		none := fate.Ours(451, smtp.Status{4, 3, 0}, "the delivery gave no answer", "LOCAL", nil)
		outs = fate.Same(none, len(p.To))
	}
	for i := range outs {
		if !outs[i].Untried {
			r.lane.last.Set(&outs[i], s.q.wall())
			r.mu.Lock() // a local delivery answers for several attempts at a time
			r.reached = r.reached || !rest.Unreached(&outs[i])
			r.unreached = !r.reached
			r.mu.Unlock()
			break
		}
	}
	s.q.work.Add(1) // until the settlement
	p.home.box.Post(msg{kind: finished, part: p, outs: outs})
}

func (r *run) release(a *mail.Attempt) *part {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, p := range r.held {
		if &p.Attempt == a {
			r.held = slices.Delete(r.held, i, i+1)
			return p
		}
	}
	return nil
}
