package front

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"tenma/relay/door"
)

// mode says what the next octets from the client are.
type mode uint8

const (
	commands mode = iota
	sasl          // a line of an AUTHENTICATE exchange
	idling        // the line that ends IDLE
)

// Conn is one connection as the library sees it. The goroutine of the library
// reads and writes, and in IDLE a second one writes; Session's methods are called
// in these.
type Conn struct {
	dc      *door.Conn
	cfg     *Config
	session Session
	began   time.Time
	done    chan struct{} // closed by Close

	// What comes in. Only the library's reading goroutine uses it.
	in       []byte // what is unread is in[r:w]
	r, w     int
	text     []byte    // the command that is being collected
	started  time.Time // of that command: when its first octet came
	got      int64     // octets of it
	shown    []byte    // what the library has still to read
	buf      []byte    // what shown is cut from
	cmd      *Command  // that is being answered
	message  *message  // of an APPEND, until it is through
	loggedIn bool
	octets   int64 // before the login
	count    int   // commands before the login
	bad      int   // see maxBad
	linger   bool  // the client may still be sending

	// What the library writes. Only its writing goroutine of the moment uses it.
	part     []byte // a line that is not whole yet
	through  bool   // the rest of a line passes as it is
	octetsTo int64  // so many octets of a literal follow
	midLine  bool   // the next octets go on with a line that had a literal
	spoiled  bool   // IDLE was ended by something else than DONE

	mu     sync.Mutex // guards what follows, and the writing to dc
	mode   mode
	out    []byte
	ended  error // why the conversation is over; nothing happens after it
	closed bool  // Close was called
}

// errOver is what a Writer gives when the conversation is over.
var errOver = fmt.Errorf("front: connection is over: %w", net.ErrClosed)

// errCut is what a reader of a message gets that does not come to its end. It is
// not io.EOF, which would be taken for that end.
var errCut = fmt.Errorf("front: connection ended inside a message: %w", errors.Join(io.ErrUnexpectedEOF, net.ErrClosed))

// Why conversations end, for the log.
var (
	errBye   = errors.New("session said BYE")
	errLimit = errors.New("limit of the conversation")
	errForm  = errors.New("client speaks no IMAP")
)

// New puts a front on a connection. The time for the login runs from now.
func New(dc *door.Conn, cfg *Config) *Conn {
	return &Conn{dc: dc, cfg: cfg, session: nobody{}, began: time.Now(), done: make(chan struct{})}
}

// Attach makes s the session of the connection. To be called in the library's
// NewSession.
func (c *Conn) Attach(s Session) { c.session = s }

// nobody is the session of a connection that none was attached to.
type nobody struct{}

func (nobody) Handle(*Writer, *Command) string             { return "NO no session" }
func (nobody) Rewrite(*Command) string                     { return "" }
func (nobody) Response(_ *Command, line []byte) []byte     { return line }
func (nobody) Capabilities(caps []string, _ bool) []string { return caps }
func (nobody) AppendLimit() int64                          { return 0 }

// Read gives the library the next command line, or a piece of what it must still
// read of it. At the end of the conversation it gives io.EOF between commands and
// an error that is io.ErrUnexpectedEOF within a message.
func (c *Conn) Read(p []byte) (int, error) {
	for len(c.shown) == 0 {
		if m := c.message; m != nil && m.accepted {
			if n, err := c.readMessage(p); n > 0 || err != nil {
				return n, err
			}
			continue
		}
		if !c.next() {
			return 0, io.EOF
		}
	}
	n := copy(p, c.shown)
	c.shown = c.shown[n:]
	return n, nil
}

// next reads from the client until there is something for the library. Exchanges
// that have begun are ended for it, so that it waits for no goroutine in vain.
func (c *Conn) next() bool {
	switch c.currentMode() {
	case idling:
		c.nextIdle()
		return true
	case sasl:
		c.nextSASL()
		return true
	}
	c.finish()
	for !c.isOver() && len(c.shown) == 0 {
		if c.bad > maxBad {
			c.end("too many bad commands", errLimit)
			break
		}
		if cmd := c.collect(); cmd != nil {
			c.dispatch(cmd)
		}
	}
	return len(c.shown) > 0
}

