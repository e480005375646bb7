package dnstest

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

// Dial opens a connection to the server in memory, whatever the address:
// network "udp" or "tcp", with or without 4 or 6. It has the form of
// net.Dialer's DialContext.
func (s *Server) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	stream := strings.HasPrefix(network, "tcp")
	if !stream && !strings.HasPrefix(network, "udp") {
		return nil, fmt.Errorf("dnstest: network %q", network)
	}
	remote, _ := netip.ParseAddrPort(address)
	return &conn{server: s, stream: stream, remote: remote, changed: make(chan struct{})}, nil
}

// conn is one connection. Each query is answered while it is written; its
// reply waits in inbox until it is read.
type conn struct {
	server *Server
	stream bool
	remote netip.AddrPort

	mu       sync.Mutex
	inbox    [][]byte // a datagram each, or pieces of the stream
	partial  []byte   // stream: of a query whose end is not yet written
	closed   bool
	deadline time.Time
	changed  chan struct{} // closed and replaced when any of the above changes
}

// notify wakes readers; c.mu is held.
func (c *conn) notify() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	if !c.stream {
		c.query(b)
		return len(b), nil
	}
	c.partial = append(c.partial, b...)
	for len(c.partial) >= 2 {
		n := 2 + int(binary.BigEndian.Uint16(c.partial))
		if len(c.partial) < n {
			break
		}
		c.query(c.partial[2:n])
		c.partial = c.partial[n:]
	}
	return len(b), nil
}

// query asks the server; c.mu is held.
func (c *conn) query(b []byte) {
	reply, delay := c.server.reply(b, !c.stream)
	if reply == nil {
		return
	}
	if c.stream {
		reply = append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)
	}
	if delay == 0 {
		c.inbox = append(c.inbox, reply)
		c.notify()
		return
	}
	time.AfterFunc(delay, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.inbox = append(c.inbox, reply)
		c.notify()
	})
}

func (c *conn) Read(b []byte) (int, error) {
	for {
		c.mu.Lock()
		if n, ok, err := c.take(b); ok {
			c.mu.Unlock()
			return n, err
		}
		changed, deadline := c.changed, c.deadline
		c.mu.Unlock()
		if deadline.IsZero() {
			<-changed
			continue
		}
		timer := time.NewTimer(time.Until(deadline))
		select {
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// take reads if there is anything to tell; c.mu is held.
func (c *conn) take(b []byte) (n int, ok bool, err error) {
	switch {
	case c.closed:
		return 0, true, net.ErrClosed
	case !c.deadline.IsZero() && !time.Now().Before(c.deadline):
		return 0, true, os.ErrDeadlineExceeded
	case len(c.inbox) == 0:
		return 0, false, nil
	}
	n = copy(b, c.inbox[0])
	if c.stream && n < len(c.inbox[0]) {
		c.inbox[0] = c.inbox[0][n:]
	} else {
		c.inbox = c.inbox[1:] // what does not fit of a datagram is lost
	}
	return n, true, nil
}

func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.closed = true
	c.notify()
	return nil
}

func (c *conn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.deadline = t
	c.notify()
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error { return c.SetDeadline(t) }

// SetWriteDeadline does nothing: a write never waits.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

func (c *conn) LocalAddr() net.Addr { return c.addr(netip.AddrPort{}) }

func (c *conn) RemoteAddr() net.Addr { return c.addr(c.remote) }

func (c *conn) addr(a netip.AddrPort) net.Addr {
	if c.stream {
		return net.TCPAddrFromAddrPort(a)
	}
	return net.UDPAddrFromAddrPort(a)
}

var _ io.ReadWriteCloser = (*conn)(nil)
