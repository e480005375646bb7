// Package pool runs tasks on a bounded number of goroutines. Handing in a task
// never blocks, so that a shard of the queue can do it; tasks that find all
// goroutines busy wait in line, and a goroutine ends when the line is empty.
package pool

import "sync"

// Pool runs tasks. Max must be set before the first task.
type Pool struct {
	Max int // goroutines

	mu    sync.Mutex
	n     int
	lines [Classes]line
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
	if p.n == p.Max {
		l := &p.lines[class]
		l.tasks = append(l.tasks, f)
		return
	}
	p.n++
	p.all.Go(func() { p.work(f) })
}

// Wait returns when every task has ended. No Do may come with or after it.
func (p *Pool) Wait() { p.all.Wait() }

func (p *Pool) work(f func()) {
	for f != nil {
		f()
		f = p.next()
	}
}

// next gives a task, or nil after which the goroutine counts as ended.
func (p *Pool) next() func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.lines {
		if f := p.lines[i].next(); f != nil {
			return f
		}
	}
	p.n--
	return nil
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
