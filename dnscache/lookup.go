package dnscache

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// popularHits is how often an answer must be used to be asked for again before
// its end; the last tenth of its life is the time for it.
const popularHits = 2

// Patience with servers when an answer past its time is at hand (RFC 8767
// sections 5 and 6): after staleWait it is served, and for staleRecheck no
// server is bothered with the question again.
const (
	staleWait    = 1800 * time.Millisecond
	staleRecheck = 30 * time.Second
)

// LookupMX gives the mail exchangers of a domain, sorted by preference, then
// name. Errors wrap ErrNotFound, ErrNoData or ErrTemporary.
func (c *Cache) LookupMX(ctx context.Context, domain string) (Answer[MX], error) {
	return answer[MX](c, ctx, domain, kindMX)
}

// LookupAddrs gives the addresses of a host, IPv6 first, each family in the
// order of the answer. A and AAAA are asked at the same time; when one fails
// and the other has addresses, these are the answer, for half a minute. Errors
// wrap ErrNotFound (no such name), ErrNoData (neither type is present) or
// ErrTemporary.
func (c *Cache) LookupAddrs(ctx context.Context, host string) (Answer[netip.Addr], error) {
	return answer[netip.Addr](c, ctx, host, kindAddrs)
}

// LookupTXT gives the text records of a name, the strings of each joined (RFC
// 7208 section 3.3). Errors wrap ErrNotFound, ErrNoData or ErrTemporary.
func (c *Cache) LookupTXT(ctx context.Context, name string) (Answer[string], error) {
	return answer[string](c, ctx, name, kindTXT)
}

// LookupPTR gives the names of an address. They are claims of whoever has the
// address: look their addresses up before believing one. Errors wrap
// ErrNotFound, ErrNoData or ErrTemporary.
func (c *Cache) LookupPTR(ctx context.Context, addr netip.Addr) (Answer[string], error) {
	return answer[string](c, ctx, reverseName(addr), kindPTR)
}

// LookupTLSA gives the TLSA records of a name such as "_25._tcp.mx.example".
// They are never stale. Errors wrap ErrNotFound, ErrNoData or ErrTemporary.
func (c *Cache) LookupTLSA(ctx context.Context, name string) (Answer[TLSA], error) {
	return answer[TLSA](c, ctx, name, kindTLSA)
}

func answer[T any](c *Cache, ctx context.Context, name string, k kind) (Answer[T], error) {
	name, ok := canonical(name)
	if !ok {
		return Answer[T]{}, fmt.Errorf("%w: not a domain name", ErrNotFound)
	}
	e, now, err := c.get(ctx, key{name, k})
	if err != nil {
		return Answer[T]{}, err
	}
	records, _ := e.records.([]T)
	return Answer[T]{Records: records, Secure: e.secure, Stale: e.stale, TTL: max(e.expires.Sub(now), 0), Canonical: e.canonical}, e.err
}

// get finds the answer to k, in memory or by asking. Its error is for a caller
// that gave up waiting; the answer's own is in the entry.
func (c *Cache) get(ctx context.Context, k key) (*entry, time.Time, error) {
	now := time.Now()
	h := c.store.shard(k)
	e := h.find(k)
	if e == nil || !e.fresh(now) {
		e, err := c.fetch(ctx, h, k)
		return e, time.Now(), err
	}
	if !e.used.Load() {
		e.used.Store(true)
	}
	if e.stale {
		c.counts.stale[k.kind].Inc()
	} else {
		c.counts.hit[k.kind].Inc()
	}
	if e.hits.Load() < popularHits {
		e.hits.Add(1)
	} else if e.expires.Sub(now) < e.life/10 && c.running.Load() && !e.refreshing.Swap(true) {
		select {
		case c.refresh <- k:
		default:
			e.refreshing.Store(false)
		}
	}
	return e, now, nil
}

// flight is a question under way. Who began it asks in its own goroutine; the
// others wait for done. They share its end, except that one who gave up
// leaves the question to be begun again.
type flight struct {
	done  chan struct{}
	entry *entry // nil after done: given up
}

