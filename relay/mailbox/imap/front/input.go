package front

import (
	"bytes"
	"errors"
	"net"
	"time"

	"tenma/relay/door"
)

// errTooLong is of a line without an end.
var errTooLong = errors.New("front: line too long")

// begin is before the first octet of a command, or of a line within an exchange
// (within): from then on its time runs.
func (c *Conn) begin(within bool) {
	c.started, c.got = time.Time{}, 0
	if within {
		c.started = time.Now()
	}
}

// line appends the client's next line to dst, without its end. CRLF ends it, and
// LF, as the library has it. The errors end the conversation.
func (c *Conn) line(dst []byte, limit int) ([]byte, error) {
	for {
		unread := c.in[c.r:c.w]
		i := bytes.IndexByte(unread, '\n')
		if i >= 0 {
			unread = unread[:i+1]
		}
		dst = append(dst, unread...)
		c.r += len(unread)
		if len(dst) > limit+2 || i < 0 && len(dst) > limit+1 {
			c.linger = true
			c.end("[TOOBIG] line too long", errTooLong)
			return dst, errTooLong
		}
		if i >= 0 {
			dst = dst[:len(dst)-1]
			return bytes.TrimSuffix(dst, []byte{'\r'}), nil
		}
		if err := c.fill(); err != nil {
			return dst, err
		}
	}
}

// octetsInto appends n octets to dst, in quoted form. It gives false if there was
// a NUL among them (RFC 9051 section 9: CHAR8), and reads them all the same.
func (c *Conn) octetsInto(dst []byte, n int64) (_ []byte, ok bool, err error) {
	ok = true
	for n > 0 {
		if c.r == c.w {
			if err := c.fill(); err != nil {
				return dst, false, err
			}
		}
		p := c.in[c.r:min(int64(c.w), int64(c.r)+n)]
		ok = ok && bytes.IndexByte(p, 0) < 0
		dst = appendQuoted(dst, p)
		c.r += len(p)
		n -= int64(len(p))
	}
	return dst, ok, nil
}

// swallow reads n octets for nobody. It gives false if that is too much, or the
// client is gone; the conversation is over then.
func (c *Conn) swallow(n int64) bool {
	for n > 0 {
		if c.r == c.w && c.fill() != nil {
			return false
		}
		took := int(min(int64(c.w-c.r), n))
		c.r += took
		n -= int64(took)
	}
	return true
}

// fill reads more from the client, having sent what it may be waiting for. Its
// errors have ended the conversation.
func (c *Conn) fill() error {
	if c.r == c.w {
		c.r, c.w = 0, 0
	}
	if c.in == nil {
		c.in = make([]byte, readBuffer)
	}
	n, err := c.receive(c.in[c.w:])
	c.w += n
	return err
}

// receive is fill into p.
func (c *Conn) receive(p []byte) (int, error) {
	c.mu.Lock()
	err := c.ended
	if err == nil {
		err = c.flush(writeTime)
	}
	c.giveBack()
	c.mu.Unlock()
	if err != nil {
		return 0, err
	}
	var n int
	if m := c.message; m != nil && m.accepted {
		// A message is taken to its end, drain or not.
		if err = c.dc.SetReadDeadline(c.deadline()); err == nil {
			n, err = c.dc.Read(p)
		}
	} else {
		n, err = c.dc.Await(p, c.deadline())
	}
	if n > 0 {
		return n, c.received(p[:n])
	}
	if err == nil {
		err = errForm // a reader that gives nothing, for ever
	}
	c.readFailed(err)
	return 0, err
}

// received counts what has come.
func (c *Conn) received(p []byte) error {
	if c.started.IsZero() {
		c.started = time.Now()
	}
	c.got += int64(len(p))
	if c.loggedIn {
		return nil
	}
	if c.octets == 0 && c.dc.TLS() == nil && door.LooksLikeTLS(p) {
		c.dc.WrongTLS()
		c.end("", errForm)
		return errForm
	}
	if c.octets += int64(len(p)); c.octets > strangersOctets {
		c.linger = true
		c.end("[TOOBIG] too much before the login", errLimit)
		return errLimit
	}
	return nil
}

// readFailed ends the conversation with what there is to say about err.
func (c *Conn) readFailed(err error) {
	var ne net.Error
	switch {
	case errors.Is(err, door.ErrDraining):
		c.end("server is shutting down", err)
	case errors.As(err, &ne) && ne.Timeout() && !c.loggedIn:
		c.end("login took too long", err)
	case errors.As(err, &ne) && ne.Timeout() && c.started.IsZero():
		c.end("idle for too long", err)
	case errors.As(err, &ne) && ne.Timeout():
		c.end("command came too slowly", err)
	default:
		c.end("", err)
	}
}

// deadline is how long the client may keep us waiting now.
func (c *Conn) deadline() time.Time {
	now := time.Now()
	d := now.Add(c.cfg.maxIdle())
	if !c.started.IsZero() {
		d = now.Add(maxStall)
		if slow := c.started.Add(commandGrace + time.Duration(c.got)*time.Second/minRate); slow.Before(d) {
			d = slow
		}
	}
	if login := c.began.Add(c.cfg.loginTime()); !c.loggedIn && login.Before(d) {
		return login
	}
	return d
}

// giveBack frees what one long command or answer needed, now that we wait.
func (c *Conn) giveBack() {
	if len(c.out) == 0 && cap(c.out) > keepBuffer {
		c.out = nil
	}
	if c.started.IsZero() && c.message == nil {
		if cap(c.text) > keepBuffer {
			c.text = nil
		}
		if cap(c.buf) > keepBuffer {
			c.buf = nil
		}
	}
}

func equal(line []byte, word string) bool { return bytes.EqualFold(line, []byte(word)) }
