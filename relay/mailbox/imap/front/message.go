package front

import (
	"bytes"
	"strconv"
)

// message is the literal of an APPEND, which streams through the front. Its last
// octet is held back until the rest of the command has come and is right, so that
// nothing is stored of a command that was cut off or malformed: the library reads
// that rest only after the session has stored the message.
type message struct {
	left     int64 // octets that the library has not read
	nonSync  bool  // the client does not wait
	wrapped  bool  // in UTF8 (~{n} ... ) of RFC 6855 section 4
	accepted bool  // the library wants it
	lost     bool  // it will not come to its end
}

// readMessage gives the library the next piece of the message. With the last octet
// it puts the end of the command into Conn.shown.
func (c *Conn) readMessage(p []byte) (int, error) {
	m := c.message
	if m.lost || c.isOver() {
		m.lost = true
		return 0, errCut
	}
	if m.left <= 1 {
		return 0, c.endMessage(m)
	}
	want := int(min(int64(len(p)), m.left-1))
	if c.r < c.w {
		n := copy(p[:want], c.in[c.r:c.w])
		c.r += n
		m.left -= int64(n)
		return n, nil
	}
	n, err := c.receive(p[:want])
	m.left -= int64(n)
	if err != nil {
		m.lost = true
		return 0, errCut
	}
	return n, nil
}

func (c *Conn) endMessage(m *message) error {
	m.lost = true
	if c.w-c.r <= int(m.left) {
		c.dc.AckNow() // else a client may wait for that before it sends the end of the line
	}
	for c.r == c.w && m.left == 1 {
		if c.fill() != nil {
			return errCut
		}
	}
	last := append([]byte(nil), c.in[c.r:c.r+int(m.left)]...)
	c.r += int(m.left)
	rest, err := c.line(c.text[:0], maxTail)
	if err != nil {
		return errCut
	}
	c.text = rest
	tail := bytes.TrimRight(rest, " ")
	if m.wrapped != equal(tail, ")") || !m.wrapped && len(tail) > 0 {
		// Perhaps a second message (RFC 3502), which nobody offered. The library
		// cannot be told but by an error, after which it is of no more use.
		c.reply(c.cmd.Tag, "BAD nothing may follow the message")
		c.linger = true
		c.end("APPEND is malformed", errForm)
		return errCut
	}
	c.message = nil
	c.show(append(last, tail...))
	return nil
}

// announce gives the library the size of the message. It is always told of a
// client that waits: its "+" is its leave.
func (m *message) announce(line []byte) []byte {
	line = strconv.AppendInt(append(line, '{'), m.left, 10)
	return append(line, '}')
}
