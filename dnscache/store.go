package dnscache

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"tenma/metrics"
)

// kind is what a question asks for. The two types of addresses are one kind:
// whoever connects wants both, and they live and are forgotten together.
type kind uint8

const (
	kindMX kind = iota
	kindAddrs
	kindTXT
	kindPTR
	kindTLSA
	kinds
)

func (k kind) String() string {
	return [...]string{"MX", "ADDR", "TXT", "PTR", "TLSA"}[k]
}

// key is a question: a name as canonical leaves it, and a kind.
type key struct {
	name string
	kind kind
}

// entry is an answer in memory. All but the atomics is fixed once it is made.
type entry struct {
	key
	found
	stale      bool // made from an answer past its time
	life       time.Duration
	expires    time.Time
	staleUntil time.Time // zero: not to be served stale
	size       int64

	used       atomic.Bool   // since the hand of the clock passed
	hits       atomic.Uint32 // counted to popularHits only
	refreshing atomic.Bool   // it is in the hands of a refresher
	slot       int           // in shard.ring; under shard.mu
}

func (e *entry) fresh(now time.Time) bool { return now.Before(e.expires) }

// useless reports that nobody can be served from e any more.
func (e *entry) useless(now time.Time) bool {
	return !now.Before(e.expires) && !now.Before(e.staleUntil)
}

// shards is how many parts the store has, each with its own lock and an equal
// share of the memory. A power of two.
const shards = 16

// entryOverhead is what an entry costs besides its text, in octets: the struct,
// its slots in map and ring, an error, allocator rounding. Measured on 300,000
// MX answers of two hosts: the heap grew by 413 octets for each, denials by
// 373, and the estimate stays some 20 % above that.
const entryOverhead = 384

// store keeps answers within a bound of memory. What goes first is chosen by a
// clock: a hand passes over the entries of a shard, spares those used since it
// last came by, and drops the others.
type store struct {
	seed   maphash.Seed
	counts *metrics.DNS
	max    atomic.Int64  // octets per shard
	gen    atomic.Uint64 // counts calls of clear
	shards [shards]shard
}

// shard is a part of the store. flights are the questions under way.
type shard struct {
	mu      sync.RWMutex
	entries map[key]*entry
	ring    []*entry
	hand    int
	bytes   int64
	flights map[key]*flight
}

func newStore(maxMemory int64, seed maphash.Seed, counts *metrics.DNS) *store {
	s := &store{seed: seed, counts: counts}
	s.max.Store(maxMemory / shards)
	for i := range s.shards {
		s.shards[i].entries = map[key]*entry{}
		s.shards[i].flights = map[key]*flight{}
	}
	return s
}

func (s *store) shard(k key) *shard {
	return &s.shards[maphash.String(s.seed, k.name)%shards]
}

// find gives the entry for k, fresh or not, or nil.
func (h *shard) find(k key) *entry {
	h.mu.RLock()
	e := h.entries[k]
	h.mu.RUnlock()
	return e
}

// put files e in place of what had its key, unless the store was cleared since
// gen was read or e alone is too large.
func (s *store) put(e *entry, gen uint64) {
	now := time.Now()
	h := s.shard(e.key)
	h.mu.Lock()
	defer h.mu.Unlock()
	limit := s.max.Load()
	if s.gen.Load() != gen || e.size > limit {
		return
	}
	if old := h.entries[e.key]; old != nil {
		s.drop(h, old)
	}
	e.slot = len(h.ring)
	h.ring = append(h.ring, e)
	h.entries[e.key] = e
	h.bytes += e.size
	s.counts.Entries.Inc()
	s.counts.Bytes.Add(float64(e.size))
	s.sweep(h, now)
	for h.bytes > limit {
		s.turn(h, e, now)
	}
}

// sweep looks at two entries for each that comes in, so that the useless go
// even where memory is plenty.
func (s *store) sweep(h *shard, now time.Time) {
	for range 2 {
		if h.hand >= len(h.ring) {
			h.hand = 0
		}
		if at := h.ring[h.hand]; at.useless(now) {
			s.drop(h, at)
			if len(h.ring) == 0 {
				return
			}
		} else {
			h.hand++
		}
	}
}

// turn moves the hand by one; keep is spared.
func (s *store) turn(h *shard, keep *entry, now time.Time) {
	if h.hand >= len(h.ring) {
		h.hand = 0
	}
	at := h.ring[h.hand]
	switch {
	case at == keep, at.used.Swap(false) && !at.useless(now):
		h.hand++
	default:
		s.drop(h, at)
		s.counts.Evictions.Inc()
	}
}

// drop removes e; the last entry of the ring takes its slot. h.mu is held.
func (s *store) drop(h *shard, e *entry) {
	last := len(h.ring) - 1
	h.ring[e.slot] = h.ring[last]
	h.ring[e.slot].slot = e.slot
	h.ring[last] = nil
	h.ring = h.ring[:last]
	delete(h.entries, e.key)
	h.bytes -= e.size
	s.counts.Entries.Dec()
	s.counts.Bytes.Sub(float64(e.size))
}

// clear forgets everything, also what is asked for at this moment.
func (s *store) clear() {
	s.gen.Add(1)
	for i := range s.shards {
		h := &s.shards[i]
		h.mu.Lock()
		for len(h.ring) > 0 {
			s.drop(h, h.ring[len(h.ring)-1])
		}
		h.mu.Unlock()
	}
}

// resize changes the bound of memory; a smaller one is met as answers come in.
func (s *store) resize(maxMemory int64) { s.max.Store(maxMemory / shards) }
