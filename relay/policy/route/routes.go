package route

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

const (
	// parts is how many parts the memory of routes has, each with its own lock.
	parts = 16
	// maxRoutes bounds the routes in memory; at some 500 octets each they are
	// 32 MiB. Past it the DNS cache answers, a little slower.
	maxRoutes = 1 << 16
	// looks is how many routes are looked at to find one to forget.
	looks = 8
)

// known is a route in memory, or an outcome. It is fixed but for used.
type known struct {
	route   mail.Route
	outcome *mail.Outcome
	until   time.Time
	used    atomic.Bool // since it was last spared
}

// routes remembers routes by domain. Nothing leaves it by time alone: a route
// past its time is not found, and goes when its place is wanted.
type routes struct {
	seed  maphash.Seed
	most  int // in each part
	parts [parts]struct {
		mu sync.RWMutex
		by map[smtp.Domain]*known
	}
}

func newRoutes(most int) *routes {
	s := &routes{seed: maphash.MakeSeed(), most: most / parts}
	for i := range s.parts {
		s.parts[i].by = map[smtp.Domain]*known{}
	}
	return s
}

func (s *routes) find(d smtp.Domain, now time.Time) *known {
	p := &s.parts[maphash.String(s.seed, string(d))%parts]
	p.mu.RLock()
	k := p.by[d]
	p.mu.RUnlock()
	if k == nil || !now.Before(k.until) {
		return nil
	}
	if !k.used.Load() {
		k.used.Store(true)
	}
	return k
}

func (s *routes) put(d smtp.Domain, r mail.Route, o *mail.Outcome, until time.Time) {
	now := time.Now()
	if !now.Before(until) {
		return
	}
	p := &s.parts[maphash.String(s.seed, string(d))%parts]
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, there := p.by[d]; !there && len(p.by) >= s.most {
		forget(p.by, now)
	}
	p.by[d] = &known{route: r, outcome: o, until: until}
}

// forget makes room for one: of a few routes, drawn by the map's own chance,
// the first that nobody used lately or can use any more, else the last.
func forget(by map[smtp.Domain]*known, now time.Time) {
	n := 0
	for d, k := range by {
		if n++; n == looks || !now.Before(k.until) || !k.used.Swap(false) {
			delete(by, d)
			return
		}
	}
}
