package client

import "sync"

// outSize is how large a lent buffer for writing is: the commands and a usual
// message fit. Where more is collected, the buffer grows and is not given back.
const outSize = 8 << 10

// Buffers lends memory to connections, which need it only while they are in
// use: one that rests, or has ended, has none. Mail to hosts that are met once
// opens a connection for each message, and leaves it at rest. The zero value is
// ready; any goroutine may use it.
type Buffers struct {
	in  sync.Pool // of *[maxLine]byte
	out sync.Pool // of *[outSize]byte
}

func (b *Buffers) takeIn() []byte {
	if b != nil {
		if p, ok := b.in.Get().(*[maxLine]byte); ok {
			return p[:]
		}
	}
	return make([]byte, maxLine)
}

func (b *Buffers) takeOut() []byte {
	if b != nil {
		if p, ok := b.out.Get().(*[outSize]byte); ok {
			return p[:0]
		}
	}
	return make([]byte, 0, outSize)
}

// give takes memory back that came from takeIn and takeOut, or grew since; nil
// is nothing.
func (b *Buffers) give(in, out []byte) {
	if b == nil {
		return
	}
	if cap(in) == maxLine {
		b.in.Put((*[maxLine]byte)(in[:maxLine]))
	}
	if cap(out) == outSize {
		b.out.Put((*[outSize]byte)(out[:outSize]))
	}
}
