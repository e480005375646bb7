package delivery

import (
	"container/list"
	"context"
	"slices"
	"sync"
	"time"

	"tenma/metrics"
	"tenma/relay/mail"
)

// pool counts the sockets of each lane and keeps the idle ones. A lane's slot
// is held from before the dial until the socket is closed.
type pool struct {
	metrics *metrics.Delivery
	wake    chan struct{} // capacity 1: the janitor should look again

	mu      sync.Mutex
	lanes   map[mail.Lane]*lane
	rest    list.List     // the idle connections of all lanes, longest idle first
	open    int           // slots of all lanes
	keeping bool          // a janitor runs: connections may rest here
	empty   chan struct{} // closed when open is 0, once someone waits for it
}

// lane is under the pool's lock.
type lane struct {
	name    mail.Lane
	open    int
	idle    []*conn // longest idle first
	waiting []chan struct{}
}

// acquire gives an idle connection of the lane that fits best, or, as nil, a
// slot for a new one; at limit it closes an idle connection for that, or waits.
// The error is the context's.
func (p *pool) acquire(ctx context.Context, name mail.Lane, limit int, fit func(*conn) (rank int, ok bool), quit func(*conn)) (*conn, error) {
	for {
		p.mu.Lock()
		l := p.lane(name)
		if k := best(l, fit); k != nil {
			p.rouse(l, k)
			p.mu.Unlock()
			return k, nil
		}
		if l.open < limit {
			p.add(l, 1)
			p.mu.Unlock()
			return nil, nil
		}
		if len(l.idle) > 0 {
			k := l.idle[0]
			p.rouse(l, k)
			p.mu.Unlock()
			quit(k) // its slot comes free, and the next round takes it
			continue
		}
		turn := make(chan struct{})
		l.waiting = append(l.waiting, turn)
		p.mu.Unlock()
		select {
		case <-turn:
		case <-ctx.Done():
			p.mu.Lock()
			if i := slices.Index(l.waiting, turn); i >= 0 {
				l.waiting = slices.Delete(l.waiting, i, i+1)
			} else {
				l.callNext() // the turn was ours: pass it on
			}
			p.tidy(l)
			p.mu.Unlock()
			return nil, ctx.Err()
		}
	}
}

// best is the fitting idle connection of the lowest rank in the lane, among
// equals the one that was used last.
func best(l *lane, fit func(*conn) (int, bool)) *conn {
	at, low := -1, 0
	for i, k := range l.idle {
		if rank, ok := fit(k); ok && (at < 0 || rank <= low) {
			at, low = i, rank
		}
	}
	if at < 0 {
		return nil
	}
	return l.idle[at]
}

// rouse ends a connection's rest.
func (p *pool) rouse(l *lane, k *conn) {
	i := slices.Index(l.idle, k)
	l.idle = slices.Delete(l.idle, i, i+1)
	p.rest.Remove(k.rest)
	p.metrics.Idle.Dec()
}

// release gives a slot back; its socket is closed.
func (p *pool) release(name mail.Lane) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lane(name)
	p.add(l, -1)
	l.callNext()
	p.tidy(l)
}

// park lets a connection rest; false says that it must be closed instead. With
// more than most at rest the janitor closes the one that rests longest.
func (p *pool) park(k *conn, limit, most int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lane(k.key.lane)
	if !p.keeping || l.open > limit {
		return false
	}
	k.since = time.Now()
	l.idle = append(l.idle, k)
	k.rest = p.rest.PushBack(k)
	p.metrics.Idle.Inc()
	l.callNext()
	if n := p.rest.Len(); n == 1 || n > most { // else the janitor's timer is set already
		p.look()
	}
	return true
}

// look has the janitor look again.
func (p *pool) look() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// expired takes out what has been idle for d, and what is more than most, and
// says when to look again, 0 if nothing is idle.
func (p *pool) expired(now time.Time, d time.Duration, most int) (old []*conn, again time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for e := p.rest.Front(); e != nil; e = p.rest.Front() {
		k, _ := e.Value.(*conn)
		if wait := k.since.Add(d).Sub(now); wait > 0 && p.rest.Len() <= most {
			return old, wait
		}
		p.rouse(p.lane(k.key.lane), k)
		old = append(old, k)
	}
	return old, 0
}

// keep switches resting on or off.
func (p *pool) keep(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keeping = on
}

// drained is closed when no socket is open.
func (p *pool) drained() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	ch := make(chan struct{})
	if p.open == 0 {
		close(ch)
	} else {
		p.empty = ch
	}
	return ch
}

func (p *pool) lane(name mail.Lane) *lane {
	l := p.lanes[name]
	if l == nil {
		l = &lane{name: name}
		p.lanes[name] = l
	}
	return l
}

func (p *pool) add(l *lane, n int) {
	l.open += n
	p.open += n
	p.metrics.Connections.Add(float64(n))
	if p.open == 0 && p.empty != nil {
		close(p.empty)
		p.empty = nil
	}
}

func (p *pool) tidy(l *lane) {
	if l.open == 0 && len(l.waiting) == 0 && p.lanes[l.name] == l {
		delete(p.lanes, l.name)
	}
}

func (l *lane) callNext() {
	if len(l.waiting) > 0 {
		close(l.waiting[0])
		l.waiting = slices.Delete(l.waiting, 0, 1)
	}
}