// finish is between two commands. It reads a message that the library did not
// want, which a client sends that did not wait for its leave.
func (c *Conn) finish() {
	if m := c.message; m != nil {
		c.message = nil
		if m.nonSync && !c.isOver() && c.swallow(m.left) {
			_, _ = c.line(nil, maxTail) // an error has ended it all
		}
	}
	c.cmd = nil
}

// nextSASL shows the client's next line of an AUTHENTICATE exchange.
func (c *Conn) nextSASL() {
	c.setMode(commands)
	line := []byte("*") // gives up (RFC 9051 section 6.2.2)
	c.begin(true)
	if l, err := c.line(c.text[:0], maxSASL); err == nil {
		line = l
	}
	c.show(line)
}

// nextIdle waits for the end of IDLE (RFC 9051 section 6.3.13).
func (c *Conn) nextIdle() {
	c.begin(false)
	line, err := c.line(c.text[:0], maxTail)
	c.spoiled = err == nil && !equal(line, "DONE")
	c.setMode(commands)
	c.show([]byte("DONE"))
}

// show makes text the next line that the library reads.
func (c *Conn) show(text []byte) {
	c.buf = append(append(c.buf[:0], text...), "\r\n"...)
	c.shown = c.buf
}

// Close sends what is left to say and closes the socket. The library calls it
// last of all.
func (c *Conn) Close() error {
	c.mu.Lock()
	closed := c.closed
	c.closed = true
	c.endLocked("", errOver)
	c.mu.Unlock()
	if closed {
		return nil
	}
	if c.linger {
		c.dc.Linger()
	}
	err := c.dc.Close()
	c.in, c.text, c.buf, c.part, c.r, c.w = nil, nil, nil, nil, 0, 0
	close(c.done)
	return err
}

// end says BYE with text, if there is one, and ends the conversation.
func (c *Conn) end(text string, why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(text, why)
}

func (c *Conn) endLocked(text string, why error) {
	if c.ended != nil {
		return
	}
	if text != "" {
		c.out = append(append(append(c.out, "* BYE "...), text...), "\r\n"...)
	}
	_ = c.flush(lastWord) // nobody is left to be told of an error
	if c.ended == nil {
		c.ended = why
	}
	c.out = nil
	c.cfg.log().Debug("IMAP conversation ends", "client", c.dc.Client(), "why", why)
}

// Bye says BYE with text, which may begin with a response code, and ends the
// connection; nothing written afterwards reaches the client. It may be called from
// any goroutine.
func (c *Conn) Bye(text string) {
	c.end(oneLine(text), errBye)
	c.dc.Interrupt()
}

func (c *Conn) isOver() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended != nil
}

func (c *Conn) currentMode() mode {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mode
}

func (c *Conn) setMode(m mode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mode = m
}

// LoggedIn reports that a LOGIN or AUTHENTICATE has succeeded.
func (c *Conn) LoggedIn() bool { return c.loggedIn }

// Client is who connects, also behind a proxy.
func (c *Conn) Client() netip.AddrPort { return c.dc.Client() }

// TLS is nil on plaintext.
func (c *Conn) TLS() *tls.ConnectionState { return c.dc.TLS() }

// RemoteAddr is the address of the client, also behind a proxy.
func (c *Conn) RemoteAddr() net.Addr { return c.dc.RemoteAddr() }

// LocalAddr is our address on the socket.
func (c *Conn) LocalAddr() net.Addr { return c.dc.LocalAddr() }

// SetDeadline does nothing: the front owns time.
func (c *Conn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing: the front owns time.
func (c *Conn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing: the front owns time.
func (c *Conn) SetWriteDeadline(time.Time) error { return nil }