// fetch asks the servers, or waits for a question that is under way.
func (c *Cache) fetch(ctx context.Context, h *shard, k key) (*entry, error) {
	for joined := false; ; joined = true {
		h.mu.Lock()
		if e := h.entries[k]; e != nil && e.fresh(time.Now()) {
			h.mu.Unlock()
			return e, nil
		}
		f := h.flights[k]
		if f == nil {
			f = &flight{done: make(chan struct{})}
			old := h.entries[k]
			h.flights[k] = f
			h.mu.Unlock()
			c.counts.miss[k.kind].Inc()
			return c.lead(ctx, h, k, f, old)
		}
		h.mu.Unlock()
		if !joined {
			c.counts.joined[k.kind].Inc()
		}
		select {
		case <-f.done:
			if f.entry != nil {
				return f.entry, nil
			}
		case <-ctx.Done():
			return nil, gaveUp(ctx, k)
		}
	}
}

// renew asks for k again though its answer is fresh. A temporary failure
// changes nothing, and is not repeated: the entry stays marked as refreshing.
func (c *Cache) renew(ctx context.Context, k key) {
	h := c.store.shard(k)
	h.mu.Lock()
	old := h.entries[k]
	if old == nil || h.flights[k] != nil {
		h.mu.Unlock()
		return
	}
	f := &flight{done: make(chan struct{})}
	h.flights[k] = f
	h.mu.Unlock()
	_, _ = c.lead(ctx, h, k, f, old)
}

// lead carries a flight to its end. old is what the store had for k, if
// anything.
func (c *Cache) lead(ctx context.Context, h *shard, k key, f *flight, old *entry) (*entry, error) {
	defer func() {
		h.mu.Lock()
		delete(h.flights, k)
		h.mu.Unlock()
		close(f.done)
	}()
	gen := c.store.gen.Load() // before the settings: see Cache.swap
	s := c.settings.Load()
	wait := s.timeout
	haveStale := old != nil && old.err == nil && time.Now().Before(old.staleUntil)
	if haveStale {
		wait = min(wait, staleWait)
	}
	asking, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	res := c.ask(asking, s, k)
	failed := errors.Is(res.err, ErrTemporary)
	if failed && ctx.Err() != nil {
		return nil, gaveUp(ctx, k)
	}
	now := time.Now()
	switch {
	case failed && old != nil && old.fresh(now):
		f.entry = old
		return old, nil
	case failed && haveStale:
		f.entry = staleEntry(old, now)
		c.counts.stale[k.kind].Inc()
	default:
		f.entry = s.newEntry(k, res, now)
	}
	c.store.put(f.entry, gen)
	return f.entry, nil
}

// newEntry makes what is kept of a result: its time to live within the limits.
// That of records is below maxTTL since chase.
func (s *settings) newEntry(k key, res found, now time.Time) *entry {
	life := max(res.ttl, s.minTTL)
	switch {
	case res.err == nil:
	case errors.Is(res.err, ErrTemporary):
		life = s.minTTL // RFC 9520 section 3.2: a failure is kept for 1 s to 5 min
	default:
		life = min(life, s.denial)
	}
	e := &entry{key: k, found: res, life: life, expires: now.Add(life)}
	if k.kind == kindAddrs && res.err == nil {
		e.staleUntil = e.expires.Add(s.stale)
	}
	e.size = entryOverhead + int64(len(k.name)+len(res.canonical)) + res.octets
	return e
}

// staleEntry is old for another while.
func staleEntry(old *entry, now time.Time) *entry {
	return &entry{
		key: old.key, found: old.found, stale: true, life: staleRecheck, size: old.size,
		expires: now.Add(staleRecheck), staleUntil: old.staleUntil,
	}
}

// gaveUp is the error of a caller whose context ended.
func gaveUp(ctx context.Context, k key) error {
	return fmt.Errorf("%w: %s of %s: %w", ErrTemporary, k.kind, k.name, context.Cause(ctx))
}
