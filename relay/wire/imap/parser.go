package imap

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// SyntaxError says what was wrong with a command, in words for whoever writes
// the client.
type SyntaxError struct{ Text string }

func (e *SyntaxError) Error() string { return e.Text }

// ErrName is a mailbox name that is none in the encoding that it should be in. The
// command is well formed: there is just no such mailbox.
var ErrName = errors.New("imap: mailbox name is not in modified UTF-7, or not in UTF-8")

// Parser reads one command's arguments from the left. The first error stays:
// after it each method gives a zero value, so that only End need be checked.
type Parser struct {
	b   string
	at  int
	err error
	// UTF8 says that mailbox names are UTF-8, as they are after ENABLE of
	// IMAP4rev2 or UTF8=ACCEPT; else modified UTF-7 (RFC 3501 section 5.1.3).
	UTF8 bool
}

// NewParser reads args: what stands behind the command's name and a space,
// without the CRLF at the end. It holds no literals: each stands as a quoted
// string, in which CR and LF may then occur (package front makes it so).
func NewParser(args string) *Parser { return &Parser{b: args} }

// Err is the first error.
func (p *Parser) Err() error { return p.err }

// Fail makes the command a wrong one, unless it is already.
func (p *Parser) Fail(format string, args ...any) {
	if p.err == nil {
		p.err = &SyntaxError{fmt.Sprintf(format, args...)}
	}
}

// End checks that nothing is left and gives the first error. One space at the
// end is forgiven: clients send it.
func (p *Parser) End() error {
	if p.err == nil && p.at < len(p.b) && p.b[p.at:] != " " {
		p.expected("end of command")
	}
	return p.err
}

func (p *Parser) expected(what string) {
	if p.at >= len(p.b) {
		p.Fail("expected %s, got end of command", what)
		return
	}
	p.Fail("expected %s at octet %d, got %q", what, p.at, p.b[p.at])
}

// Peek is the next octet, 0 at the end.
func (p *Parser) Peek() byte {
	if p.err != nil || p.at >= len(p.b) {
		return 0
	}
	return p.b[p.at]
}

// Take takes c if it is next.
func (p *Parser) Take(c byte) bool {
	if p.err != nil || p.at >= len(p.b) || p.b[p.at] != c {
		return false
	}
	p.at++
	return true
}

// Expect takes c, which must be next.
func (p *Parser) Expect(c byte) {
	if !p.Take(c) {
		p.expected(strconv.QuoteRune(rune(c)))
	}
}

// SP takes a space, which must be next.
func (p *Parser) SP() {
	if !p.Take(' ') {
		p.expected("a space")
	}
}

// atomChar: ATOM-CHAR of RFC 9051 section 9.
func atomChar(c byte) bool {
	switch c {
	case '(', ')', '{', ' ', '%', '*', '"', '\\', ']':
		return false
	}
	return c > ' ' && c < 0x7f
}

func (p *Parser) run(what string, ok func(byte) bool) string {
	if p.err != nil {
		return ""
	}
	start := p.at
	for p.at < len(p.b) && ok(p.b[p.at]) {
		p.at++
	}
	if start == p.at {
		p.expected(what)
	}
	return p.b[start:p.at]
}

// Atom reads an atom as it stands.
func (p *Parser) Atom() string { return p.run("an atom", atomChar) }

// Keyword reads a word of the protocol, in upper case: letters, digits, and
// marks that atoms have, but no "[".
func (p *Parser) Keyword() string {
	return strings.ToUpper(p.run("a keyword", func(c byte) bool { return atomChar(c) && c != '[' }))
}

// AString reads an atom or a quoted string.
func (p *Parser) AString() string {
	if p.Peek() == '"' {
		return p.String()
	}
	// ASTRING-CHAR; names in raw UTF-8 come without quotes from some clients.
	return p.run("a string", func(c byte) bool { return atomChar(c) || c == ']' || c >= 0x80 })
}

