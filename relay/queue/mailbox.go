package queue

import (
	"sync"

	"tenma/relay/mail"
	"tenma/spool"
)

// kind says what a msg asks of the shard that gets it.
type kind uint8

const (
	// To the shard that owns the message.
	entryCame  kind = iota // entry: Feed handed it out
	refused                // part: its lane is full; an item stands there in its place
	look                   // id: a lane has a place for this message; answer may be set
	routed                 // part: its domain was looked up; answer, leader
	signPlease             // part: it got a place and wants its signature
	finished               // part, outs: an attempt is done
	settled                // led, err: a settlement is done
	outlived               // part: it expired while it waited, and its lane let go of it

	// To the shard that owns the lane.
	offered // part: wants a place; asked: the place is reserved
	looked  // lane, class: all that look found was offered
	ready   // part: signed, may run
	purge   // part: its owner took it back
	taken   // run, part: the run took it out of its channel
	ended   // run

	perform // do: anything rare
)

// msg is what shards tell each other.
type msg struct {
	kind   kind
	flag   bool // offered: asked; routed: leader; taken: claimed
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

// mailbox takes messages from any goroutine and never blocks, so that two
// shards that write to each other cannot wait for each other. What stands in it
// is bounded by what is open: parts (places of lanes), runs, settlements, and
// entries, of which Feed gets no more than credit ahead.
type mailbox struct {
	mu   sync.Mutex
	full []msg
	wake chan struct{} // one token: full is not empty
}

func newMailbox() mailbox { return mailbox{wake: make(chan struct{}, 1)} }

// post adds messages in their order.
func (b *mailbox) post(m ...msg) {
	b.mu.Lock()
	first := len(b.full) == 0
	b.full = append(b.full, m...)
	b.mu.Unlock()
	if first {
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
}

// take gives all messages and leaves empty in their place.
func (b *mailbox) take(empty []msg) []msg {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.full
	b.full = empty[:0]
	return all
}

// pool runs tasks on at most max goroutines, which end when nothing is left.
type pool struct {
	mu    sync.Mutex
	max   int
	n     int
	tasks []func()
	head  int
	all   sync.WaitGroup
}

// do runs f soon; it never blocks.
func (p *pool) do(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n == p.max {
		p.tasks = append(p.tasks, f)
		return
	}
	p.n++
	p.all.Add(1)
	go p.work(f)
}

func (p *pool) work(f func()) {
	defer p.all.Done()
	for f != nil {
		f()
		f = p.next()
	}
}

// next gives a task, or nil after which the goroutine counts as ended.
func (p *pool) next() func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.head == len(p.tasks) {
		p.tasks, p.head = p.tasks[:0], 0
		p.n--
		return nil
	}
	f := p.tasks[p.head]
	p.tasks[p.head] = nil
	p.head++
	if p.head > 1024 && p.head*2 > len(p.tasks) {
		p.tasks = append(p.tasks[:0], p.tasks[p.head:]...)
		p.head = 0
	}
	return f
}
