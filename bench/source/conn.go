package source

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Bounds of what a server may say.
const (
	maxLine  = 4096 // octets of a line of a reply
	maxLines = 200  // lines of one reply
)

// copyLimit is how much is gathered in one buffer to be written at once; more
// is written from where it lies, by writev. Copying 4 KiB costs less than a
// second element of writev does.
const copyLimit = 16 << 10

// conn is a connection to the server: gathered writes, and replies read
// without allocation. Only expire may be called from another goroutine.
type conn struct {
	net.Conn
	timeout time.Duration

	mu       sync.Mutex
	deadline time.Time
	ending   bool // the deadline is final

	in         [maxLine]byte
	begin, end int // what is read and not taken

	out   []byte
	parts net.Buffers // what is to be written before out[mark:]
	mark  int

	got int64 // octets read
}

func newConn(c net.Conn, timeout time.Duration) *conn {
	return &conn{Conn: c, timeout: timeout, out: make([]byte, 0, 2048)}
}

// small gathers what is copied.
func (c *conn) small(s string) { c.out = append(c.out, s...) }

// large gathers b, which must not change until flush.
func (c *conn) large(b []byte) {
	if len(b) == 0 {
		return
	}
	if len(c.out)+len(b) <= copyLimit {
		c.out = append(c.out, b...)
		return
	}
	if c.mark < len(c.out) {
		c.parts = append(c.parts, c.out[c.mark:len(c.out):len(c.out)])
	}
	c.mark = len(c.out)
	c.parts = append(c.parts, b)
}

// flush writes what was gathered.
func (c *conn) flush(now time.Time) error {
	if len(c.out) == 0 && len(c.parts) == 0 {
		return nil
	}
	c.extend(now)
	var err error
	if len(c.parts) == 0 {
		_, err = c.Conn.Write(c.out)
	} else {
		if c.mark < len(c.out) {
			c.parts = append(c.parts, c.out[c.mark:])
		}
		all := c.parts
		_, err = c.parts.WriteTo(c.Conn) // takes away what it wrote
		clear(all)
		c.parts = all[:0]
	}
	c.out, c.mark = c.out[:0], 0
	return err
}

// extend sees to it that the server has its time to answer. Deadlines cost a
// timer each, so one serves for many messages: a server has at least timeout,
// and at most twice that.
func (c *conn) extend(now time.Time) {
	if c.deadline.Sub(now) >= c.timeout {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ending {
		c.deadline = now.Add(2 * c.timeout)
		c.Conn.SetDeadline(c.deadline)
	}
}

// expire ends the connection after d at the latest.
func (c *conn) expire(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ending = true
	c.Conn.SetDeadline(time.Now().Add(d))
}

var (
	errLongLine  = errors.New("the server's reply has a line of more than 4,096 octets")
	errLongReply = errors.New("the server's reply has more than 200 lines")
)

// line gives the next line of a reply without its end, valid until the next
// call.
func (c *conn) line() ([]byte, error) {
	for {
		if i := bytes.IndexByte(c.in[c.begin:c.end], '\n'); i >= 0 {
			l := c.in[c.begin : c.begin+i]
			c.begin += i + 1
			if len(l) > 0 && l[len(l)-1] == '\r' {
				l = l[:len(l)-1]
			}
			return l, nil
		}
		if c.begin > 0 {
			c.end = copy(c.in[:], c.in[c.begin:c.end])
			c.begin = 0
		}
		if c.end == len(c.in) {
			return nil, errLongLine
		}
		n, err := c.Conn.Read(c.in[c.end:])
		c.end += n
		c.got += int64(n)
		if n == 0 && err != nil {
			return nil, err
		}
	}
}

// reply reads one reply (RFC 5321 section 4.2). The last line is valid until
// the next read. each, if there is one, is given every line's text.
func (c *conn) reply(each func(text []byte)) (code int, last []byte, err error) {
	for range maxLines {
		l, err := c.line()
		if err != nil {
			return 0, nil, err
		}
		code, more, ok := parseReply(l)
		if !ok {
			return 0, nil, fmt.Errorf("the server said %q, which is no reply", cutText(l))
		}
		if each != nil && len(l) > 4 {
			each(l[4:])
		}
		if !more {
			return code, l, nil
		}
	}
	return 0, nil, errLongReply
}

// parseReply reads a line of a reply: three digits, then a space, a hyphen
// when more lines follow, or nothing.
func parseReply(l []byte) (code int, more, ok bool) {
	if len(l) < 3 || l[0] < '2' || l[0] > '5' || len(l) > 3 && l[3] != ' ' && l[3] != '-' {
		return 0, false, false
	}
	for _, d := range l[:3] {
		if d < '0' || d > '9' {
			return 0, false, false
		}
		code = code*10 + int(d-'0')
	}
	return code, len(l) > 3 && l[3] == '-', true
}

// cutText is what an error quotes of a server's words.
func cutText(b []byte) string {
	if len(b) > 200 {
		return string(b[:200]) + "..."
	}
	return string(b)
}
