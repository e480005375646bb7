package queue

import (
	"tenma/relay/queue/fate"
	"tenma/relay/queue/lanes"
)

func (s *shard) rules() *fate.Rules { return (*fate.Rules)(&s.conf.Rules) }

// unreached notes a run that opened no session.
func (s *shard) unreached(l *lane) {
	if l.rest.Failed(s.conf.RestAfter, s.now) {
		why, _ := l.last.Get()
		s.q.log.Warn("a destination cannot be reached; its mail waits", "lane", lanes.Name(l.key), "last", why)
	}
	if at, _ := l.rest.Resting(); s.now.Before(at) {
		s.resting.Add(l, &l.rest)
	}
}

// reached notes a session, which wakes a lane that rests.
func (s *shard) reached(l *lane) {
	if l.rest.Reached() {
		s.resting.Leave(l)
		s.q.log.Info("a destination can be reached again", "lane", lanes.Name(l.key))
		s.start(l)
	}
}

// quote makes the last words of a lane those of the recipients to that waited for
// it and were never tried, since the sender is to be told what they waited for.
func (s *shard) quote(l *ledger, from *lane, to []int) {
	if from == nil {
		return
	}
	host, reply := from.last.Reply()
	for _, i := range to {
		if r := &l.state.Recipients[i]; r.Reply.Code == 0 && s.laneOf(l, i) == from.key {
			r.Host, r.Reply = host, reply
		}
	}
}
