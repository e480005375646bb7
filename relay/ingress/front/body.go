package front

import (
	"errors"
	"io"
	"time"

	"tenma/relay/wire/smtp"
)

// Body is the content of one message, to be taken from the connection while it
// arrives. It is an io.WriterTo, to be used once, by the goroutine that called
// Conn.Body and before that returns to go-smtp.
type Body struct {
	c     *Conn
	lines lines

	// BDAT (RFC 3030): left octets of a chunk are still to come, last says
	// that no chunk follows it.
	bdat bool
	left int64
	last bool

	size   int64 // octets emitted
	raw    int64 // octets taken from the connection
	waited time.Duration
	err    error // sticky
	done   bool  // the end of the content was seen
	used   bool
}

// Errors of a Body that is not whole.
var (
	errCut     = errors.New("connection lost inside a message")
	errAborted = errors.New("message given up by the client")
	errUsed    = errors.New("front: body used twice")
	errSlow    = errors.New("message comes too slowly")
)

func newBody(c *Conn) *Body {
	return &Body{c: c, lines: lines{dots: true, mendLF: c.mendsLF(), maxLine: c.set.LineLength}}
}

// Body gives the content of the message whose DATA go-smtp is running, nil at
// any other time.
func (c *Conn) Body() *Body {
	if c.mode != content {
		return nil
	}
	return c.body
}

// Whole reports that WriteTo has written all of it. Without that nothing may
// be taken for a message, whatever else went well.
func (b *Body) Whole() bool { return b.done && b.err == nil }

// Err is what kept the body from being whole, if anything did.
func (b *Body) Err() error { return b.err }

// Size is how many octets WriteTo has written.
func (b *Body) Size() int64 { return b.size }

// LongestLine is how many octets the longest line that WriteTo has written has,
// without its end.
func (b *Body) LongestLine() int { return b.lines.longest }

// Cut reports that the client gave the message up or went away, so that no
// reply reaches it.
func (b *Body) Cut() bool {
	return b.err != nil && (errors.Is(b.err, errCut) || errors.Is(b.err, errAborted))
}

// WriteTo takes the content from the connection and writes it to w in canonical
// form: CRLF line ends, no bare CR or LF, dots unstuffed. The slices that w
// gets are its own only during the call. An error that the client is to hear is
// an *smtp.Error; after any error what was written is not a message.
func (b *Body) WriteTo(w io.Writer) (int64, error) {
	if b.used {
		return 0, errUsed
	}
	b.used = true
	emit := func(p []byte) error {
		if b.size += int64(len(p)); b.size > b.c.set.MessageSize {
			return refuseSize()
		}
		_, err := w.Write(p)
		return err
	}
	if b.err == nil {
		b.err = b.take(emit)
	}
	if b.err == nil {
		// The replies to commands that came with the body do not wait for
		// the disk.
		_ = b.c.flush() // a lost connection shows at the next read
	}
	return b.size, b.err
}

func refuseSize() error {
	return smtp.Errorf(552, smtp.Status{5, 3, 4}, "message too large") // RFC 1870 section 6.2
}

// take runs the content through lines until its end.
func (b *Body) take(emit func([]byte) error) error {
	c := b.c
	for {
		p := b.ready()
		n, end, err := b.lines.step(p, emit)
		c.r += n
		b.raw += int64(n)
		b.left -= int64(n)
		b.done = end
		switch {
		case err != nil:
			return err
		case end:
			return nil
		case !b.bdat || int64(len(p)-n) < b.left:
			if err := b.wait(); err != nil {
				return err
			}
			continue
		}
		// All of the chunk is here, and done but for a CR at its end.
		if b.left > 0 {
			c.r++
			b.raw++
			b.left = 0
			b.lines.hold()
		}
		if b.last {
			b.done = true
			return b.lines.finish(emit)
		}
		if err := b.nextChunk(); err != nil {
			return err
		}
	}
}

// ready is what has arrived of the content.
func (b *Body) ready() []byte {
	p := b.c.in[b.c.r:b.c.w]
	if b.bdat && int64(len(p)) > b.left {
		p = p[:b.left]
	}
	return p
}

// budget is how much longer the client may let us wait: for something Idle, for
// all Body, and after a grace of Idle it has to keep up BodyRate. Time that our
// own disk takes is not the client's.
func (b *Body) budget() time.Duration {
	idle, set := b.c.idle(), b.c.set
	return min(idle, set.Body-b.waited, idle-b.waited+time.Duration(b.raw/int64(set.BodyRate))*time.Second)
}

// wait reads more from the connection, for as long as the client is fast enough.
func (b *Body) wait() error {
	c := b.c
	budget := b.budget()
	if c.w == len(c.in) {
		c.enlarge()
	}
	before := time.Now()
	err := c.fill(before.Add(budget), false)
	b.waited += time.Since(before)
	if err == nil {
		return nil
	}
	if isTimeout(err) && !b.bdat {
		return b.cut(c.end("421 4.4.2 "+c.l.cfg.Hostname+" timeout\r\n", err))
	}
	return b.cut(c.fail(err)) // a cut chunk gets no reply: it could be taken for that of the whole
}

func (b *Body) cut(why error) error {
	return &smtp.Error{
		Reply: smtp.Reply{Code: 421, Status: smtp.Status{4, 4, 2}, Text: "connection lost"},
		Err:   errors.Join(errCut, why),
	}
}

// aborted is the error of a body that the client gave up between two chunks.
func (b *Body) aborted() error {
	return &smtp.Error{
		Reply: smtp.Reply{Code: 451, Status: smtp.Status{4, 4, 2}, Text: "message given up"},
		Err:   errAborted,
	}
}

// skip looks for the end of content that nobody wants any more, so that the
// conversation can go on behind it. The rest of a BDAT chunk is swallowed, the
// chunks after it are refused one by one.
func (b *Body) skip() {
	b.lines.skip = true
	nothing := func([]byte) error { return nil }
	for b.c.ended == nil && !b.done {
		if b.bdat {
			n := int64(len(b.ready()))
			b.c.r += int(n)
			b.raw += n
			if b.left -= n; b.left == 0 {
				return
			}
		} else {
			n, end, _ := b.lines.step(b.ready(), nothing) // refuses nothing
			b.c.r += n
			b.raw += int64(n)
			if b.done = end; end {
				return
			}
		}
		_ = b.wait() // ends the conversation
	}
}

// contentTaken goes on after go-smtp's DATA has run: what is left of the
// content is skipped, and go-smtp is shown that it was empty.
func (c *Conn) contentTaken() {
	b := c.body
	aborted := errors.Is(b.err, errAborted)
	if b.used = true; b.err == nil && !b.done {
		b.err = errUsed // whoever still holds it gets nothing
	}
	if !b.done && !aborted {
		b.skip()
	}
	c.mode, c.verb, c.body, c.mail, c.rcpts = commands, ".", nil, false, 0
	c.buf = append(c.buf[:0], ".\r\n"...)
	c.shown = c.buf
}
