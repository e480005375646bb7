package queue

import (
	"tenma/relay/queue/item"
	"tenma/relay/queue/lanes"
	"tenma/relay/queue/line"
	"tenma/relay/queue/rest"
	"tenma/relay/queue/view"
)

// classes is the number of priority classes: urgent, normal, bulk.
const classes = 3

// lane is a queue of messages that share limits. Its shard alone touches it,
// except last.
//
// A message stands in it as a part while there is a place (LaneReady of each
// class), beyond that as an item in a list. A place is counted in open from the
// moment the part is accepted until a run claims it or its owner takes it
// back, and in looking while the owner reads a message back for it.
type lane struct {
	keeper  *shard
	key     string
	num     uint32                    // its name's
	ready   [classes]line.List[*part] // in this order; fair share among tenants will be a change of the type
	open    [classes]int
	looking [classes]int
	over    [classes]item.List
	runs    []*run
	starved bool // stands in shard.starved
	idle    bool // stands in shard.idle

	lookup lookup // of a lane of lookups
	rest   rest.Rest
	last   view.LastReply
}

// readies is how many parts wait for a run.
func (l *lane) readies() int { return l.ready[0].Len() + l.ready[1].Len() + l.ready[2].Len() }

// overs is how many items wait for a place.
func (l *lane) overs() int { return l.over[0].Len() + l.over[1].Len() + l.over[2].Len() }

func (l *lane) empty() bool {
	return l.open == [classes]int{} && l.looking == [classes]int{} && l.overs() == 0 && len(l.runs) == 0 && !l.lookup.running
}

// lane gives the lane of that name, new if need be.
func (s *shard) lane(key string) *lane {
	l := s.lanes[key]
	if l == nil {
		l = &lane{keeper: s, key: key, num: s.names.Hold(key)}
		s.lanes[key] = l
	}
	return l
}

// rest puts a lane that has become empty aside, and forgets the one that has
// been aside for longest when there are too many. Lookups are never kept.
func (s *shard) rest(l *lane) {
	if !l.empty() || l.idle {
		return
	}
	if lanes.IsLookup(l.key) {
		s.forget(l)
		return
	}
	l.idle = true
	s.idle = append(s.idle, l)
	if len(s.idle) <= idleLanes {
		return
	}
	oldest := s.idle[0]
	s.idle = append(s.idle[:0], s.idle[1:]...)
	oldest.idle = false
	if oldest.empty() {
		s.forget(oldest)
	}
}

func (s *shard) forget(l *lane) {
	delete(s.lanes, l.key)
	s.names.Release(l.num)
	s.resting.Leave(l)
}

// places is how many parts of a class a lane may hold; one in any case, so that
// a lane with something open asks for more by itself.
func (s *shard) places(l *lane) int {
	switch {
	case s.room(lanes.Kind(l.key)) < 0:
		return 1
	case s.open > crowded:
		return min(fewReady, s.conf.LaneReady)
	}
	return s.conf.LaneReady
}

// offer takes a part into its lane if there is a place. asked says that the
// place was reserved, so that mail that waited is not overtaken; without it
// there must be nobody waiting.
func (s *shard) offer(p *part, asked bool) {
	if !asked && s.toLobby(p) {
		return
	}
	l, c := s.lane(p.key), p.class
	if !asked && !p.front && (l.over[c].Len() > 0 || l.open[c]+l.looking[c] >= s.places(l)) {
		s.overflows(l, p)
		return
	}
	p.lane = l
	l.open[c]++
	s.open++
	s.lobby.open[lanes.Kind(l.key)]++
	switch {
	case p.unsigned:
		s.send(p.home, msg{kind: signPlease, part: p})
	case lanes.IsLookup(l.key):
		l.ready[c].Add(p, p.front)
		s.lookUp(l)
	default:
		s.ready(p)
	}
}

// overflows leaves an item in the part's place.
func (s *shard) overflows(l *lane, p *part) {
	if s.items.Push(&l.over[p.class], p.ID, p.patience, l.num, p.class) {
		s.names.Hold(l.key)
	}
	s.send(p.home, msg{kind: refused, part: p})
}

// pull fills free places with items that wait: their owners are asked to look.
func (s *shard) pull(l *lane) {
	if s.stopping {
		return
	}
	if k := &l.lookup; lanes.IsLookup(l.key) && k.wave == 0 && !k.running && l.looking == [classes]int{} {
		k.answer, k.wave = nil, l.overs() // came after the last answer: one of these asks again
	}
	for c := range l.over {
		for l.over[c].Len() > 0 && l.open[c]+l.looking[c] < s.places(l) {
			if lanes.IsLookup(l.key) && l.lookup.wave == 0 {
				return
			}
			id, live := s.items.Pop(&l.over[c])
			s.names.Release(l.num)
			if l.lookup.wave > 0 {
				l.lookup.wave--
			}
			if live {
				l.looking[c]++
				s.send(s.q.owner(id), msg{kind: look, id: id, lane: l, class: uint8(c), answer: l.lookup.answer})
			}
		}
	}
}

// looked is the word of an owner that it has offered what there was.
func (s *shard) looked(l *lane, class uint8) {
	if kind := lanes.Kind(l.key); l == s.lobby.list[kind] {
		s.lobby.looking[kind]--
		return
	}
	l.looking[class]--
	s.pull(l)
	s.rest(l)
}

// ready takes a part that nothing but a connection is missing for.
func (s *shard) ready(p *part) {
	if p.state.Load() == partRecalled {
		return // the purge is on its way
	}
	p.lane.ready[p.class].Add(p, p.front)
	s.start(p.lane)
}

// left ends a part's place.
func (s *shard) left(p *part) {
	l := p.lane
	if p.Listed() {
		l.ready[p.class].Remove(p)
	}
	l.open[p.class]--
	s.open--
	s.lobby.open[lanes.Kind(l.key)]--
}

// purge forgets a part that its owner has taken back. One that stands in a
// run's channel is skipped there.
func (s *shard) purge(p *part) {
	if p.lane == nil {
		return // it was refused before
	}
	s.left(p)
	s.pull(p.lane)
	s.rest(p.lane)
}

// sweep lets go of what has waited too long for a place or a run, so that a lane
// that moves slowly or not at all still tells the senders in time.
func (s *shard) sweep() {
	now := item.Seconds(s.now.Unix())
	for _, l := range s.lanes {
		for c := range l.ready {
			for p := l.ready[c].First(); p != nil; {
				next := p.Next()
				if p.patience <= now && p.recall() {
					s.left(p)
					s.send(p.home, msg{kind: outlived, part: p})
				}
				p = next
			}
		}
		s.pull(l)
	}
	if s.items.Overflowing() > 0 {
		s.items.BuryBefore(now, func(it *item.Item) {
			s.send(s.q.owner(it.ID), msg{kind: look, id: it.ID, lane: s.lanes[s.names.Key(it.Lane)], flag: true})
		})
	}
}
