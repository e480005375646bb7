package client

import (
	"strconv"
	"strings"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// MailParams are the parameters of MAIL. Each is sent only if the server
// offered its extension.
type MailParams struct {
	Size       int64
	EightBit   bool
	UTF8       bool
	RequireTLS bool
	Ret        mail.Ret
	EnvID      string
}

func (c *Conn) line(verb, arg string) {
	c.collecting()
	c.out = append(c.out, verb...)
	c.out = append(c.out, arg...)
	c.out = append(c.out, '\r', '\n')
}

// Mail appends MAIL. The address must be Sendable.
func (c *Conn) Mail(from smtp.Address, p MailParams) {
	c.collecting()
	b := append(c.out, "MAIL FROM:<"...)
	b = from.Append(b)
	b = append(b, '>')
	if c.Ext.SizeKnown && p.Size > 0 {
		b = strconv.AppendInt(append(b, " SIZE="...), p.Size, 10) // RFC 1870 section 5
	}
	if c.Ext.EightBit && p.EightBit {
		b = append(b, " BODY=8BITMIME"...) // RFC 6152 section 3
	}
	if c.Ext.UTF8 && p.UTF8 {
		b = append(b, " SMTPUTF8"...) // RFC 6531 section 3.4
	}
	if c.Ext.RequireTLS && p.RequireTLS {
		b = append(b, " REQUIRETLS"...) // RFC 8689 section 3
	}
	if c.Ext.DSN {
		switch p.Ret { // RFC 3461 section 4.3
		case mail.RetHeaders:
			b = append(b, " RET=HDRS"...)
		case mail.RetFull:
			b = append(b, " RET=FULL"...)
		}
		if p.EnvID != "" {
			b = appendXtext(append(b, " ENVID="...), p.EnvID) // RFC 3461 section 4.4
		}
	}
	c.out = append(b, '\r', '\n')
}

// Rcpt appends RCPT, with NOTIFY and ORCPT if the server offered DSN. The
// address must be Sendable.
func (c *Conn) Rcpt(r *mail.Recipient) {
	b := append(c.out, "RCPT TO:<"...)
	b = r.Address.Append(b)
	b = append(b, '>')
	if c.Ext.DSN {
		b = appendNotify(b, r.Notify)
		b = appendORcpt(b, r.ORcpt)
	}
	c.out = append(b, '\r', '\n')
}

// Data appends DATA.
func (c *Conn) Data() { c.out = append(c.out, "DATA\r\n"...) }

// Bdat appends the command of one last chunk of n octets (RFC 3030 section 2);
// the chunk must follow.
func (c *Conn) Bdat(n int64) {
	c.out = append(strconv.AppendInt(append(c.out, "BDAT "...), n, 10), " LAST\r\n"...)
}

// Rset appends RSET.
func (c *Conn) Rset() { c.out = append(c.out, "RSET\r\n"...) }

// Dot appends the end of a body that has nothing in it.
func (c *Conn) Dot() { c.out = append(c.out, ".\r\n"...) }

// Sendable reports an address that a command can carry: neither controls, which
// would end the command, nor more octets than a path may have.
func Sendable(a smtp.Address) bool {
	return plain(a.Local) && plain(string(a.Domain)) && !strings.ContainsAny(string(a.Domain), " <>") && len(a.Local)+len(a.Domain) <= 4*smtp.MaxPath
}

// plain reports text without controls.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == 0x7f {
			return false
		}
	}
	return true
}

func appendNotify(b []byte, n mail.Notify) []byte {
	if n == 0 {
		return b
	}
	b = append(b, " NOTIFY="...)
	if n&mail.NotifyNever != 0 { // stands alone (RFC 3461 section 4.1)
		return append(b, "NEVER"...)
	}
	for _, m := range [...]struct {
		bit  mail.Notify
		word string
	}{{mail.NotifySuccess, "SUCCESS,"}, {mail.NotifyFailure, "FAILURE,"}, {mail.NotifyDelay, "DELAY,"}} {
		if n&m.bit != 0 {
			b = append(b, m.word...)
		}
	}
	return b[:len(b)-1]
}

// appendORcpt adds ORCPT (RFC 3461 section 4.2). One of type utf-8 has its own
// escapes (RFC 6533 section 3); one that is neither is left out.
func appendORcpt(b []byte, orcpt string) []byte {
	kind, addr, ok := strings.Cut(orcpt, ";")
	if !ok || kind == "" || addr == "" || strings.ContainsFunc(kind, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '=' || r == '+' }) {
		return b
	}
	utf := strings.EqualFold(kind, "utf-8")
	if !utf && !isASCII(addr) {
		return b
	}
	b = append(append(append(b, " ORCPT="...), kind...), ';')
	if !utf {
		return appendXtext(b, addr)
	}
	for _, r := range addr {
		if r > ' ' && r < 0x7f && r != '+' && r != '=' {
			b = append(b, byte(r))
			continue
		}
		b = append(append(b, `\x{`...), strings.ToUpper(strconv.FormatInt(int64(r), 16))...)
		b = append(b, '}')
	}
	return b
}

// appendXtext encodes s as xtext (RFC 3461 section 4).
func appendXtext(b []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		if c := s[i]; c > ' ' && c < 0x7f && c != '+' && c != '=' {
			b = append(b, c)
		} else {
			b = append(b, '+', hex[c>>4], hex[c&15])
		}
	}
	return b
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
