package delivery

import (
	"context"
	"time"

	"tenma/relay/mail"
)

// session carries attempts over one connection.
//
// A connection works on one transaction at a time, and may have sent the
// commands of one more, which rides behind the first one's final dot. carry in
// transaction.go takes a transaction from its replies to MAIL to its end, and
// hands on the one that rides.
type session struct {
	client *Client
	cfg    *Config
	ctx    context.Context
	held   context.Context // ctx without its end: what is in hand is finished
	next   func() *mail.Attempt
	done   func(*mail.Attempt, []mail.Outcome)
	k      *conn

	job    *job // in work; nil between attempts
	began  bool // a transaction has begun in this call
	lost   bool // the connection is of no further use
	full   bool // the connection has carried all that it may
	other  *job // wants another connection
	spares [2]piece
}

// leg finds a connection for the job and carries with it what it can.
func (s *session) leg() {
	j := s.job
	if s.ctx.Err() != nil {
		s.settleAll(j, judge(&place{}, finding{command: cmdConnect, err: errStopped, untried: true}))
		return
	}
	fit := func(k *conn) (int, bool) {
		if j.fresh || k.used >= s.cfg.ConnectionMessages {
			return 0, false
		}
		return k.fits(j, s.client.deps.Guard)
	}
	k, err := s.client.pool.acquire(s.ctx, j.key.lane, s.cfg.LaneConnections, fit, s.client.quit)
	if err != nil {
		s.settleAll(j, judge(&place{}, finding{command: cmdConnect, err: errStopped, untried: true}))
		return
	}
	if k != nil {
		k.reused = true
		s.client.deps.Metrics.Reused.Inc()
	} else {
		var failed mail.Outcome
		if k, failed = s.client.open(s.ctx, s.cfg, j); k == nil {
			s.client.pool.release(j.key.lane)
			for i := range j.out {
				s.settle(j, i, j.weigh(i, failed))
			}
			return
		}
	}
	s.k = k
	s.run()
	s.client.count(k)
	switch {
	case s.lost:
		s.client.drop(k)
	case k.used >= s.cfg.ConnectionMessages:
		s.client.quit(k)
	default:
		k.Rest()
		if !s.client.pool.park(k, s.cfg.LaneConnections, s.cfg.IdleConnections) {
			s.client.quit(k)
		}
	}
}

// run carries transaction after transaction.
func (s *session) run() {
	var p *piece
	for !s.lost {
		if p == nil {
			if p = s.take(); p == nil {
				return
			}
			if err := s.send(p, false); err != nil {
				s.lose(p, nil, finding{command: cmdMail, err: err})
				return
			}
		}
		p = s.carry(p)
	}
}

// take gives the next transaction for the connection: the rest of the attempt
// in work, or the next attempt. nil: there is none for this connection.
func (s *session) take() *piece {
	for s.other == nil {
		if j := s.job; j != nil && len(j.todo) > 0 {
			if s.ctx.Err() != nil {
				s.abandon(j)
				return nil
			}
			if s.k.used >= s.cfg.ConnectionMessages {
				s.full, s.other, s.job = true, j, nil
				return nil
			}
			if p := s.prepare(j); p != nil {
				return p
			}
			continue
		}
		if j := s.job; j != nil && len(j.away) > 0 {
			s.goElsewhere(j)
			return nil
		}
		s.job = nil
		if s.ctx.Err() != nil {
			return nil
		}
		if s.k.used >= s.cfg.ConnectionMessages {
			s.full = true
			return nil
		}
		a := s.next()
		if a == nil {
			return nil
		}
		j := newJob(a)
		if _, ok := s.k.fits(j, s.client.deps.Guard); !ok {
			s.other = j
			return nil
		}
		s.job = j
	}
	return nil
}

