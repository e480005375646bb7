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
	tasks []func()
	head  int
	all   sync.WaitGroup
}

// Do runs f soon, in the order of the calls.
func (p *Pool) Do(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n == p.Max {
		p.tasks = append(p.tasks, f)
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
