package front

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"tenma/relay/door"
)

// Sizes of a connection's read buffer. A small one holds the commands of a
// transaction and a short message; a body that fills it gets a large one for
// its time, four full TLS records.
const (
	smallBuffer = 8 << 10
	largeBuffer = 64 << 10
)

// Longest lines, CRLF included. 512 is the base of RFC 5321 section 4.5.3.1.4;
// DSN adds up to 600 to RCPT (RFC 3461 section 4), and 12,288 is what RFC 4954
// section 4 wants for AUTH.
const (
	maxCommand = 4096
	maxSASL    = 12288
)

// lastWord bounds the sending of a last reply. It fits into any socket's buffer;
// who has no room for it does not read.
const lastWord = 10 * time.Second

// mode says what the next octets from the client are.
type mode uint8

const (
	commands mode = iota // a command line
	sasl                 // a line of an AUTH exchange, after 334
	content              // of a message, after 354
)

// Conn is one connection as go-smtp sees it: Read gives whole command lines,
// Write takes replies. One goroutine, go-smtp's, uses it, but for drain and
// abort.
type Conn struct {
	l       *Listener
	set     *Settings
	nc      net.Conn // the socket, or the TLS layer above it
	tls     *tls.ConnectionState
	remote  net.Addr
	client  netip.AddrPort // of remote; the one a PROXY header told
	proxied bool           // a PROXY header must come first
	told    bool           // and it named the client
	counted bool           // in Listener.clients
	vouched bool
	begun   bool

	in    []byte  // small, or large
	r, w  int     // what is unread is in[r:w]
	small []byte  // for commands
	large *[]byte // from the pool, while a body needs it
	again []byte  // a line to be read once more
	out   []byte  // replies that the client need not see yet
	part  []byte  // a reply line that is not whole yet
	shown []byte  // what go-smtp has still to read of the line it is shown
	text  []byte  // the command, without line end
	buf   []byte  // what shown is cut from

	mode  mode
	verb  string // of the command that is being answered; "." for content
	kind  string // of the last RCPT: ORcptType
	hello bool   // an EHLO is wanted first: TLS has just begun
	basic bool   // the client said HELO, not EHLO
	mail  bool   // MAIL was accepted
	rcpts int    // RCPTs accepted
	body  *Body  // of the current transaction, from DATA or the first BDAT on
	mute  bool   // go-smtp's next reply is not for the client
	count int    // commands since the last message
	bad   int    // refused commands
	over  int    // RCPTs refused for now and not counted

	ended   error     // why the conversation is over; nothing happens after it
	done    bool      // Close was called
	writeBy time.Time // the deadline that the socket has

	mu       sync.Mutex // guards what follows
	waiting  bool       // for a command, with nothing in hand
	draining bool
	aborted  bool
	readBy   time.Time // the deadline that the socket has
	raw      net.Conn  // the socket
}

func newConn(l *Listener, nc net.Conn) *Conn {
	return &Conn{l: l, set: l.settings.Load(), nc: nc, raw: nc, remote: nc.RemoteAddr(), client: door.AddrPort(nc.RemoteAddr())}
}

// Read gives go-smtp the next command line, or a piece of it if p is short.
// Its only error is io.EOF: whatever ended the conversation, the front has said
// what there is to say.
func (c *Conn) Read(p []byte) (int, error) {
	for len(c.shown) == 0 {
		if err := c.next(); err != nil {
			return 0, io.EOF
		}
	}
	n := copy(p, c.shown)
	c.shown = c.shown[n:]
	return n, nil
}

// next reads from the client until there is something for go-smtp.
func (c *Conn) next() error {
	if c.ended != nil {
		return c.ended
	}
	if !c.begun {
		c.begun = true
		return c.begin()
	}
	switch c.mode {
	case content:
		c.contentTaken()
	case sasl:
		if line, err := c.line(maxSASL); err == nil {
			c.mode = commands
			c.show(line)
		}
	default:
		if line, err := c.line(0); err == nil {
			c.command(line)
		}
	}
	return c.ended
}

// begin does what comes before the banner reaches the client: the PROXY header,
// the limits of the client behind it, and implicit TLS.
func (c *Conn) begin() error {
	c.small = make([]byte, smallBuffer)
	c.in = c.small
	if c.proxied {
		if err := c.readProxy(); err != nil {
			c.l.cfg.Metrics.ConnectionsRefused.WithLabelValues(c.l.cfg.Name, "proxy").Inc()
			c.out = c.out[:0] // the banner
			return c.fail(err)
		}
		if reason := c.l.admitClient(c); reason != "" {
			c.l.cfg.Metrics.ConnectionsRefused.WithLabelValues(c.l.cfg.Name, reason).Inc()
			c.out = c.out[:0] // the banner
			if c.l.cfg.Implicit {
				return c.fail(errRefused)
			}
			return c.end(refusal(c.l.cfg.Hostname, reason), errRefused)
		}
	}
	// A proxy that does not say for whom it speaks (UNKNOWN, LOCAL) must not
	// lend its own right to relay to whoever that is.
	c.vouched = c.proxied == c.told && door.Contains(c.set.Vouched, c.client.Addr())
	if c.l.cfg.Implicit {
		return c.handshake()
	}
	return nil
}