// settle gives a recipient its outcome; with the last one the attempt is done.
func (s *session) settle(j *job, i int, o mail.Outcome) {
	if j.out[i].Reply.Code != 0 {
		return
	}
	j.out[i] = o
	recipients := s.client.deps.Metrics.Recipients
	switch {
	case o.Untried:
		recipients.WithLabelValues("untried").Inc()
	case o.Fate() == mail.Sent:
		recipients.WithLabelValues("sent").Inc()
	case o.Fate() == mail.Failed:
		recipients.WithLabelValues("failed").Inc()
	default:
		recipients.WithLabelValues("deferred").Inc()
	}
	if j.left--; j.left == 0 {
		s.done(j.a, j.out)
	}
}

// settleAll gives all that have none the same outcome.
func (s *session) settleAll(j *job, o mail.Outcome) {
	j.todo, j.away = nil, nil
	for i := range j.out {
		s.settle(j, i, o)
	}
}

// abandon gives back what of a job no transaction has taken. Those that this
// host turned away still have others, unless all is to stop.
func (s *session) abandon(j *job) {
	why, todo := errServed, j.todo
	j.todo = nil
	if s.ctx.Err() != nil {
		why, todo, j.away = errStopped, append(todo, j.away...), nil
	}
	for _, i := range todo {
		s.settle(j, i, judge(&s.k.place, finding{command: cmdMail, err: why, untried: true}))
	}
	if len(j.away) > 0 {
		s.goElsewhere(j)
	}
}

// lose ends the use of a connection that failed under p, while ahead rode
// behind it.
func (s *session) lose(p, ahead *piece, f finding) {
	s.lost = true
	if ahead != nil {
		s.client.rough.add(s.k.name, roughFor)
		s.client.deps.Metrics.RidesLost.Inc()
		s.untry(ahead, f.because(errRode))
	}
	if p != nil {
		s.blame(p, f)
	}
	if s.job != nil {
		s.abandon(s.job)
	}
}

// blame decides who bears the loss of a connection under p: p itself, unless
// the connection failed before the host had said a word about p and there is
// another explanation, or another host.
func (s *session) blame(p *piece, f finding) {
	j := p.job
	// What was sent behind a MAIL that got a 421 was not taken; behind one that
	// got no answer, a body may have been.
	nothing := !p.heard && (!p.bodySent || f.reply.Code == 421)
	switch {
	case nothing && p.first && !s.k.reused && s.turnAllAway(p, judge(&s.k.place, f)):
		s.goElsewhere(j)
		s.finish(p)
		return
	case p.heard || p.bodySent:
	case p.rode:
		s.client.rough.add(s.k.name, roughFor)
		s.client.deps.Metrics.RidesLost.Inc()
		s.untry(p, f.because(errRode))
		return
	case !p.first:
		s.untry(p, f.because(errServed))
		return
	case s.k.reused:
		// It died, or was about to, while it was idle. Nothing of the message
		// has been sent, so that a new connection costs nothing.
		s.client.deps.Metrics.Stale.Inc()
		j.todo = append(append([]int(nil), p.to...), j.todo...)
		j.fresh, s.other, s.job = true, j, nil
		s.finish(p)
		return
	}
	for _, i := range p.later {
		s.settle(j, i, p.laterOutcome)
	}
	for _, i := range p.to {
		s.settleTimed(p, i, judge(&s.k.place, f))
	}
	s.finish(p)
}

// untry gives p back untouched, but for recipients that have their reply.
func (s *session) untry(p *piece, why error) {
	for _, i := range p.to {
		s.settle(p.job, i, judge(&s.k.place, finding{command: cmdMail, err: why, untried: true}))
	}
	s.finish(p)
}

// settleTimed is settle with the times of the transaction.
func (s *session) settleTimed(p *piece, i int, o mail.Outcome) {
	o.Phases = p.phases
	if !p.start.IsZero() {
		o.Phases.Transaction = time.Since(p.start)
	}
	s.settle(p.job, i, o)
}

// finish lets go of what a transaction held.
func (s *session) finish(p *piece) {
	if p.body != nil {
		_ = p.body.Close() // only read: nothing to lose
		p.body = nil
	}
	p.busy = false
}
