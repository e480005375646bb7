package front

import (
	"net"
	"sync"
)

// Listener is the net.Listener that the library serves: it accepts what Serve is
// given. Its methods may be called from any goroutine.
type Listener struct {
	addr  net.Addr
	conns chan *Conn

	once   sync.Once
	closed chan struct{}
}

// NewListener makes one; addr is only told.
func NewListener(addr net.Addr) *Listener {
	return &Listener{addr: addr, conns: make(chan *Conn), closed: make(chan struct{})}
}

// Serve hands c to the library and returns when the library is done with it: when
// the session is closed. It is what a handler of door.Serve calls. After Close it
// returns at once.
func (l *Listener) Serve(c *Conn) {
	select {
	case l.conns <- c:
		<-c.done
	case <-l.closed:
	}
}

// Accept is for the library.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close makes the library's Serve return. Connections go on.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr is the address it was made with.
func (l *Listener) Addr() net.Addr { return l.addr }
