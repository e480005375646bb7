package queue

import (
	"tenma/relay/mail"
	"tenma/relay/queue/lanes"
)

// mostOpen is how many parts a shard holds open in all its lanes: with lane,
// ledger and envelope 2.8 KiB each, so at most 90 MiB.
const mostOpen = 1 << 15

// lobby has what came for a lane that has nothing open when its shard was full.
// It is the overflow of all these lanes, and of no other: none of them is there
// to ask for its own. [1] is for mail whose domain is not looked up yet; it may
// have half of the places, so that silent name servers leave room for mail that
// has a route.
type lobby struct {
	list    [2]*lane
	open    [2]int // parts in lanes of the kind
	looking [2]int // messages on their way out of the list
}

func (s *shard) openLobby() {
	for i, key := range []string{lanes.Of(&mail.Route{Lane: "(any)"}), lanes.Lookup("(any)")} {
		s.lobby.list[i] = &lane{keeper: s, key: key, num: s.names.Hold(key)}
	}
}

// room is how many more parts of the kind may be open; below zero: too many are.
func (s *shard) room(kind int) int {
	b := &s.lobby
	room := s.most - s.open - b.looking[0] - b.looking[1]
	if kind == 1 {
		room = min(room, s.most/2-b.open[1]-b.looking[1])
	}
	return room
}

// toLobby sends a part there if its shard is full. Lanes that have something
// open take care of their own.
func (s *shard) toLobby(p *part) bool {
	kind := lanes.Kind(p.key)
	if p.front || s.room(kind) >= 0 {
		return false
	}
	if l := s.lanes[p.key]; l != nil && !l.empty() {
		return false
	}
	s.overflows(s.lobby.list[kind], p)
	return true
}

// admit has those looked at for whom there is room now.
func (s *shard) admit() {
	for kind, l := range s.lobby.list {
		for c := range l.over {
			for l.over[c].Len() > 0 && s.room(kind) > 0 && s.lobby.looking[kind] < maxLoads {
				id, live := s.items.Pop(&l.over[c])
				s.names.Release(l.num)
				if live {
					s.lobby.looking[kind]++
					s.send(s.q.owner(id), msg{kind: look, id: id, lane: l, class: uint8(c)})
				}
			}
		}
	}
}
