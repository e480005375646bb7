package source

import (
	"sync/atomic"

	"tenma/bench/load"
)

// chunkBits: acks are allocated for 65,536 messages at a time, half a MiB.
const chunkBits = 16

// Acks are the times at which a load's messages were accepted. Its methods may
// be called at any time.
type Acks struct {
	chunks [load.MaxMessages >> chunkBits]atomic.Pointer[[1 << chunkBits]atomic.Int64]
}

// set notes the acceptance of message n, in Unix nanoseconds.
func (a *Acks) set(n uint32, at int64) {
	p := &a.chunks[n>>chunkBits]
	c := p.Load()
	if c == nil {
		p.CompareAndSwap(nil, new([1 << chunkBits]atomic.Int64))
		c = p.Load()
	}
	c[n&(1<<chunkBits-1)].Store(at)
}

// At is when message n was accepted, in Unix nanoseconds; 0: it was not.
func (a *Acks) At(n uint32) int64 {
	if n >= load.MaxMessages {
		return 0
	}
	c := a.chunks[n>>chunkBits].Load()
	if c == nil {
		return 0
	}
	return c[n&(1<<chunkBits-1)].Load()
}

// Each calls f for every accepted message, by number.
func (a *Acks) Each(f func(n uint32, at int64)) {
	for i := range a.chunks {
		c := a.chunks[i].Load()
		if c == nil {
			continue
		}
		for k := range c {
			if at := c[k].Load(); at != 0 {
				f(uint32(i<<chunkBits|k), at)
			}
		}
	}
}
