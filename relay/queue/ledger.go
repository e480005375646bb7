package queue

import (
	"cmp"
	"context"
	"sync/atomic"
	"time"

	"tenma/relay/queue/item"
	"tenma/relay/queue/lanes"
	"tenma/relay/queue/line"

	"tenma/relay/mail"
	"tenma/relay/queue/fate"
	"tenma/relay/queue/view"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// ledger is what is known of a message while something of it is open: being
// looked up, signed, ready, running or settled. Its shard alone touches it.
// Promise 8: there is never more than one for a message, so its settlements
// come one after the other, each made from the state that the one before left.
type ledger struct {
	id    spool.ID
	env   *mail.Envelope
	state mail.State
	out   []bool      // recipients that are in a part, or in work or batch
	parts []*part     // open: offered to a lane, ready or running
	work  []fate.Work // decided, not yet settled
	owed  fate.Owed
	ops   []op // of an operator, one after the other

	loading   bool  // being read back; asks wait
	asks      []ask // to be answered when it is loaded
	settling  bool  // from the verdicts to the word of the spool
	parked    bool  // settled as parked: Feed brings it back
	batch     spool.Settlement
	after     func(error) // of the operation that is being settled
	holds     int         // of Queue.work, released with the next settlement
	releasing int         // of Queue.work, released when this settlement is done

	signing  uint8   // unasked to signed
	unsigned []*part // have a place and wait for the signature

	onePart [1]*part // saves an allocation for the usual message
	oneOut  [1]bool
}

// States of ledger.signing.
const (
	unasked uint8 = iota // nobody has asked the signer yet
	wanted
	inSigning
	signed // or nothing to sign
)

// ask is a wish to have what is due of a message filed.
type ask struct {
	lane   *lane // that holds a place for it; nil: none
	class  uint8
	answer *answer // what the lane's lookup has found
	from   *lane   // which has let go of it
	op     *op
}

// States of a part. A run claims it, or its owner recalls it, never both.
const (
	partWaiting uint32 = iota
	partRunning
	partRecalled
)

// part is the open form of an item: recipients of a message that share a domain
// and a lane, as an Attempt to be.
type part struct {
	mail.Attempt
	home  *shard // owner of the message
	key   string // of the lane
	class uint8
	state atomic.Uint32

	// The owner's.
	led     *ledger
	untried int // times in a row

	// Set before it is offered.
	front    bool   // it was untried: goes first and needs no place
	unsigned bool   // ask for the signature once it has a place
	patience uint32 // until when it may wait untried

	// The lane's.
	line.Links[*part]
	lane *lane
	run  *run // in whose channel it stands

	one [1]int // saves an allocation for the usual message
}

func (p *part) claim() bool  { return p.state.CompareAndSwap(partWaiting, partRunning) }
func (p *part) recall() bool { return p.state.CompareAndSwap(partWaiting, partRecalled) }

// entry takes what Feed hands out.
func (s *shard) entry(e *spool.Entry) {
	if s.stopping {
		return
	}
	l := s.ledgers[e.ID]
	if l == nil && s.touched.Has(e.ID, s.now) { // it may have been read before an operator changed it
		s.look(e.ID, ask{})
		return
	}
	if l == nil {
		var err error
		if l, err = decode(e); err != nil {
			s.damaged(e.ID, err)
			return
		}
		s.ledgers[e.ID] = l
	}
	if l.loading { // for an operator, say, whose wish alone would file nothing
		l.asks = append(l.asks, ask{})
		return
	}
	// An open ledger knows more than the entry, which was read before.
	l.parked = false
	s.file(l, ask{}, false)
	s.advance(l)
}

// decode makes a ledger of an entry.
func decode(e *spool.Entry) (*ledger, error) {
	m, err := view.Decode(e)
	if err != nil {
		return nil, err
	}
	l := &ledger{id: e.ID, env: m.Envelope, state: *m.State}
	l.parts = l.onePart[:0]
	l.owed.Recall(&l.state, time.Time{})
	l.out = l.oneOut[:]
	if n := len(m.Envelope.Recipients); n != 1 {
		l.out = make([]bool, n)
	}
	return l, nil
}

func (s *shard) damaged(id spool.ID, err error) {
	s.q.metrics.Damaged.Inc()
	s.q.log.Error("an entry of the spool cannot be read; it stays there", "id", id.String(), "err", err)
}

// look files what is due of a message, reading it back first if need be.
func (s *shard) look(id spool.ID, a ask) {
	if a.op != nil {
		s.touched.Add(id, s.now)
	}
	l := s.ledgers[id]
	switch {
	case l == nil && s.stopping:
		if a.op != nil {
			a.op.done(ErrClosed)
		}
	case l == nil:
		l = &ledger{id: id, loading: true, asks: []ask{a}}
		s.ledgers[id] = l
		s.load(l)
	case l.loading:
		l.asks = append(l.asks, a)
	default:
		s.serve(l, a)
		s.advance(l)
	}
}

func (s *shard) load(l *ledger) {
	s.loading++
	q, id := s.q, l.id
	q.loads.Do(func() {
		var full *ledger
		e, err := q.deps.Spool.Get(q.ctx, id)
		if err == nil {
			full, err = decode(&e)
		}
		s.box.Post(msg{kind: perform, do: func() { s.loaded(l, full, err) }})
	})
}

func (s *shard) loaded(l, full *ledger, err error) {
	s.loading--
	asks := l.asks
	delete(s.ledgers, l.id)
	if err == nil {
		full.parts = full.onePart[:0]
		s.ledgers[l.id] = full
		for _, a := range asks {
			s.serve(full, a)
		}
		s.advance(full)
		return
	}
	for _, a := range asks {
		if a.op != nil {
			a.op.done(err)
		}
		s.served(a)
	}
	switch {
	case isGone(err) || s.stopping:
	case isDamaged(err):
		s.damaged(l.id, err)
	default:
		s.q.log.Warn("an entry of the spool could not be read; again in a minute", "id", l.id.String(), "err", err)
		s.wait(l.id, s.now.Add(longestSleep), "")
	}
}

// serve does what one ask of an open ledger wants; advance must follow.
func (s *shard) serve(l *ledger, a ask) {
	switch {
	case a.op == nil:
		s.file(l, a, false)
	case s.stopping:
		a.op.done(ErrClosed)
	default:
		l.ops = append(l.ops, *a.op)
	}
	s.served(a)
}

// served frees the place that a lane held for an ask.
func (s *shard) served(a ask) {
	if a.lane != nil {
		s.send(a.lane.keeper, msg{kind: looked, lane: a.lane, class: a.class})
	}
}

// file brings every recipient on its way that has none: due ones to their
// lanes, expired ones to settlement; for the rest the waiting item is set.
// leader says that the answer in a was asked for this very message.
func (s *shard) file(l *ledger, a ask, leader bool) {
	if s.stopping || l.loading || l.exclusive() {
		return
	}
	p := &s.plan
	p.Set(s.rules(), l.env, &l.state, l.out, s.now)
	if p.Next.IsZero() || l.parked {
		s.unwait(l.id)
	} else {
		s.wait(l.id, p.Next, s.laneOf(l, p.NextOne))
	}
	if len(p.Expired) > 0 {
		s.quote(l, cmp.Or(a.from, a.lane), p.Expired)
		s.decided(l, fate.Work{To: append([]int(nil), p.Expired...)})
	}
	if a.from != nil {
		if late := p.Late(s.rules(), l.env, &l.state, s.now); len(late) > 0 {
			s.quote(l, a.from, late)
			s.decided(l, fate.Work{To: late, Waiting: true})
		}
	}
	if len(p.Due) > 0 {
		fate.ByDestination(l.env, p.Due, s.q.deps.Router, func(d smtp.Domain, to []int) { s.send1(l, d, to, a, leader) })
	}
}

// send1 brings the recipients of one group on their way; d is a domain of theirs.
func (s *shard) send1(l *ledger, d smtp.Domain, to []int, a ask, leader bool) {
	var route mail.Route
	var o *mail.Outcome
	known := a.answer != nil && a.answer.domain == d
	ok := known && leader
	if ok {
		route, o = a.answer.route, a.answer.outcome
	} else {
		route, o, ok = s.q.deps.Router.Cached(d, l.env)
		if !ok && known && a.answer.outcome != nil {
			o, ok = a.answer.outcome, true
		}
	}
	switch {
	case !ok:
		s.propose(l, lanes.Lookup(d), to, mail.Route{Domain: d}, a)
	case o != nil:
		s.decided(l, fate.Work{To: append([]int(nil), to...), Outs: fate.Same(*o, len(to))})
	case route.Kind == mail.Discard:
		done := fate.Ours(250, smtp.Status{2, 0, 0}, "discarded", "LOCAL", nil)
		s.decided(l, fate.Work{To: append([]int(nil), to...), Outs: fate.Same(done, len(to)), Lane: route.Lane})
	default:
		s.propose(l, lanes.Of(&route), to, route, a)
	}
}

// propose makes a part of recipients and offers it to its lane.
func (s *shard) propose(l *ledger, key string, to []int, r mail.Route, a ask) {
	p := &part{home: s, led: l, key: key, class: fate.Class(l.env.Priority)}
	p.ID, p.Envelope, p.Route = l.id, l.env, r
	p.To = append(p.one[:0], to...)
	p.Queued = s.now
	for i, r := range p.To {
		st := &l.state.Recipients[r]
		p.Number = max(p.Number, int(st.Attempts)+1)
		due := st.Due
		if due.IsZero() {
			due = l.env.Received
		}
		if i == 0 || due.Before(p.Queued) {
			p.Queued = due
		}
	}
	p.patience = item.Seconds(fate.Patience(s.rules(), l.env, &l.state, p.To, s.now).Unix())
	engine, id := s.q.deps.Spool, l.id
	p.Open = func(ctx context.Context) (spool.Body, error) { return engine.Open(ctx, id) }
	if !lanes.IsLookup(key) {
		p.unsigned = s.wantsSign(l)
		p.Header = header(l)
	}
	s.attach(l, p)
	s.send(s.q.keeper(key), msg{kind: offered, part: p, flag: a.lane != nil && a.lane.key == key})
}

// attach enters an open part in its ledger.
func (s *shard) attach(l *ledger, p *part) {
	l.parts = append(l.parts, p)
	for _, i := range p.To {
		l.out[i] = true
	}
}

// detach ends an open part; its recipients are idle again. It is false for a
// part that had ended before.
func (s *shard) detach(p *part) (*ledger, bool) {
	l := p.led
	if l == nil {
		return nil, false
	}
	p.led = nil
	for i, other := range l.parts {
		if other == p {
			last := len(l.parts) - 1
			l.parts[i], l.parts[last] = l.parts[last], nil
			l.parts = l.parts[:last]
			break
		}
	}
	for _, i := range p.To {
		l.out[i] = false
	}
	return l, true
}

// refused is the word of a lane that has no place: an item stands there now,
// and will ask.
func (s *shard) refused(p *part) {
	if l, ok := s.detach(p); ok {
		s.advance(l)
	}
}

// routed is the word of a lookup.
func (s *shard) routed(p *part, a *answer, leader bool) {
	if l, ok := s.detach(p); ok {
		s.file(l, ask{answer: a}, leader)
		s.advance(l)
	}
}

// outlived is the word of a lane that let go of a part because it waited for long.
func (s *shard) outlived(p *part) {
	if l, ok := s.detach(p); ok {
		s.file(l, ask{from: p.lane}, false)
		s.advance(l)
	}
}

// recallAll takes back every part that no run has claimed.
func (s *shard) recallAll(l *ledger) {
	for _, p := range append([]*part(nil), l.parts...) {
		if p.recall() {
			s.send(s.q.keeper(p.key), msg{kind: purge, part: p})
			s.detach(p)
		}
	}
}

// advance takes the next step that nothing stands in the way of: a settlement,
// then an operation, and with nothing left the ledger closes.
func (s *shard) advance(l *ledger) {
	if l.loading || l.settling {
		return
	}
	if len(l.work) > 0 || l.owed.Due(len(l.parts) > 0, s.now) {
		s.settle(l)
		return
	}
	for len(l.ops) > 0 && !l.settling {
		o := l.ops[0]
		if o.exclusive() {
			s.recallAll(l)
			if len(l.parts) > 0 {
				return // a running attempt finishes first
			}
		}
		l.ops = l.ops[1:]
		s.apply(l, o)
	}
	if !l.settling && len(l.parts) == 0 && l.signing != inSigning && s.ledgers[l.id] == l {
		delete(s.ledgers, l.id)
	}
}

// exclusive reports that an operation waits that wants nothing started.
func (l *ledger) exclusive() bool {
	for _, o := range l.ops {
		if o.exclusive() {
			return true
		}
	}
	return false
}

// laneOf names the lane of a waiting recipient as far as that is known.
func (s *shard) laneOf(l *ledger, i int) string {
	d := l.env.Recipients[i].Address.Domain
	if r, o, ok := s.q.deps.Router.Cached(d, l.env); ok && o == nil {
		return lanes.Of(&r)
	}
	return lanes.Lookup(d)
}
