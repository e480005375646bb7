package front

import (
	"bytes"
	"slices"
	"strings"
)

// editCapabilities changes the list in a response that has one: CAPABILITY, and
// the code of that name in a greeting or an OK.
func (c *Conn) editCapabilities(line []byte) []byte {
	const response, code = "* CAPABILITY ", "[CAPABILITY "
	if list, ok := bytes.CutPrefix(line, []byte(response)); ok {
		return []byte(response + c.capabilities(string(list)))
	}
	at := bytes.Index(line, []byte(" OK "+code))
	if at < 0 || bytes.IndexByte(line, ' ') != at {
		return line
	}
	from := at + len(" OK "+code)
	to := bytes.IndexByte(line[from:], ']')
	if to < 0 {
		return line
	}
	return slices.Concat(line[:from], []byte(c.capabilities(string(line[from:from+to]))), line[from+to:])
}

// capabilities is the list as the client may see it now. Before the login TLS
// decides: without it no mechanism is offered, and LOGIN is disabled (RFC 9051
// section 6.2.3).
func (c *Conn) capabilities(list string) string {
	caps := c.session.Capabilities(strings.Fields(list), c.loggedIn)
	plain := c.dc.TLS() == nil
	caps = slices.DeleteFunc(caps, func(name string) bool {
		return name == "STARTTLS" || name == "LOGINDISABLED" || strings.HasPrefix(name, "AUTH=") && (plain || c.loggedIn)
	})
	if plain && !c.loggedIn {
		if c.dc.CanStartTLS() {
			caps = append(caps, "STARTTLS")
		}
		caps = append(caps, "LOGINDISABLED")
	}
	return strings.Join(caps, " ")
}
