package pop3

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"sync"
	"time"

	"tenma/relay/door"
)

// Longest lines, CRLF included. RFC 2449 section 4 asks for 255; a password is
// the one argument that may be longer, 1,024 octets here. The responses of an AUTH exchange have a
// bound of their own (RFC 5034 section 4): 12,288, as SMTP has for the same
// mechanisms (RFC 4954 section 4).
const (
	maxCommand = 1100
	maxSASL    = 12288
)

// smallBuffer holds the commands that a client sends at a time.
const smallBuffer = 512

// outBuffer is how much is collected before it is sent: four full TLS records.
const outBuffer = 64 << 10

// A client must take so much in such a time: 270 octets a second, less than
// any line has had since modems.
const (
	pieceSize = 16 << 10
	pieceTime = time.Minute
)

var errLong = errors.New("line too long")

// conn reads lines from a socket and collects replies, which it sends when the
// client must be waiting for them. One goroutine, the session's, uses it.
type conn struct {
	sock    socket
	buffers *sync.Pool // of *[]byte, outBuffer large

	in     []byte
	r, w   int // what is unread is in[r:w]
	out    []byte
	big    *[]byte // from buffers, while out is in it
	broken error   // of sending
}

func newConn(sock socket, buffers *sync.Pool) *conn {
	return &conn{sock: sock, buffers: buffers, in: make([]byte, smallBuffer)}
}

// line gives the next line without its end, valid until the next call. A drain
// interrupts the waiting. A line ends with CRLF; a bare LF is taken too, since no
// octets from here ever become a message.
func (c *conn) line(limit int, until time.Time) ([]byte, error) {
	select {
	case <-c.sock.Draining():
		return nil, door.ErrDraining
	default:
	}
	scanned := 0
	for {
		unread := c.in[c.r:c.w]
		most := max(limit, lineLimit(unread))
		if i := bytes.IndexByte(unread[scanned:], '\n'); i >= 0 {
			i += scanned
			if i >= most {
				return nil, errLong
			}
			c.r += i + 1
			return bytes.TrimSuffix(unread[:i], []byte{'\r'}), nil
		}
		if scanned = len(unread); scanned >= most {
			return nil, errLong
		}
		if err := c.fill(until); err != nil {
			return nil, err
		}
	}
}

// lineLimit is how long a line that begins like this may be: an initial response
// is as long as others.
func lineLimit(line []byte) int {
	if len(line) >= 4 && bytes.EqualFold(line[:4], []byte("AUTH")) {
		return maxSASL
	}
	return maxCommand
}

// peek is what the client has sent and nobody has read.
func (c *conn) peek() []byte { return c.in[c.r:c.w] }

// fill reads more, having sent what the client may be waiting for.
func (c *conn) fill(until time.Time) error {
	if err := c.flush(); err != nil {
		return err
	}
	c.giveBack()
	c.makeRoom()
	n, err := c.sock.Await(c.in[c.w:], until)
	c.w += n
	if n > 0 {
		return nil // an error will come again
	}
	return cmp.Or(err, io.ErrNoProgress)
}

// makeRoom makes in have space after w. It grows for the line of an AUTH
// exchange, and is small again after it.
func (c *conn) makeRoom() {
	switch {
	case c.r == c.w:
		c.r, c.w = 0, 0
		if len(c.in) > smallBuffer {
			c.in = make([]byte, smallBuffer)
		}
	case c.r > 0:
		c.w = copy(c.in, c.in[c.r:c.w])
		c.r = 0
	}
	if c.w == len(c.in) {
		c.in = append(c.in, make([]byte, len(c.in))...)
	}
}

// write adds to what is to be sent, and sends when there is much of it.
func (c *conn) write(p []byte) error {
	for len(c.out)+len(p) > outBuffer {
		n := outBuffer - len(c.out)
		c.out = append(c.out, p[:n]...)
		p = p[n:]
		if err := c.flush(); err != nil {
			return err
		}
	}
	c.out = append(c.out, p...)
	return nil
}

// reply is write for who goes on whatever becomes of it: fill tells that sending
// failed.
func (c *conn) reply(p []byte) { _ = c.write(p) }

// enlarge makes write collect in a large buffer, until the client is waited for.
func (c *conn) enlarge() {
	if c.big == nil {
		c.big, _ = c.buffers.Get().(*[]byte)
		c.out = append((*c.big)[:0], c.out...)
	}
}

func (c *conn) giveBack() {
	if c.big != nil {
		c.buffers.Put(c.big)
		c.big = nil
	}
	if cap(c.out) > maxCommand {
		c.out = nil
	}
}

// flush sends what was collected. After an error there is no second try: some of
// it is sent.
func (c *conn) flush() error {
	if c.broken != nil {
		return c.broken
	}
	for sent := 0; sent < len(c.out); {
		piece := c.out[sent:min(sent+pieceSize, len(c.out))]
		err := c.sock.SetWriteDeadline(time.Now().Add(pieceTime))
		if err == nil {
			_, err = c.sock.Write(piece)
		}
		if err != nil {
			c.broken = err
			return err
		}
		sent += len(piece)
	}
	c.out = c.out[:0]
	return nil
}
