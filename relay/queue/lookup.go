package queue

import (
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// lookup is the state of a lane in which mail waits for the route of one
// domain. There is one question at a time, asked with the envelope of one
// message (the leader), which takes the answer as it is. The others then ask
// the Router's cache with their own envelope, since the source may depend on
// it; if the cache does not know, an answer that the domain cannot be routed
// holds for all of them, and for a route one of them leads the next question.
// So a domain's backlog costs one question, and a Router that keeps nothing
// still gets on.
type lookup struct {
	running bool
	answer  *answer // of the latest question
	wave    int     // items that waited when it came, to be handed on with it
}

// answer is what the Router said.
type answer struct {
	domain  smtp.Domain
	route   mail.Route
	outcome *mail.Outcome
}

// lookUp asks for the lane's domain, unless that is under way.
func (s *shard) lookUp(l *lane) {
	if l.lookup.running || s.stopping {
		return
	}
	leader := s.first(l)
	if leader == nil {
		return
	}
	l.lookup.running = true
	q, d, env := s.q, leader.Route.Domain, leader.Envelope
	q.metrics.Lookups.Inc()
	q.lookups.Do(func() {
		a := &answer{domain: d}
		a.route, a.outcome = q.deps.Router.Route(q.ctx, d, env)
		s.box.Post(msg{kind: perform, do: func() { s.answered(l, leader, a) }})
	})
}

func (s *shard) first(l *lane) *part {
	for c := range l.ready {
		if l.ready[c].First() != nil {
			return l.ready[c].First()
		}
	}
	return nil
}

// answered hands everything in the lane back to its owners with the answer.
func (s *shard) answered(l *lane, leader *part, a *answer) {
	l.lookup.running = false
	if s.stopping {
		return
	}
	l.lookup.answer, l.lookup.wave = a, l.overs()
	for c := range l.ready {
		for p := l.ready[c].First(); p != nil; p = l.ready[c].First() {
			s.left(p)
			if p.recall() {
				s.send(p.home, msg{kind: routed, part: p, answer: a, flag: p == leader})
			}
		}
	}
	s.pull(l)
	s.rest(l)
}
