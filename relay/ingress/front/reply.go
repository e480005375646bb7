package front

import (
	"bytes"
	"strconv"

	"tenma/relay/wire/smtp"
)

// Write takes replies from go-smtp, which writes them line by line. Nothing is
// sent yet; see flush. It never fails: what is wrong with the connection shows
// at the next Read.
func (c *Conn) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			c.part = append(c.part, p...)
			break
		}
		line := p[:i+1]
		if len(c.part) > 0 {
			line = append(c.part, line...)
			c.part = c.part[:0]
		}
		c.replied(line)
		p = p[i+1:]
	}
	return n, nil
}

// reply is a reply of the front's own: code, enhanced status, text.
func (c *Conn) reply(text string) { c.replied(append([]byte(text), crlf...)) }

// replied notes what a line of a reply means, mends it, and keeps it until the
// client has to see it.
func (c *Conn) replied(line []byte) {
	if c.ended != nil {
		return
	}
	if len(line) < 5 { // no reply that we know
		c.out = append(c.out, line...)
		return
	}
	if bytes.HasPrefix(line, []byte("500 5.5.1 Too many errors")) {
		// go-smtp is about to close, which only a 421 may announce (RFC 5321
		// section 3.8).
		_ = c.end("421 4.7.0 "+c.l.cfg.Hostname+" too many errors\r\n", errLimit)
		return
	}
	line = c.correct(line)
	code, last := string(line[:3]), line[3] != '-'
	if c.mute {
		c.mute = !last
		return
	}
	if code == "354" {
		c.mode = content
		if c.body != nil { // BDAT: the client has sent it already
			return
		}
		c.body = newBody(c)
	}
	c.out = c.mend(c.out, line, code, last)
	if last {
		c.settle(code, line)
	}
}

// mend appends line to out as the client shall see it.
func (c *Conn) mend(out, line []byte, code string, last bool) []byte {
	switch c.verb {
	case "EHLO", "LHLO":
		if code == "250" {
			return c.mendHello(out, line, last)
		}
	case "HELO":
		if code == "250" { // no enhanced status, our name first (RFC 5321 section 4.1.1.1)
			return append(out, "250 "+c.l.cfg.Hostname+"\r\n"...)
		}
	case "MAIL":
		if code == "250" {
			return append(out, "250 2.1.0 Ok\r\n"...) // RFC 3463 section 3.2
		}
	case "RCPT":
		if code == "250" {
			return append(out, "250 2.1.5 Ok\r\n"...)
		}
	}
	return append(out, line...)
}

// correct gives the reply that an RFC wants where go-smtp has another.
func (c *Conn) correct(line []byte) []byte {
	starts := func(s string) bool { return bytes.HasPrefix(line, []byte(s)) }
	switch c.verb {
	case "MAIL", "RCPT", "DATA":
		switch {
		case starts("502 "): // a bad sequence is meant (RFC 5321 section 4.2.3)
			line[2] = '3'
		case starts("500 5.5.4 Unknown"): // RFC 5321 section 4.1.1.11
			return []byte("555 5.5.4 unknown parameter\r\n")
		case starts("500 5.5.4 Malformed"):
			line[2] = '1'
		case starts("501 5.5.4 Unable to parse SIZE") && hugeSize(c.text): // RFC 1870 section 6.1
			line = append([]byte("552 5.3.4 message too large, the limit is "), strconv.FormatInt(c.set.MessageSize, 10)...)
			return append(line, crlf...)
		}
	case "AUTH":
		switch {
		case starts("454 4.7.0 Invalid base64"): // RFC 4954 section 4
			return []byte("501 5.5.2 not base64\r\n")
		case starts("502 5.5.4 Missing"):
			line[2] = '1'
		case starts("235 2.0.0"): // RFC 4954 section 6
			line[6] = '7'
		}
	}
	if starts("502 ") && bytes.Contains(line, []byte("introduce yourself")) {
		line[2] = '3'
	}
	return line
}

