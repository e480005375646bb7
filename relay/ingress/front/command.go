package front

import (
	"bytes"
	"slices"
	"strings"

	"tenma/relay/wire/dsn"
	"tenma/relay/wire/smtp"
)

// command deals with one command line: it shows it to go-smtp, or answers it.
func (c *Conn) command(line []byte) {
	c.text = bytes.TrimRight(line, " \t")
	word, arg, _ := bytes.Cut(c.text, []byte{' '})
	c.verb = verbOf(word)
	if c.count++; c.count > c.set.Commands {
		_ = c.end("421 4.7.0 "+c.l.cfg.Hostname+" too many commands\r\n", errLimit)
		return
	}
	if hasControl(c.text) {
		// No command has any (RFC 5321 section 4.1.2); a log has no use for it.
		c.reply("500 5.5.2 control character in command")
		return
	}
	if c.hello && !strings.Contains(" EHLO HELO LHLO NOOP QUIT ", " "+c.verb+" ") {
		c.chunkIgnored(arg)
		c.reply("503 5.5.1 EHLO first")
		return
	}
	switch c.verb {
	case "STARTTLS":
		c.startTLS(len(arg) > 0)
	case "BDAT":
		c.bdat(arg)
	case "AUTH":
		if c.tls == nil {
			c.reply("538 5.7.11 encryption required for AUTH") // RFC 4954 section 4
			return
		}
		c.show(c.text)
	case "RCPT":
		c.showRcpt()
	case "GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS":
		// A browser that was made to talk to us has a body in which commands
		// would follow.
		_ = c.end("554 5.5.1 this is SMTP\r\n", errForeign)
	default:
		c.show(c.text)
	}
}

// verbOf gives the word of a command in capitals, "" for one that is too long to
// be any. The usual ones cost no memory.
func verbOf(word []byte) string {
	const longest = "STARTTLS"
	if len(word) > len(longest) {
		return ""
	}
	var room [len(longest)]byte
	up := room[:copy(room[:], word)]
	for i, c := range up {
		if 'a' <= c && c <= 'z' {
			up[i] = c - ('a' - 'A')
		}
	}
	switch string(up) {
	case "MAIL":
		return "MAIL"
	case "RCPT":
		return "RCPT"
	case "DATA":
		return "DATA"
	case "BDAT":
		return "BDAT"
	}
	return string(up)
}

// showRcpt shows a RCPT. go-smtp has no word for the postmaster without a
// domain that every server must take (RFC 5321 section 4.5.1), so it is shown
// one; the session reads Command. Nor does it know other types of ORCPT than
// rfc822 and utf-8, which take the same text as rfc822 (RFC 3461 section 4.2);
// the session asks for ORcptType.
func (c *Conn) showRcpt() {
	const bare = "<postmaster>"
	text := c.text
	c.kind = ""
	if start, end := otherType(text); end > 0 {
		c.kind = string(text[start:end])
		text = slices.Concat(text[:start], []byte("rfc822"), text[end:])
	}
	if i := bytes.IndexByte(text, '<'); i >= 0 && len(text) >= i+len(bare) && bytes.EqualFold(text[i:i+len(bare)], []byte(bare)) {
		text = slices.Concat(text[:i], []byte("<postmaster@localhost>"), text[i+len(bare):])
	}
	c.show(text)
}

// otherType finds the address type of ORCPT in a RCPT, where it is one that
// go-smtp does not know; end is 0 for all else, errors included.
func otherType(line []byte) (start, end int) {
	if bytes.IndexByte(line, ';') < 0 { // as in most
		return 0, 0
	}
	_, path, _ := strings.Cut(string(line), ":")
	_, params, err := smtp.ParsePath(strings.TrimLeft(path, " "))
	if err != nil {
		return 0, 0
	}
	at := len(line) - len(params)
	for word := range strings.SplitSeq(params, " ") {
		name, value, _ := strings.Cut(word, "=")
		if strings.EqualFold(name, "ORCPT") {
			kind, _, _ := strings.Cut(value, ";")
			_, err := dsn.ParseORcpt(value)
			if end > 0 || err != nil || strings.EqualFold(kind, "rfc822") || strings.EqualFold(kind, "utf-8") {
				return 0, 0 // of several, none is to be mixed with another
			}
			start = at + len(name) + 1
			end = start + len(kind)
		}
		at += len(word) + 1
	}
	return start, end
}

func hasControl(line []byte) bool {
	for _, b := range line {
		if b < 0x20 || b == 0x7f {
			return true
		}
	}
	return false
}