// show makes text the next thing that go-smtp reads.
func (c *Conn) show(text []byte) {
	c.buf = append(append(c.buf[:0], text...), crlf...)
	c.shown = c.buf
}

// line reads a line and gives it without its end, valid until the next read.
// limit 0 stands for that of a command. Its errors end the conversation.
func (c *Conn) line(limit int) ([]byte, error) {
	if l := c.again; l != nil {
		c.again = nil
		return l, nil
	}
	var deadline time.Time
	scanned := 0
	for {
		unread := c.in[c.r:c.w]
		if c.mode != content && c.isDraining() {
			return nil, c.end("421 4.3.2 "+c.l.cfg.Hostname+" shutting down\r\n", errDrained)
		}
		if i := bytes.IndexByte(unread[scanned:], '\n'); i >= 0 {
			i += scanned
			c.r += i + 1
			return c.cutLine(unread[:i], limit)
		}
		scanned = len(unread)
		if scanned > max(limit, lineLimit(unread)) {
			return nil, c.end("500 5.5.2 line too long\r\n", errLine)
		}
		if deadline.IsZero() { // one for the whole line, however slowly it comes
			deadline = time.Now().Add(c.idle())
		}
		if err := c.fill(deadline, c.mode != content); err != nil {
			if isTimeout(err) {
				return nil, c.end("421 4.4.2 "+c.l.cfg.Hostname+" timeout\r\n", err)
			}
			return nil, c.fail(err)
		}
	}
}

// cutLine takes the end off a line that was found before its LF.
func (c *Conn) cutLine(line []byte, limit int) ([]byte, error) {
	if len(line) > max(limit, lineLimit(line)) {
		return nil, c.end("500 5.5.2 line too long\r\n", errLine)
	}
	text, ok := bytes.CutSuffix(line, []byte{'\r'})
	if !ok && !c.mendsLF() {
		// Two servers that disagree about line ends disagree about
		// commands; there is no way on from here.
		return nil, c.end("500 5.5.2 bare LF; lines end with CRLF\r\n", errLine)
	}
	return text, nil
}

func lineLimit(line []byte) int {
	if len(line) >= 4 && bytes.EqualFold(line[:4], []byte("AUTH")) {
		return maxSASL
	}
	return maxCommand
}

