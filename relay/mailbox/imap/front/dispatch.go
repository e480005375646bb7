package front

import (
	"encoding/base64"
	"strings"
)

// dispatch answers a command, or has it answered by the session, or shows it to
// the library.
func (c *Conn) dispatch(cmd *Command) {
	c.cmd = cmd
	if status := c.gate(cmd); status != "" {
		c.refuseCommand(status)
		return
	}
	if c.isOver() {
		return
	}
	if cmd.Name == "STARTTLS" {
		c.startTLS()
		return
	}
	if _, own := c.cfg.Own[cmd.Name]; own {
		c.reply(cmd.Tag, c.session.Handle(c.Writer(), cmd))
		return
	}
	if status := c.session.Rewrite(cmd); status != "" {
		c.refuseCommand(status)
		return
	}
	c.showCommand(cmd)
}

// refuseCommand answers c.cmd, whose message the library will not see.
func (c *Conn) refuseCommand(status string) {
	m := c.message
	c.message = nil
	if m != nil && m.nonSync {
		if m.left > maxSwallow {
			c.reply(c.cmd.Tag, status)
			c.linger = true
			c.end("[TOOBIG] too much to read it in vain", errLimit)
			return
		}
		if !c.swallow(m.left) {
			return
		}
		if _, err := c.line(nil, maxTail); err != nil {
			return
		}
	}
	c.reply(c.cmd.Tag, status)
}

// gate says why a command may not be given now, "" if it may.
func (c *Conn) gate(cmd *Command) string {
	always, own := c.cfg.Own[cmd.Name]
	known := own || cmd.Name == "STARTTLS" || libraryCommand(cmd.Name)
	if c.loggedIn {
		switch {
		case !known:
			return "BAD unknown command"
		case cmd.Name == "STARTTLS", cmd.Name == "LOGIN", cmd.Name == "AUTHENTICATE":
			return "BAD not after the login"
		}
		return ""
	}
	if c.count++; c.count > strangersCommands {
		c.end("too many commands before the login", errLimit)
	}
	switch {
	case !known:
		// Something else than a mail program, or tricked by something else: nobody's
		// POST request shall be tried line by line.
		c.reply(cmd.Tag, "BAD unknown command")
		c.linger = true
		c.end("this is IMAP", errForm)
		return ""
	case cmd.Name == "STARTTLS", always:
		return ""
	case !beforeLogin(cmd.Name):
		return "BAD log in first"
	case (cmd.Name == "LOGIN" || cmd.Name == "AUTHENTICATE") && c.dc.TLS() == nil:
		c.cfg.log().Warn("client wants to log in without TLS", "protocol", "imap", "client", c.dc.Client().Addr().String(), "client_setting_should_be", "STARTTLS or SSL/TLS")
		return "NO [PRIVACYREQUIRED] not without TLS" // RFC 9051 section 7.1
	case cmd.Name == "AUTHENTICATE" && !goodInitial(cmd.Args):
		return "BAD initial response is not base64"
	}
	return ""
}

// goodInitial reports that the initial response of an AUTHENTICATE (RFC 4959), if
// there is one, is base64; the library would call anything else its own fault.
func goodInitial(args string) bool {
	_, response, ok := strings.Cut(args, " ")
	if !ok || response == "=" {
		return true
	}
	_, err := base64.StdEncoding.DecodeString(response)
	return err == nil
}

// startTLS answers STARTTLS (RFC 9051 section 6.2.1).
func (c *Conn) startTLS() {
	switch {
	case c.cmd.Args != "":
		c.reply(c.cmd.Tag, "BAD STARTTLS takes no argument")
	case c.dc.TLS() != nil:
		c.reply(c.cmd.Tag, "BAD TLS is active already")
	case !c.dc.CanStartTLS():
		c.reply(c.cmd.Tag, "NO TLS is not to be had here")
	case c.r != c.w:
		// Somebody spoke in plaintext what would be believed to have come through
		// TLS.
		c.reply(c.cmd.Tag, "BAD nothing may follow STARTTLS")
		c.linger = true
		c.end("nothing may follow STARTTLS", errForm)
	default:
		c.reply(c.cmd.Tag, "OK begin TLS now")
		c.mu.Lock()
		err := c.flush(writeTime)
		c.mu.Unlock()
		if err == nil {
			err = c.dc.StartTLS()
		}
		if err != nil {
			// Going on in plaintext is what an attacker wants.
			c.end("", err)
		}
	}
}

// showCommand gives the command to the library, on one line.
func (c *Conn) showCommand(cmd *Command) {
	line := append(c.buf[:0], cmd.Tag...)
	line = append(append(line, ' '), cmd.Name...)
	if cmd.Args != "" {
		line = append(append(line, ' '), cmd.Args...)
	}
	c.buf = line
	switch {
	case strings.ContainsAny(cmd.Args, "\r\n\x00"):
		c.refuseCommand("BAD line end in a string")
	case len(line) > maxShown:
		c.refuseCommand("BAD [TOOBIG] command too long")
	case c.message != nil:
		c.show(c.message.announce(line))
	default:
		c.show(line)
	}
}
