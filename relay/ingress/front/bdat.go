package front

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// bdat answers a BDAT outside a message (RFC 3030 section 2). The first chunk
// of a message makes go-smtp believe in a DATA; the session then finds a Body
// that pulls the chunks from the connection and answers them.
func (c *Conn) bdat(arg []byte) {
	size, last, ok := parseChunk(arg)
	if !ok {
		c.badChunk()
		return
	}
	switch {
	case c.l.cfg.LMTP:
		c.ignoreChunk(size)
		c.reply("502 5.5.1 BDAT is not offered")
	case !c.mail || c.rcpts == 0:
		c.ignoreChunk(size)
		c.reply("503 5.5.1 no valid recipients")
	default:
		b := newBody(c)
		b.lines.dots = false
		b.bdat, b.left, b.last = true, size, last
		if size > c.set.MessageSize {
			b.err = refuseSize()
		}
		c.body = b
		c.show([]byte("DATA"))
	}
}

// badChunk ends the conversation: without a size there is no telling where the
// next command begins.
func (c *Conn) badChunk() {
	_ = c.end("501 5.5.4 bad chunk size\r\n", errLine)
}

// ignoreChunk swallows a chunk that is refused: its octets are on their way
// whatever we say.
func (c *Conn) ignoreChunk(size int64) {
	b := &Body{c: c, bdat: true, left: size}
	b.skip()
}

// chunkIgnored does it for a command that is refused for another reason.
func (c *Conn) chunkIgnored(arg []byte) {
	if c.verb != "BDAT" {
		return
	}
	if size, _, ok := parseChunk(arg); ok {
		c.ignoreChunk(size)
		return
	}
	c.badChunk()
}

// parseChunk reads "SIZE [LAST]" (RFC 3030 section 2).
func parseChunk(arg []byte) (size int64, last, ok bool) {
	words := bytes.Fields(arg)
	switch len(words) {
	case 1:
	case 2:
		if !bytes.EqualFold(words[1], []byte("LAST")) {
			return 0, false, false
		}
		last = true
	default:
		return 0, false, false
	}
	for _, d := range words[0] {
		if d < '0' || d > '9' {
			return 0, false, false
		}
	}
	size, err := strconv.ParseInt(string(words[0]), 10, 64)
	return size, last, err == nil
}

// nextChunk answers the chunk that was taken and reads the command that brings
// the next one. Between the chunks of a message only NOOP has a place; RSET,
// QUIT and a new EHLO give it up, and are then commands as ever.
func (b *Body) nextChunk() error {
	c := b.c
	c.verb = "BDAT"
	c.reply("250 2.0.0 chunk taken")
	for {
		line, err := b.nextLine()
		if err != nil {
			return b.cut(err)
		}
		line = bytes.TrimRight(line, " \t")
		word, arg, _ := bytes.Cut(line, []byte{' '})
		c.verb = ""
		if len(word) <= len("STARTTLS") {
			c.verb = strings.ToUpper(string(word))
		}
		if c.count++; c.count > c.set.Commands {
			return b.cut(c.end("421 4.7.0 "+c.l.cfg.Hostname+" too many commands\r\n", errLimit))
		}
		switch c.verb {
		case "BDAT":
			size, last, ok := parseChunk(arg)
			if !ok {
				c.badChunk()
				return b.cut(c.ended)
			}
			c.count--
			b.left, b.last = size, last
			if size > c.set.MessageSize-b.size {
				return refuseSize()
			}
			return nil
		case "NOOP":
			c.reply("250 2.0.0 Ok")
		case "RSET", "QUIT", "EHLO", "HELO":
			c.again = bytes.Clone(line)
			c.mute = true
			return b.aborted()
		default:
			c.reply("503 5.5.1 message in progress")
			if c.ended != nil {
				return b.cut(c.ended)
			}
		}
	}
}

// nextLine reads the next command between chunks. The wait for it counts with
// the wait for octets, or a client could keep a message open for ever by
// chunks of one octet.
func (b *Body) nextLine() ([]byte, error) {
	c := b.c
	if b.budget() <= 0 {
		return nil, c.end("421 4.4.2 "+c.l.cfg.Hostname+" timeout\r\n", errSlow)
	}
	before := time.Now()
	line, err := c.line(0)
	b.waited += time.Since(before)
	return line, err
}
