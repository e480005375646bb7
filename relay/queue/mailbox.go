package queue

import (
	"tenma/relay/mail"
	"tenma/spool"
)

// kind says what a msg asks of the shard that gets it.
type kind uint8

const (
	// To the shard that owns the message.
	entryCame  kind = iota // entry: Feed handed it out
	refused                // part: its lane is full; an item stands there in its place
	look                   // id: a lane has a place for this message, answer may be set; outlived: it let go of it
	routed                 // part: its domain was looked up; answer, leader
	signPlease             // part: it got a place and wants its signature
	finished               // part, outs: an attempt is done
	settled                // led, err: a settlement is done
	outlived               // part: it waited too long, and its lane let go of it

	// To the shard that owns the lane.
	offered // part: wants a place; asked: the place is reserved
	looked  // lane, class: all that look found was offered
	ready   // part: signed, may run
	purge   // part: its owner took it back
	taken   // run, part: the run took it out of its channel
	ended   // run

	perform // do: anything rare
)

// msg is what shards tell each other. What stands in a shard's mailbox is
// bounded by what is open: parts (places of lanes), runs, settlements, and
// entries, of which Feed gets no more than credit ahead.
type msg struct {
	kind   kind
	flag   bool // offered: asked; look: outlived; routed: leader; taken: claimed
	class  uint8
	id     spool.ID
	part   *part
	led    *ledger
	lane   *lane
	run    *run
	entry  *spool.Entry
	answer *answer
	outs   []mail.Outcome
	err    error
	do     func()
}
