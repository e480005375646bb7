package front

import (
	"errors"
	"net"

	"tenma/relay/door"
)

// collect reads one command. It gives nil if the conversation is over, or the
// command was no good and has been answered.
func (c *Conn) collect() *Command {
	if c.draining() {
		c.end("server is shutting down", door.ErrDraining)
		return nil
	}
	c.begin(c.r < c.w)
	k := &collecting{c: c, left: int64(c.cfg.commandSize())}
	c.text = c.text[:0]
	for {
		more, err := k.line()
		if err != nil {
			return nil
		}
		if !more {
			break
		}
	}
	if k.refusal != "" {
		c.reply(k.tag, k.refusal)
		return nil
	}
	return &Command{Tag: k.tag, Name: k.name, Args: string(c.text[k.args:])}
}

func (c *Conn) draining() bool {
	select {
	case <-c.dc.Draining():
		return true
	default:
		return false
	}
}

// collecting is a command that is being collected in Conn.text.
type collecting struct {
	c         *Conn
	scan      scanner
	tag, name string
	args      int    // where they begin in Conn.text
	left      int64  // octets that its literals may still have
	literals  int    // that it had
	lines     int    // octets of its lines
	refusal   string // what it will be answered when it is over; nothing more is kept of it
}

// line reads a line of the command and the literal behind it. more says that the
// command goes on.
func (k *collecting) line() (more bool, err error) {
	c := k.c
	from := len(c.text)
	if c.text, err = c.line(c.text, from+max(c.cfg.commandSize()-k.lines, 0)); err != nil {
		return false, err
	}
	line := c.text[from:]
	k.lines += len(line)
	for len(line) > 0 && line[len(line)-1] == ' ' { // as the library has it
		line = line[:len(line)-1]
	}
	wrong := k.scan.line(line)
	head, lit, ok := cutLiteral(line)
	if k.scan.quoted {
		head, ok = line, false
	}
	c.text = c.text[:from+len(head)]
	if from == 0 {
		k.first(head)
	}
	if wrong != "" {
		k.refuse("BAD " + wrong)
	}
	if !ok {
		return false, nil
	}
	return k.literal(lit)
}

// first takes the first line apart.
func (k *collecting) first(line []byte) {
	var args []byte
	k.tag, k.name, args = parseCommand(line)
	k.args = len(line) - len(args)
	if k.tag == "" {
		k.tag = "*"
		k.refuse("BAD a command begins with a tag")
	}
}

func (k *collecting) refuse(status string) {
	if k.refusal == "" {
		k.refusal = status
	}
}

// literal deals with the literal that the line announced.
func (k *collecting) literal(l literal) (more bool, err error) {
	c := k.c
	k.literals++
	isMessage := k.name == "APPEND" && len(c.text) > k.args
	k.refuse(k.judge(l, isMessage))
	switch {
	case k.refusal != "" && !l.nonSync:
		return false, nil // the client waits, and hears no
	case k.refusal != "":
		return k.past(l)
	case isMessage:
		c.message = &message{left: l.size, nonSync: l.nonSync, wrapped: c.text[len(c.text)-1] == '~' && c.text[len(c.text)-2] == '('}
		return false, nil
	}
	if !l.nonSync {
		c.say("+ go ahead")
	}
	k.left -= l.size
	c.text = append(c.text, '"')
	var clean bool
	if c.text, clean, err = c.octetsInto(c.text, l.size); err != nil {
		return false, err
	}
	c.text = append(c.text, '"')
	if !clean {
		k.refuse("BAD NUL in a literal")
	}
	return true, nil
}

// judge says whether a literal may come, "" if so.
func (k *collecting) judge(l literal, isMessage bool) string {
	c := k.c
	switch {
	case k.literals > maxLiterals:
		return "BAD too many literals"
	case isMessage && !c.loggedIn:
		return "BAD log in first"
	case isMessage && l.size > c.session.AppendLimit(): // RFC 7889 section 4
		return "NO [TOOBIG] message too big"
	case isMessage:
	case !c.loggedIn && l.size > strangersLiteral, l.size > k.left:
		return "NO [TOOBIG] literal too big"
	}
	return ""
}

// past reads over a literal that the client sends without waiting for leave, or
// ends the conversation if it is long (RFC 7888 section 4).
func (k *collecting) past(l literal) (more bool, err error) {
	c := k.c
	if l.size > maxSwallow || l.size > k.left {
		c.reply(k.tag, k.refusal)
		c.linger = true
		c.end("[TOOBIG] literal too big", errLimit)
		return false, errLimit
	}
	k.left -= l.size
	if !c.swallow(l.size) {
		return false, errors.Join(errLimit, net.ErrClosed)
	}
	return true, nil
}