// fill reads more from the client, having sent what it may be waiting for.
// idle says that a drain may interrupt it.
func (c *Conn) fill(deadline time.Time, idle bool) error {
	if err := c.flush(); err != nil {
		return err
	}
	c.makeRoom()
	c.mu.Lock()
	c.waiting = idle
	if idle && c.draining {
		deadline = longAgo
	}
	var err error
	if !near(c.readBy, deadline) {
		c.readBy = late(deadline)
		err = c.raw.SetReadDeadline(c.readBy)
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	n, err := c.nc.Read(c.in[c.w:])
	c.mu.Lock()
	c.waiting = false
	c.mu.Unlock()
	c.w += n
	switch {
	case n > 0:
		return nil // an error will come again
	case err == nil:
		return io.ErrNoProgress
	case idle && c.isDraining():
		return nil // the caller looks
	}
	return err
}

// makeRoom makes in have space after w.
func (c *Conn) makeRoom() {
	switch {
	case c.r == c.w:
		c.r, c.w = 0, 0
		if c.large != nil && c.mode == commands {
			c.l.buffers.Put(c.large)
			c.large, c.in = nil, c.small
		}
	case c.w == len(c.in) && c.r > 0:
		c.w = copy(c.in, c.in[c.r:c.w])
		c.r = 0
	}
	if c.w == len(c.in) {
		c.enlarge()
	}
}

// enlarge changes to a large buffer.
func (c *Conn) enlarge() {
	if c.large != nil {
		return // a line of command is never that long
	}
	large, _ := c.l.buffers.Get().(*[]byte)
	c.w = copy(*large, c.in[c.r:c.w])
	c.r, c.in, c.large = 0, *large, large
}

// flush sends the collected replies.
func (c *Conn) flush() error {
	// A client that does not read its replies is as idle as one that sends
	// no commands.
	return c.flushWithin(c.set.Idle)
}

func (c *Conn) flushWithin(d time.Duration) error {
	if len(c.out) == 0 {
		return nil
	}
	if by := time.Now().Add(d); !near(c.writeBy, by) {
		c.writeBy = late(by)
		if err := c.raw.SetWriteDeadline(c.writeBy); err != nil {
			return err
		}
	}
	_, err := c.nc.Write(c.out)
	c.out = c.out[:0]
	return err
}

// end says reply, complete with CRLF, and ends the conversation.
func (c *Conn) end(reply string, why error) error {
	if c.ended == nil {
		c.out = append(c.out, reply...)
		c.ended = why
	}
	return c.ended
}

// fail ends the conversation without a word.
func (c *Conn) fail(why error) error { return c.end("", why) }

// Close sends what is left to say and closes the socket.
func (c *Conn) Close() error {
	if c.done {
		return nil
	}
	c.done = true
	_ = c.fail(net.ErrClosed)
	if !c.begun { // go-smtp gave up before the banner was sent
		c.out = nil
	}
	_ = c.flushWithin(min(lastWord, c.set.Idle)) // nobody is left to be told of an error
	err := c.nc.Close()
	if c.large != nil {
		c.l.buffers.Put(c.large)
	}
	c.in, c.small, c.large, c.r, c.w = nil, nil, nil, 0, 0
	c.l.forget(c)
	return err
}

// drain makes the conversation end before its next command.
func (c *Conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	if c.waiting {
		c.readBy = longAgo
		_ = c.raw.SetReadDeadline(longAgo) // fails only on a closed socket
	}
}

// abort closes the socket under the conversation.
func (c *Conn) abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.aborted = true
	_ = c.raw.Close() // whoever uses it finds out
}

func (c *Conn) isDraining() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.draining
}

// slack is how late a deadline may be. Each is set that much later than asked
// for, so that the next ones, a moment further on, need not be set at all:
// moving two timers for each command cost 2 % of all CPU time.
const slack = time.Second

func late(t time.Time) time.Time {
	if t.Equal(longAgo) {
		return t
	}
	return t.Add(slack)
}

// near reports that the deadline which is set will do for t.
func near(set, t time.Time) bool {
	d := set.Sub(t)
	return 0 <= d && d <= slack
}

func (c *Conn) idle() time.Duration {
	if c.set.IdleUnderLoad < c.set.Idle && c.l.underLoad(c.set.Connections) {
		return c.set.IdleUnderLoad
	}
	return c.set.Idle
}

func (c *Conn) mendsLF() bool {
	return c.set.BareLF == LFAnybody || c.set.BareLF == LFVouched && c.vouched
}

var (
	longAgo = time.Unix(1, 0)

	errDrained = errors.New("server is shutting down")
	errLine    = errors.New("bad line")
	errTold    = errors.New("a 421 was sent")
	errLimit   = errors.New("limit of the conversation")
	errForeign = errors.New("client speaks no SMTP")
)

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// Command is the line that is being answered, as the client sent it, without
// its end. It is for Session.Mail and Rcpt, which read paths more exactly than
// go-smtp does.
func (c *Conn) Command() string { return string(c.text) }

// ORcptType is the address type of ORCPT in the RCPT that is being answered, where
// it is one that go-smtp does not know and was shown as rfc822; else "". It is an
// atom of at most 40 octets. It is for Session.Rcpt.
func (c *Conn) ORcptType() string { return c.kind }

// Client is the address of the client, also behind a proxy; the zero value if
// it has none.
func (c *Conn) Client() netip.AddrPort { return c.client }

// TLS is the state of the TLS layer, nil if there is none.
func (c *Conn) TLS() *tls.ConnectionState { return c.tls }

// Limits are those of this connection.
func (c *Conn) Limits() *Limits { return &c.set.Limits }

// Basic reports that the client greeted with HELO and knows no extensions.
func (c *Conn) Basic() bool { return c.basic }

// Vouched reports that the client may relay: by its network, or because Vouch
// was called.
func (c *Conn) Vouched() bool { return c.vouched }

// Vouch says that the client has authenticated.
func (c *Conn) Vouch() { c.vouched = true }

// RemoteAddr is the address of the client, also behind a proxy.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// LocalAddr is our address on the socket.
func (c *Conn) LocalAddr() net.Addr { return c.raw.LocalAddr() }

// SetDeadline does nothing: the front owns time.
func (c *Conn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing: the front owns time.
func (c *Conn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing: the front owns time.
func (c *Conn) SetWriteDeadline(time.Time) error { return nil }
