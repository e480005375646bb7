package client

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// Sizes of what is collected before it is written.
const (
	flushAt   = 32 << 10  // octets; commands and a usual message fit
	directAt  = 16 << 10  // a piece of a body this large is not copied first
	blockSize = 256 << 10 // most octets under one Block time limit
	keepAt    = 16 << 10  // a larger buffer is dropped when the connection rests
)

// Errors of opening a session.
var (
	// ErrInjected says that octets stood behind the reply to STARTTLS, which
	// anybody on the way may have put there (RFC 3207 section 6).
	ErrInjected = errors.New("octets in plaintext behind the reply to STARTTLS")
	// ErrText says that a command would carry controls.
	ErrText = errors.New("a command cannot carry this text")
)

// Conn is one connection to a server. One goroutine uses it at a time.
type Conn struct {
	// Block is the time limit of writing one block.
	Block time.Duration
	// Abort, if set, is asked after each arming of a deadline; an error ends
	// the wait. Whoever makes it fail also moves the net.Conn's deadline into
	// the past, so that no wait is missed. It is for opening only.
	Abort func() error
	// Limit, if set, is a time that no wait for a reply goes beyond.
	Limit time.Time
	// Ext is what the server offered last.
	Ext Extensions
	// Buffers, if set before anything else, lends memory: Rest, Quit and Close
	// give it back.
	Buffers *Buffers

	nc      net.Conn
	secure  bool
	in      reader
	wait    time.Duration // of the reply that is being read
	armed   bool          // its deadline is set
	writeBy time.Time     // the deadline that nc has for writing
	out     []byte
	body    bodyState
	read    int64
	wrote   int64
}

// New makes a Conn on nc, which it owns from then on.
func New(nc net.Conn) *Conn {
	c := &Conn{nc: nc, Block: time.Minute}
	c.in.src = (*armedReader)(c)
	return c
}

// armedReader sets the deadline of a reply when, and only when, the reply has
// to be waited for; all reads of one reply share it, so that a server that
// sends an octet at a time gains nothing.
type armedReader Conn

func (a *armedReader) Read(p []byte) (int, error) {
	if !a.armed {
		a.armed = true
		until := time.Now().Add(a.wait)
		if !a.Limit.IsZero() && a.Limit.Before(until) {
			until = a.Limit
		}
		if err := a.nc.SetReadDeadline(until); err != nil {
			return 0, err
		}
		if a.Abort != nil {
			if err := a.Abort(); err != nil {
				return 0, err
			}
		}
	}
	n, err := a.nc.Read(p)
	a.read += int64(n)
	return n, err
}

// Reply flushes, then reads one reply, waiting no longer than wait for the
// whole of it. Errors are those of the connection or wrap ErrProtocol.
func (c *Conn) Reply(wait time.Duration) (Reply, error) {
	if err := c.Flush(); err != nil {
		return Reply{}, err
	}
	return c.Late(wait)
}

// Late is Reply without the flush, for a connection whose writing side has
// failed but which may have said why before.
func (c *Conn) Late(wait time.Duration) (Reply, error) {
	c.wait, c.armed = wait, false
	if c.in.buf == nil {
		c.in.buf = c.Buffers.takeIn()
	}
	return c.in.next()
}

// Flush writes what was collected.
func (c *Conn) Flush() error {
	if len(c.out) == 0 {
		return nil
	}
	b := c.out
	c.out = c.out[:0]
	return c.write(b)
}

func (c *Conn) write(b []byte) error {
	if err := c.armWrite(); err != nil {
		return err
	}
	n, err := c.nc.Write(b)
	c.wrote += int64(n)
	return err
}

// slack is how late the end of a write may be: a deadline is set that much
// later than Block wants it, and then serves for what is written in the
// meantime. Moving the timer for each write shows in a profile.
const slack = time.Second

func (c *Conn) armWrite() error {
	by := time.Now().Add(c.Block)
	if d := c.writeBy.Sub(by); 0 <= d && d <= slack {
		return nil
	}
	c.writeBy = by.Add(slack)
	return c.nc.SetWriteDeadline(c.writeBy)
}

// Unread reports octets that came in before anything was asked.
func (c *Conn) Unread() bool { return c.in.buffered() }

// Traffic gives the octets read and written since it was last asked, TLS
// records not counted.
func (c *Conn) Traffic() (read, wrote int64) {
	read, wrote = c.read, c.wrote
	c.read, c.wrote = 0, 0
	return read, wrote
}

