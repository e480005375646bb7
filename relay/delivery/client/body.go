package client

import (
	"bytes"
	"net"
)

// bodyState is where a body stands that is being sent.
type bodyState struct {
	dots      bool // DATA: stuff dots
	lineStart bool // the last octet was an LF, or there was none
	cr        bool // the last octet was a CR
	whole     bool // the last two octets were CRLF, or there were none
}

// BeginBody starts a body: after a 354 with dots, after Bdat without.
func (c *Conn) BeginBody(dots bool) { c.body = bodyState{dots: dots, lineStart: true, whole: true} }

// Body sends octets of a body. They are canonical text, each line ended by
// CRLF; with dots a line's first dot is doubled (RFC 5321 section 4.5.2). It is
// an io.Writer through BodyWriter.
//
// Dots are looked for behind LF, not CRLF: the same in canonical text, and
// should a bare LF ever come this far, then no server that takes it for a
// line's end can be made to see the end of the message there.
func (c *Conn) Body(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if !c.body.dots {
		return c.collect(p)
	}
	if c.body.lineStart && p[0] == '.' {
		c.out = append(c.out, '.')
	}
	last := len(p) - 1
	c.body.lineStart = p[last] == '\n'
	c.body.whole = c.body.lineStart && (last > 0 && p[last-1] == '\r' || last == 0 && c.body.cr)
	c.body.cr = p[last] == '\r'
	for {
		i := bytes.Index(p, []byte("\n."))
		if i < 0 {
			return c.collect(p)
		}
		if err := c.collect(p[:i+1]); err != nil {
			return err
		}
		c.out = append(c.out, '.')
		p = p[i+1:]
	}
}

// EndBody ends a body that was begun with dots. It is not flushed: the next
// command may ride behind it.
func (c *Conn) EndBody() {
	if !c.body.dots {
		return
	}
	if !c.body.whole {
		c.out = append(c.out, '\r', '\n')
	}
	c.out = append(c.out, ".\r\n"...)
}

// BodyWriter makes Body an io.Writer.
type BodyWriter struct {
	*Conn
	N   int64 // octets taken
	Err error // of the connection, so that it can be told from the source's
}

// Write is Body.
func (w *BodyWriter) Write(p []byte) (int, error) {
	if err := w.Body(p); err != nil {
		w.Err = err
		return 0, err
	}
	w.N += int64(len(p))
	return len(p), nil
}

// collect appends p to what is to be written, and writes where that becomes
// too much. A large piece in plaintext goes out from where it lies.
func (c *Conn) collect(p []byte) error {
	for len(c.out)+len(p) > flushAt {
		if !c.secure && len(p) >= directAt {
			n := min(len(p), blockSize)
			if err := c.direct(p[:n]); err != nil {
				return err
			}
			p = p[n:]
			continue
		}
		n := max(0, flushAt-len(c.out))
		c.out = append(c.out, p[:n]...)
		p = p[n:]
		if err := c.Flush(); err != nil {
			return err
		}
	}
	c.out = append(c.out, p...)
	return nil
}

// direct writes what was collected and p behind it in one system call.
func (c *Conn) direct(p []byte) error {
	if err := c.armWrite(); err != nil {
		return err
	}
	var n int64
	var err error
	if len(c.out) == 0 {
		var m int
		m, err = c.nc.Write(p)
		n = int64(m)
	} else {
		both := net.Buffers{c.out, p}
		n, err = both.WriteTo(c.nc)
	}
	c.out = c.out[:0]
	c.wrote += n
	return err
}
