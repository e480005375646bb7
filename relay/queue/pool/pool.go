// Package pool runs tasks on a bounded number of goroutines. Handing in a task
// never blocks, so that a shard of the queue can do it; tasks that find all
// goroutines busy wait in line. When the line is empty some goroutines wait for
// the next task, and the others end: a new one would begin with a small stack,
// and copy it two or three times while a question to the DNS or a delivery
// grows it. Where each message needs both, that took 5 % of the relay's
// processor time, and 2 % since.
package pool

import "sync"

// keep is how many goroutines of a pool wait for the next task. The one that
// was busy last gets it, and the collector halves the stacks of those that
// wait for long.
const keep = 64

// Pool runs tasks. Max, if there is one, must be set before the first task. Without Wait at the
// end it leaves goroutines behind.
type Pool struct {
	Max int // busy goroutines at a time; 0: no bound

	mu    sync.Mutex
	n     int // busy goroutines
	lines [Classes]line
	idle  []chan func() // a goroutine at each that takes one task; busy last is last
	ended bool          // Wait was called
	all   sync.WaitGroup
}

// Classes is how many lines there are for tasks that wait.
const Classes = 3

// line is tasks that wait; those before head are gone.
type line struct {
	tasks []func()
	head  int
}

// Do runs f soon, in the order of the calls.
func (p *Pool) Do(f func()) { p.DoFor(0, f) }

// DoFor is Do for a class, from 0 to Classes-1: a task waits for those of its
// own class that came before it, and for all of the classes before its own.
func (p *Pool) DoFor(class int, f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Max > 0 && p.n == p.Max {
		l := &p.lines[class]
		l.tasks = append(l.tasks, f)
		return
	}
	p.n++
	if last := len(p.idle) - 1; last >= 0 {
		p.idle[last] <- f // there is room
		p.idle = p.idle[:last]
		return
	}
	p.all.Go(func() { p.work(f) })
}

// Wait returns when every task has ended. No Do may come with or after it.
func (p *Pool) Wait() {
	p.mu.Lock()
	p.ended = true
	for _, at := range p.idle {
		close(at)
	}
	p.idle = nil
	p.mu.Unlock()
	p.all.Wait()
}

func (p *Pool) work(f func()) {
	at := make(chan func(), 1)
	for f != nil {
		f()
		var wait bool
		if f, wait = p.next(at); wait {
			f = <-at // nil: closed
		}
	}
}

// next gives a task. Without one the goroutine counts as idle: it is to wait
// for the next at its channel, or to end.
func (p *Pool) next(at chan func()) (f func(), wait bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.lines {
		if f := p.lines[i].next(); f != nil {
			return f, false
		}
	}
	p.n--
	if p.ended || len(p.idle) == keep {
		return nil, false
	}
	p.idle = append(p.idle, at)
	return nil, true
}

// next takes the first task, nil if there is none.
func (l *line) next() func() {
	if l.head == len(l.tasks) {
		l.tasks, l.head = l.tasks[:0], 0
		return nil
	}
	f := l.tasks[l.head]
	l.tasks[l.head] = nil
	l.head++
	if l.head > 1024 && l.head*2 > len(l.tasks) {
		l.tasks = append(l.tasks[:0], l.tasks[l.head:]...)
		l.head = 0
	}
	return f
}