// Rest gives back what memory the connection does not need while it is idle.
func (c *Conn) Rest() {
	c.out = c.out[:0]
	if cap(c.out) > keepAt || cap(c.out) == outSize {
		c.Buffers.give(nil, c.out)
		c.out = nil
	}
	if !c.in.buffered() {
		c.Buffers.give(c.in.buf, nil)
		c.in.buf, c.in.start, c.in.end = nil, 0, 0
	}
	if cap(c.in.text) > keepAt {
		c.in.text = nil
	}
}

// release gives all memory back; the connection has ended.
func (c *Conn) release() {
	c.Buffers.give(c.in.buf, c.out)
	c.out, c.in.buf, c.in.start, c.in.end = nil, nil, 0, 0
}

// collecting sees that there is a buffer to collect commands in.
func (c *Conn) collecting() {
	if c.out == nil {
		c.out = c.Buffers.takeOut()
	}
}

// Greet reads the banner.
func (c *Conn) Greet(wait time.Duration) (Reply, error) { return c.Late(wait) }

// Hello says EHLO and, if the server knows no EHLO (any 5yz), HELO; for LMTP it
// says LHLO, which has no substitute (RFC 5321 section 3.2, RFC 2033 section
// 4.1). It returns the last reply; if that is positive, Ext is set.
func (c *Conn) Hello(name string, lmtp bool, wait time.Duration) (Reply, error) {
	if !plain(name) {
		return Reply{}, fmt.Errorf("%w: our name %q", ErrText, name)
	}
	verb := "EHLO "
	if lmtp {
		verb = "LHLO "
	}
	c.line(verb, name)
	r, err := c.Reply(wait)
	if err != nil {
		return r, err
	}
	c.Ext = Extensions{}
	if r.Positive() {
		c.Ext = parseExtensions(r.text)
		return r, nil
	}
	if lmtp || r.Code/100 != 5 || r.Code == 521 {
		return r, nil
	}
	c.line("HELO ", name)
	return c.Reply(wait)
}

// StartTLS says STARTTLS and, if the server agrees, shakes hands. A reply that
// is not positive leaves the connection as it was. ErrInjected, and any other
// error, leaves it useless. What the server offered before is forgotten (RFC
// 3207 section 4.2); Hello must follow.
func (c *Conn) StartTLS(cfg *tls.Config, reply, handshake time.Duration) (Reply, error) {
	c.line("STARTTLS", "")
	r, err := c.Reply(reply)
	if err != nil || !r.Positive() {
		return r, err
	}
	if c.in.buffered() {
		return r, ErrInjected
	}
	return r, c.Secure(cfg, handshake)
}

// HandshakeError says that TLS could not be agreed on.
type HandshakeError struct{ Err error }

// Error gives the cause.
func (e *HandshakeError) Error() string { return "TLS handshake: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *HandshakeError) Unwrap() error { return e.Err }

// Secure shakes hands at once, as implicit TLS wants it (RFC 8314 section 3.3).
// Its errors are *HandshakeError or Abort's.
func (c *Conn) Secure(cfg *tls.Config, wait time.Duration) error {
	if err := c.nc.SetDeadline(time.Now().Add(wait)); err != nil {
		return &HandshakeError{err}
	}
	if c.Abort != nil {
		if err := c.Abort(); err != nil {
			return err
		}
	}
	tc := tls.Client(c.nc, cfg)
	if err := tc.Handshake(); err != nil {
		return &HandshakeError{err}
	}
	if err := tc.SetDeadline(time.Time{}); err != nil {
		return &HandshakeError{err}
	}
	c.nc, c.secure, c.Ext, c.writeBy = tc, true, Extensions{}, time.Time{}
	return nil
}

// TLS gives the state of TLS, nil in plaintext.
func (c *Conn) TLS() *tls.ConnectionState {
	tc, ok := c.nc.(*tls.Conn)
	if !ok {
		return nil
	}
	s := tc.ConnectionState()
	return &s
}

// Quit says QUIT, waits for the answer at most so long, and closes. A
// connection should not be closed before (RFC 5321 section 4.1.1.10), but
// nothing hangs on the answer.
func (c *Conn) Quit(wait time.Duration) {
	c.out = append(c.out[:0], "QUIT\r\n"...)
	if c.nc.SetDeadline(time.Now().Add(wait)) == nil {
		if _, err := c.nc.Write(c.out); err == nil {
			c.Limit = time.Time{}
			_, _ = c.Late(wait)
		}
	}
	_ = c.nc.Close() // crypto/tls gives its farewell five seconds
	c.release()
}

// Close closes the connection without a word. TLS is not bid farewell either:
// its alert could block.
func (c *Conn) Close() {
	defer c.release()
	if tc, ok := c.nc.(*tls.Conn); ok {
		_ = tc.NetConn().Close()
		return
	}
	_ = c.nc.Close()
}
