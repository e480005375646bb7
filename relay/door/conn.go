package door

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Await's own errors.
var (
	ErrDraining    = errors.New("door: shutting down") // the relay stops
	ErrInterrupted = errors.New("door: interrupted")   // Interrupt was called
)

var errNoTLS = errors.New("door: TLS is not to be had here")

// Conn is a connection that was let in. With implicit TLS the handshake
// happens before handle is called. One goroutine reads it and one writes.
type Conn struct {
	net.Conn // the socket, or the TLS layer above it

	d       *Door
	limits  *Limits
	raw     net.Conn // the socket
	remote  net.Addr
	client  netip.AddrPort // of remote
	proxied bool           // a PROXY header comes first
	counted bool           // in Door.clients
	tls     *tls.ConnectionState

	mu          sync.Mutex // guards what follows, and the read deadline while waiting is set
	waiting     bool       // in Await
	interrupted bool
}

func newConn(d *Door, nc net.Conn) *Conn {
	return &Conn{Conn: nc, d: d, limits: d.limits.Load(), raw: nc, remote: nc.RemoteAddr(), client: AddrPort(nc.RemoteAddr())}
}

// Client is who connects, also behind a proxy; the zero value if it has no IP
// address.
func (c *Conn) Client() netip.AddrPort { return c.client }

// RemoteAddr is the address of the client, also behind a proxy.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// TLS is nil on plaintext.
func (c *Conn) TLS() *tls.ConnectionState { return c.tls }

// CanStartTLS reports that StartTLS is to be offered.
func (c *Conn) CanStartTLS() bool {
	return c.d.cfg.Mode == TLSStart && c.d.cfg.TLS != nil && c.tls == nil
}

// StartTLS shakes hands; the caller has told the client to begin and holds no
// octet of it that is unread. After an error the connection is of no more use.
func (c *Conn) StartTLS() error {
	if !c.CanStartTLS() {
		return errNoTLS
	}
	return c.handshake(c.Conn)
}

// Draining is closed when the relay stops: end between two commands.
func (c *Conn) Draining() <-chan struct{} { return c.d.draining }

var longAgo = time.Unix(1, 0)

// Await is Read for the time between two commands: it waits until deadline, and
// a drain interrupts it with ErrDraining, also one that began before. Who reads a
// message that must be taken to its end uses SetReadDeadline and Read.
func (c *Conn) Await(p []byte, deadline time.Time) (int, error) {
	c.mu.Lock()
	if err := c.stopped(); err != nil {
		c.mu.Unlock()
		return 0, err
	}
	c.waiting = true
	err := c.raw.SetReadDeadline(deadline)
	c.mu.Unlock()
	n := 0
	if err == nil {
		n, err = c.Conn.Read(p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = false
	if stopped := c.stopped(); err != nil && n == 0 && stopped != nil {
		err = stopped
	}
	return n, err
}

// stopped says why nothing is awaited any more; c.mu is held.
func (c *Conn) stopped() error {
	if c.interrupted {
		return ErrInterrupted
	}
	select {
	case <-c.d.draining:
		return ErrDraining
	default:
		return nil
	}
}

// wake ends an Await that has a reason to end.
func (c *Conn) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting && c.stopped() != nil {
		_ = c.raw.SetReadDeadline(longAgo) // fails only on a closed socket
	}
}

// Interrupt ends a running Await and all later ones with ErrInterrupted. It may be
// called from any goroutine.
func (c *Conn) Interrupt() {
	c.mu.Lock()
	c.interrupted = true
	c.mu.Unlock()
	c.wake()
}

// Abort closes the socket under the conversation, without a word and without
// waiting. It may be called from any goroutine; whoever uses the connection finds
// out.
func (c *Conn) Abort() { _ = c.raw.Close() }

// handshake puts TLS above the socket.
func (c *Conn) handshake(under net.Conn) error {
	t := tls.Server(under, c.d.cfg.TLS)
	err := c.raw.SetDeadline(time.Now().Add(HandshakeTime))
	if err == nil {
		err = t.Handshake()
	}
	if err != nil {
		count(c.d.cfg.Metrics.TLSSessions, c.d.cfg.Name, "failed")
		c.d.log.Debug("TLS handshake failed", "protocol", c.d.cfg.Protocol, "listener", c.d.cfg.Name, "client", c.client, "error", err)
		return err
	}
	count(c.d.cfg.Metrics.TLSSessions, c.d.cfg.Name, "good")
	state := t.ConnectionState()
	c.Conn, c.tls = t, &state
	return c.raw.SetDeadline(time.Time{})
}

// implicitTLS is the handshake of a listener where TLS comes first. It notices
// clients that do not know that.
func (c *Conn) implicitTLS() error {
	under := &heard{Conn: c.Conn}
	err := c.handshake(under)
	var header tls.RecordHeaderError
	var ne net.Error
	switch {
	case errors.As(err, &header) && header.Conn != nil: // not a TLS record at all
		c.wrongPlain(under)
	case errors.As(err, &ne) && ne.Timeout() && !under.some: // it waits for a greeting
		c.wrongPlain(under)
	}
	return err
}

// heard is a socket that knows whether anything has come from it.
type heard struct {
	net.Conn
	some bool // written by the reading goroutine only
}

func (h *heard) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	h.some = h.some || n > 0
	return n, err
}

// How long, and for how many octets, Linger listens.
const (
	lingerTime   = 2 * time.Second
	lingerOctets = 1 << 20
)

// Linger closes our direction and swallows what the client still sends, for a
// short time, so that it can read what it was told last: a socket that is closed
// with octets unread answers with a reset (RFC 2525 section 2.17), which takes
// our last words out of the client's buffer. Close comes afterwards all the same.
func (c *Conn) Linger() {
	if err := c.raw.SetDeadline(time.Now().Add(lingerTime)); err != nil {
		return
	}
	if t, ok := c.Conn.(*tls.Conn); ok {
		_ = t.CloseWrite() // close_notify; the socket's end follows anyhow
	}
	if w, ok := c.raw.(interface{ CloseWrite() error }); ok && w.CloseWrite() != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c.raw, lingerOctets) // whatever ends it, it is over
}
