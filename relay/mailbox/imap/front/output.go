package front

import (
	"bytes"
	"slices"
	"strings"
	"time"
)

// Writer sends responses of the session's to the client as they are, past the
// editing of the library's. Errors are final and of the type of net.ErrClosed.
type Writer struct{ c *Conn }

// Writer writes to the client as Handle's does. It is for untagged responses that
// the session sends while the library waits for one of its methods, say SELECT's
// HIGHESTMODSEQ: they come before what the library then writes.
func (c *Conn) Writer() *Writer { return &Writer{c} }

// Write collects p and sends what was collected when it is much. It keeps nothing
// of p.
func (w *Writer) Write(p []byte) (int, error) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	return len(p), w.c.put(p)
}

// WriteString is Write for a string.
func (w *Writer) WriteString(s string) (int, error) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	for rest := s; len(rest) > 0; {
		n := min(len(rest), flushAt)
		if err := w.c.put([]byte(rest[:n])); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return len(s), nil
}

// Write takes what the library writes. Its lines are edited; in IDLE they leave at
// once. It gives no errors: when the conversation is over the library finds out at
// its next Read, and an error here would be one in its log, whatever the client
// did.
func (c *Conn) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		rest = rest[c.take(rest):]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mode == idling {
		_ = c.flush(writeTime) // a failure has ended the conversation
	}
	return len(p), nil
}

// maxLine is how much of a line of the library's is kept to be edited. Longer ones
// are lists of numbers, or texts of others', and pass as they are.
const maxLine = 16 << 10

// take deals with a piece of what the library writes, up to the end of a line or
// literal, and gives how long that is.
func (c *Conn) take(p []byte) int {
	if c.octetsTo > 0 {
		p = p[:min(int64(len(p)), c.octetsTo)]
		c.octetsTo -= int64(len(p))
		c.pass(p)
		return len(p)
	}
	i := bytes.IndexByte(p, '\n')
	if i >= 0 {
		p = p[:i+1]
	}
	switch {
	case c.through:
		c.pass(p)
		c.through = i < 0
	case i < 0 && len(c.part)+len(p) > maxLine:
		c.pass(c.part)
		c.pass(p)
		c.part, c.through = nil, true
	case i < 0:
		c.part = append(c.part, p...)
	case len(c.part) > 0:
		c.part = append(c.part, p...)
		line := c.part
		c.part = c.part[:0]
		c.libraryLine(line)
	default:
		c.libraryLine(p)
	}
	return len(p)
}

// pass sends p as it is.
func (c *Conn) pass(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.put(p) // the next reading tells
}

// libraryLine deals with one line that the library wrote, CRLF included.
func (c *Conn) libraryLine(line []byte) {
	text := bytes.TrimRight(line, "\r\n")
	if c.midLine || isData(text) {
		if _, l, ok := cutLiteral(text); ok {
			c.octetsTo, c.midLine = l.size, true
			c.pass(line)
			return
		}
		if c.midLine {
			c.midLine = false
			c.pass(line)
			return
		}
	}
	if bytes.HasPrefix(text, []byte("+ ")) || string(text) == "+" {
		c.continuation(text)
		return
	}
	tagged := false
	if c.cmd != nil {
		var status []byte
		if status, tagged = bytes.CutPrefix(text, []byte(c.cmd.Tag+" ")); tagged {
			text = c.taggedLine(text, status)
		}
	}
	text = c.editCapabilities(text)
	if edited := c.session.Response(c.cmd, text); edited != nil || !tagged {
		text = edited
	}
	if text != nil {
		c.say(string(text))
	}
}

// isData reports an untagged response in which literals may stand, not one of the
// states and capabilities, whose text is anybody's.
func isData(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("* "))
	if !ok {
		return false
	}
	word, _, _ := bytes.Cut(rest, []byte{' '})
	return !slices.Contains([]string{"OK", "NO", "BAD", "BYE", "PREAUTH", "CAPABILITY"}, string(word))
}

// continuation deals with a request of the library's for more.
func (c *Conn) continuation(line []byte) {
	name := ""
	if c.cmd != nil {
		name = c.cmd.Name
	}
	switch m := c.message; {
	case name == "APPEND" && m != nil:
		m.accepted = true
		if m.nonSync {
			return
		}
	case name == "AUTHENTICATE":
		c.setMode(sasl)
		if string(line) == "+ =" {
			line = []byte("+ ") // the library's for an empty challenge; RFC 9051 section 9: base64
		}
	case name == "IDLE":
		c.setMode(idling)
	}
	c.say(string(line))
}

// taggedLine follows the conversation by the library's answer to the command.
func (c *Conn) taggedLine(line, status []byte) []byte {
	if c.spoiled && c.cmd.Name == "IDLE" {
		line = []byte(c.cmd.Tag + " BAD IDLE is ended by DONE")
		status = []byte("BAD")
	}
	c.spoiled = false
	ok := bytes.HasPrefix(status, []byte("OK"))
	if ok && (c.cmd.Name == "LOGIN" || c.cmd.Name == "AUTHENTICATE") {
		c.loggedIn = true
	}
	c.tally(status)
	return line
}

// tally counts what is no good. In IDLE it is not called.
func (c *Conn) tally(status []byte) {
	switch {
	case bytes.HasPrefix(status, []byte("BAD")), !c.loggedIn && bytes.HasPrefix(status, []byte("NO")):
		c.bad++
	case c.loggedIn && bytes.HasPrefix(status, []byte("OK")):
		c.bad = 0
	}
}

// reply answers a command: the session's or the front's own word.
func (c *Conn) reply(tag, status string) {
	if status == "" {
		status = "NO [SERVERBUG] no answer"
	}
	c.say(tag + " " + oneLine(status))
	c.tally([]byte(status))
}

// say writes a line.
func (c *Conn) say(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.put([]byte(line)) == nil {
		_ = c.put([]byte("\r\n")) // the next reading tells
	}
}

// oneLine keeps what others wrote from being more than one line.
func oneLine(s string) string {
	if !strings.ContainsAny(s, "\r\n\x00") {
		return s
	}
	return strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ").Replace(s)
}

// put collects p, and sends when it is much; c.mu is held.
func (c *Conn) put(p []byte) error {
	if c.ended != nil {
		return errOver
	}
	if len(c.out)+len(p) <= flushAt {
		c.out = append(c.out, p...)
		return nil
	}
	if c.flush(writeTime) != nil || len(p) >= flushAt && c.send(p, writeTime) != nil {
		return errOver
	}
	if len(p) < flushAt {
		c.out = append(c.out, p...)
	}
	return nil
}

// flush sends what was collected, each piece within d; c.mu is held. A failure
// ends the conversation.
func (c *Conn) flush(d time.Duration) error {
	if len(c.out) == 0 {
		return c.ended
	}
	err := c.send(c.out, d)
	c.out = c.out[:0]
	return err
}

// send is flush for p.
func (c *Conn) send(p []byte, d time.Duration) error {
	for len(p) > 0 {
		n := min(len(p), flushAt)
		err := c.dc.SetWriteDeadline(time.Now().Add(d))
		if err == nil {
			_, err = c.dc.Write(p[:n])
		}
		if err != nil {
			c.ended = err
			c.dc.Abort() // whoever waits for the client need not any more
			return err
		}
		p = p[n:]
	}
	return nil
}