// hugeSize reports a SIZE of the 20 digits that RFC 1870 section 3 allows, of
// which go-smtp reads only those below 2^32.
func hugeSize(command []byte) bool {
	for word := range bytes.FieldsSeq(command) {
		if len(word) <= 5 || !bytes.EqualFold(word[:5], []byte("SIZE=")) {
			continue
		}
		if digits := word[5:]; len(digits) > 20 || len(bytes.Trim(digits, "0123456789")) > 0 {
			return false
		}
		return true
	}
	return false
}

// mendHello changes the reply to EHLO: our name in front, AUTH only under TLS,
// what go-smtp does not know of.
func (c *Conn) mendHello(out, line []byte, last bool) []byte {
	word, _, _ := bytes.Cut(bytes.TrimRight(line[4:], "\r\n"), []byte{' '})
	switch string(word) {
	case "Hello":
		out = append(out, "250-"+c.l.cfg.Hostname+"\r\n"...)
	case "AUTH":
		if c.tls == nil {
			return out
		}
		out = append(append(out, "250-"...), line[4:]...)
	case "CHUNKING":
		if c.l.cfg.LMTP {
			return out
		}
		out = append(append(out, "250-"...), line[4:]...)
	case "SIZE":
	default:
		out = append(append(out, "250-"...), line[4:]...)
	}
	if !last {
		return out
	}
	if c.l.cfg.TLS != nil && !c.l.cfg.Implicit && c.tls == nil {
		out = append(out, "250-STARTTLS\r\n"...)
	}
	if c.tls != nil {
		out = append(out, "250-REQUIRETLS\r\n"...) // RFC 8689 section 2
	}
	out = append(out, "250-LIMITS RCPTMAX="...) // RFC 9422
	out = strconv.AppendInt(out, int64(c.set.Recipients), 10)
	out = append(out, "\r\n250 SIZE "...) // RFC 1870 section 3
	out = strconv.AppendInt(out, c.set.MessageSize, 10)
	return append(out, crlf...)
}

// settle follows the conversation by the last line of each reply.
func (c *Conn) settle(code string, line []byte) {
	switch code {
	case "334":
		c.mode = sasl
		return
	case "354":
		return
	}
	if code == "250" {
		switch c.verb {
		case "EHLO", "HELO", "LHLO", "RSET":
			c.hello, c.mail, c.rcpts = false, false, 0
			if c.verb != "RSET" {
				c.basic = c.verb == "HELO"
			}
		case "MAIL":
			c.mail = true
		case "RCPT":
			c.rcpts++
			c.count-- // a long list is no sign of trouble
		case ".":
			c.count = 0
		}
		return
	}
	if code[0] == '4' || code[0] == '5' {
		c.refused(code, line)
	}
	if code == "421" { // the channel is about to close (RFC 5321 section 3.8)
		_ = c.fail(errTold)
	}
}

// overLists is how many times Limits.Recipients one connection may ask beyond
// that limit before such RCPTs count as commands: clients that send ten thousand
// at once exist, more are no list.
const overLists = 10

// refused counts a refusal. 4yz replies and refused content are no fault that
// a client would repeat for a purpose.
func (c *Conn) refused(code string, line []byte) {
	if c.verb == "." {
		return
	}
	status := code
	if s, _, ok := smtp.ParseStatus(string(bytes.TrimRight(line[4:], "\r\n"))); ok {
		status = s.String()
	}
	c.l.cfg.Metrics.CommandsRefused.WithLabelValues(c.l.cfg.Name, known(c.verb), status).Inc()
	if code == "452" && c.verb == "RCPT" && c.over < overLists*c.set.Recipients {
		c.over++
		c.count-- // the rest of a long list (RFC 5321 section 4.5.3.1.10)
	}
	if code[0] != '5' {
		return
	}
	if c.bad++; c.bad > c.set.Errors {
		_ = c.end("421 4.7.0 "+c.l.cfg.Hostname+" too many errors\r\n", errLimit)
	}
}

// known keeps what strangers type out of the labels of a metric.
func known(verb string) string {
	switch verb {
	case "EHLO", "HELO", "LHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "QUIT", "VRFY", "AUTH", "STARTTLS":
		return verb
	}
	return "other"
}
