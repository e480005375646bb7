package fakenet

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// bufferSize is the room in each direction: what a socket has by default, about.
const bufferSize = 64 << 10

// Pipe gives the two ends of a connection between two addresses.
func Pipe(a, b netip.AddrPort) (atA, atB net.Conn) {
	ab, ba := newBuffer(), newBuffer()
	return &conn{read: ba, write: ab, local: a, remote: b}, &conn{read: ab, write: ba, local: b, remote: a}
}

// conn is one end. It is a net.Conn with CloseWrite and Reset.
type conn struct {
	read, write   *buffer
	local, remote netip.AddrPort
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.read.get(p)
	return n, c.wrap("read", err)
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.write.put(p)
	return n, c.wrap("write", err)
}

func (c *conn) wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// Close lets the peer read what was written and then end of file; what the
// peer writes from now on fails.
func (c *conn) Close() error {
	c.write.finish(io.EOF, syscall.EPIPE, net.ErrClosed, false)
	c.read.finish(net.ErrClosed, syscall.EPIPE, net.ErrClosed, true)
	return nil
}

// CloseWrite ends our direction only.
func (c *conn) CloseWrite() error {
	c.write.finish(io.EOF, syscall.EPIPE, net.ErrClosed, false)
	return nil
}

// Reset drops what is in flight; the peer gets ECONNRESET.
func (c *conn) Reset() {
	c.write.finish(syscall.ECONNRESET, net.ErrClosed, nil, true)
	c.read.finish(net.ErrClosed, syscall.ECONNRESET, nil, true)
}

func (c *conn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.local) }
func (c *conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

func (c *conn) SetDeadline(t time.Time) error {
	c.read.setDeadline(&c.read.readBy, t)
	c.write.setDeadline(&c.write.writeBy, t)
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.read.setDeadline(&c.read.readBy, t)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.write.setDeadline(&c.write.writeBy, t)
	return nil
}

// buffer is one direction.
type buffer struct {
	mu              sync.Mutex
	change          sync.Cond // on mu
	data            []byte
	readErr         error // what a reader gets when data is empty
	writeErr        error // what a writer gets
	readBy, writeBy deadline
}

type deadline struct {
	timer *time.Timer
	past  bool
}

func newBuffer() *buffer {
	b := &buffer{}
	b.change.L = &b.mu
	return b
}

func (b *buffer) get(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		switch {
		case b.readBy.past:
			return 0, os.ErrDeadlineExceeded
		case len(b.data) > 0:
			n := copy(p, b.data)
			b.data = b.data[:copy(b.data, b.data[n:])]
			b.change.Broadcast()
			return n, nil
		case b.readErr != nil:
			return 0, b.readErr
		case len(p) == 0:
			return 0, nil
		}
		b.change.Wait()
	}
}

func (b *buffer) put(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	done := 0
	for {
		switch {
		case b.writeErr != nil:
			return done, b.writeErr
		case b.writeBy.past:
			return done, os.ErrDeadlineExceeded
		case done == len(p):
			return done, nil
		}
		if n := min(bufferSize-len(b.data), len(p)-done); n > 0 {
			b.data = append(b.data, p[done:done+n]...)
			done += n
			b.change.Broadcast()
			continue
		}
		b.change.Wait()
	}
}

// finish ends the direction, once for readers and once for writers: the first
// call wins. own is what the closing end itself gets from then on.
func (b *buffer) finish(read, write, own error, drop bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.readErr == nil || drop && b.readErr == io.EOF {
		b.readErr = read
	}
	if b.writeErr == nil {
		b.writeErr = write
		if !drop && own != nil {
			b.writeErr = own
		}
	}
	if drop {
		b.data = nil
	}
	b.readBy.stop()
	b.writeBy.stop()
	b.change.Broadcast()
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

func (b *buffer) setDeadline(d *deadline, t time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d.stop()
	d.past = false
	if !t.IsZero() && (b.readErr == nil || b.writeErr == nil) {
		wait := time.Until(t)
		if wait <= 0 {
			d.past = true
		} else {
			var timer *time.Timer
			timer = time.AfterFunc(wait, func() {
				b.mu.Lock()
				defer b.mu.Unlock()
				if d.timer == timer { // not replaced meanwhile
					d.past = true
					b.change.Broadcast()
				}
			})
			d.timer = timer
		}
	}
	b.change.Broadcast()
}
