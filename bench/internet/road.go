package internet

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// maxOnRoad is how many octets may be on the road at once. More are the replies
// to a client that does not read them.
const maxOnRoad = 1 << 20

// tarpitSlice is how often a tarpit lets some octets pass, about.
const tarpitSlice = 100 * time.Millisecond

// Road gives a host's end of a connection as a client meets it: far away where
// m has an RTT, narrow where it has a Tarpit, else c itself. The greeting, the
// first thing written, comes after two round trips: one for the handshake of
// TCP, which a kernel does at once on loopback, and one like any reply.
//
// What was written is on the road until Close returns, or until ctx ends.
// random gives numbers in [0,1), for Jitter; calls come one after the other.
// As with any net.Conn one may read while another writes.
func (m *Manner) Road(ctx context.Context, c net.Conn, random func() float64) net.Conn {
	if m.Tarpit > 0 {
		c = &tarpit{Conn: c, ctx: ctx, rate: m.Tarpit}
	}
	if m.RTT > 0 {
		f := &far{Conn: c, ctx: ctx, rtt: m.RTT, jitter: m.Jitter, random: random, wake: make(chan struct{}, 1), done: make(chan struct{})}
		f.free = time.Now().Add(m.RTT)
		go f.carry()
		return f
	}
	return c
}

// far delays what is written; its goroutine ends before Close returns.
type far struct {
	net.Conn
	ctx         context.Context
	rtt, jitter time.Duration
	random      func() float64
	free        time.Time     // nothing leaves before: the handshake
	wake        chan struct{} // something is new in the queue
	done        chan struct{} // carry has ended
	close       sync.Once

	mu    sync.Mutex
	queue []parcel // in the order written, which TCP keeps whatever is due when
	size  int      // octets in queue
	ended bool
	err   error
}

type parcel struct {
	due  time.Time
	data []byte
}

func (f *far) Write(p []byte) (int, error) {
	d := f.rtt
	if f.jitter > 0 {
		d += time.Duration(f.random() * float64(f.jitter))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended && f.err == nil {
		return 0, net.ErrClosed
	}
	if f.err != nil {
		return 0, f.err
	}
	if f.size+len(p) > maxOnRoad {
		return 0, errors.New("too much on the road to a client that does not read")
	}
	f.size += len(p)
	now := time.Now()
	if now.Before(f.free) {
		now = f.free
	}
	f.queue = append(f.queue, parcel{now.Add(d), append([]byte(nil), p...)})
	f.signal()
	return len(p), nil
}

func (f *far) signal() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// carry brings the parcels when they are due.
func (f *far) carry() {
	defer close(f.done)
	for {
		f.mu.Lock()
		if len(f.queue) == 0 || f.err != nil {
			ended := f.ended
			f.mu.Unlock()
			if ended {
				return
			}
			select {
			case <-f.wake:
			case <-f.ctx.Done():
				f.fail(f.ctx.Err())
				return
			}
			continue
		}
		p := f.queue[0]
		f.queue = f.queue[1:]
		f.mu.Unlock()
		if !Sleep(f.ctx, time.Until(p.due)) {
			f.fail(f.ctx.Err())
			return
		}
		if _, err := f.Conn.Write(p.data); err != nil {
			f.fail(err)
		}
		f.mu.Lock()
		f.size -= len(p.data)
		f.mu.Unlock()
	}
}

func (f *far) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err, f.queue = err, nil
}

// SetWriteDeadline does nothing: a write never waits, and what is on the road
// is not to be stopped by a deadline that package tls sets when it closes.
func (f *far) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline is SetReadDeadline.
func (f *far) SetDeadline(t time.Time) error { return f.Conn.SetReadDeadline(t) }

// Close waits until what is on the road has arrived.
func (f *far) Close() error {
	err := net.ErrClosed
	f.close.Do(func() {
		f.mu.Lock()
		f.ended = true
		f.signal()
		f.mu.Unlock()
		<-f.done
		err = f.Conn.Close()
	})
	return err
}

// tarpit reads and writes few octets a second.
type tarpit struct {
	net.Conn
	ctx  context.Context
	rate int // octets a second
}

// slice is how much passes at a time.
func (t *tarpit) slice() int {
	return max(1, int(int64(t.rate)*int64(tarpitSlice)/int64(time.Second)))
}

// rest is the time that n octets take.
func (t *tarpit) rest(n int) bool {
	return Sleep(t.ctx, time.Duration(n)*time.Second/time.Duration(t.rate))
}

func (t *tarpit) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p[:min(len(p), t.slice())])
	if n > 0 && !t.rest(n) && err == nil {
		err = t.ctx.Err()
	}
	return n, err
}

func (t *tarpit) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n, err := t.Conn.Write(p[done:min(len(p), done+t.slice())])
		done += n
		if err == nil && !t.rest(n) {
			err = t.ctx.Err()
		}
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// Sleep waits for d and reports false when ctx ended first.
func Sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