// String reads a quoted string.
func (p *Parser) String() string {
	p.Expect('"')
	start := p.at
	var s []byte // only of a string with escapes
	for p.err == nil && p.at < len(p.b) {
		switch c := p.b[p.at]; c {
		case '"':
			p.at++
			if s == nil {
				return p.b[start : p.at-1]
			}
			return string(s)
		case '\\':
			if s == nil {
				s = append(make([]byte, 0, p.at-start+16), p.b[start:p.at]...)
			}
			p.at++
			if p.at >= len(p.b) || p.b[p.at] != '"' && p.b[p.at] != '\\' {
				p.expected(`\ or " behind \`)
				return ""
			}
			s = append(s, p.b[p.at])
			p.at++
		default:
			if s != nil {
				s = append(s, c)
			}
			p.at++
		}
	}
	p.Fail("a quoted string has no end")
	return ""
}

// NString reads a quoted string or NIL.
func (p *Parser) NString() (s string, there bool) {
	if p.Peek() == '"' {
		return p.String(), true
	}
	if word := p.Keyword(); word != "NIL" {
		p.Fail("expected a string or NIL, got %.40s", word)
	}
	return "", false
}

// ListMailbox reads a pattern of LIST: an AString in which wildcards stand. One
// that is in no encoding is taken as it stands.
func (p *Parser) ListMailbox() string {
	var s string
	if p.Peek() == '"' {
		s = p.String()
	} else {
		s = p.run("a mailbox pattern", func(c byte) bool {
			return atomChar(c) || c == ']' || c == '%' || c == '*' || c >= 0x80
		})
	}
	if name, err := p.decode(s); err == nil {
		return name
	}
	return s
}

// Number64 reads a number below 2^63.
func (p *Parser) Number64() int64 {
	s := p.run("a number", func(c byte) bool { return c >= '0' && c <= '9' })
	if p.err != nil {
		return 0
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		p.Fail("number %.20s is too large", s)
	}
	return n
}

// Number reads a number below 2^32.
func (p *Parser) Number() uint32 {
	n := p.Number64()
	if n > math.MaxUint32 {
		p.Fail("number %d is too large", n)
		return 0
	}
	return uint32(n)
}

// List reads items in parentheses, separated by one space, at least one.
func (p *Parser) List(item func()) {
	p.Expect('(')
	for p.err == nil {
		item()
		if p.Take(')') {
			return
		}
		p.SP()
	}
}

// MaybeList is List that also takes an empty one.
func (p *Parser) MaybeList(item func()) {
	if p.err == nil && p.at+1 < len(p.b) && p.b[p.at] == '(' && p.b[p.at+1] == ')' {
		p.at += 2
		return
	}
	p.List(item)
}

// Mailbox reads a mailbox's name and gives it in UTF-8, INBOX in upper case. One
// that is no name makes the error ErrName.
func (p *Parser) Mailbox() string {
	s, err := p.decode(p.AString())
	if err != nil && p.err == nil {
		p.err = err
	}
	if p.err != nil {
		return ""
	}
	if strings.EqualFold(s, "INBOX") { // RFC 9051 section 5.1
		return "INBOX"
	}
	return s
}

func (p *Parser) decode(s string) (string, error) {
	if p.UTF8 || !isASCII(s) {
		if !utf8.ValidString(s) {
			return "", ErrName
		}
		return s, nil
	}
	return DecodeName(s)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// Flag reads a flag or keyword as it stands.
func (p *Parser) Flag() string {
	if p.Take('\\') {
		return `\` + p.Atom()
	}
	return p.Atom()
}

// Flags reads flags as STORE has them: a list, perhaps empty, or bare ones.
func (p *Parser) Flags() []string {
	var flags []string
	item := func() { flags = append(flags, p.Flag()) }
	if p.Peek() == '(' {
		p.MaybeList(item)
		return flags
	}
	for item(); p.Take(' ') && p.err == nil; {
		item()
	}
	return flags
}

// Date reads a date as SEARCH has it: 1-Feb-1994, quoted or not.
func (p *Parser) Date() time.Time {
	s := p.AString()
	if p.err != nil {
		return time.Time{}
	}
	t, err := time.Parse("2-Jan-2006", s)
	if err != nil {
		p.Fail("%.40q is not a date: they look like 1-Feb-1994", s)
	}
	return t
}

// Rest is what was not read yet.
func (p *Parser) Rest() string {
	if p.err != nil {
		return ""
	}
	return p.b[p.at:]
}
