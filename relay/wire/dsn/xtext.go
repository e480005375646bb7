package dsn

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ErrSyntax is wrapped by the errors of every parser here.
var ErrSyntax = errors.New("dsn: bad syntax")

// Limits of RFC 3461 sections 4.2 and 4.4, in octets as encoded.
const (
	MaxEnvID = 100
	MaxORcpt = 500
)

const upperHex = "0123456789ABCDEF"

// AppendXtext appends s as xtext (RFC 3461 section 4): printable ASCII other
// than "+" and "=" as it is, all else as "+" and two hexadecimal digits. The
// result can stand in any SMTP command, whatever s holds.
func AppendXtext(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; isXchar(c) {
			b = append(b, c)
		} else {
			b = append(b, '+', upperHex[c>>4], upperHex[c&15])
		}
	}
	return b
}

// ParseXtext decodes xtext. What comes out may hold any octet, line ends too:
// clean it before it goes into a header. Lower-case hexadecimal digits are
// taken, although RFC 3461 wants upper case. Errors wrap ErrSyntax.
func ParseXtext(s string) (string, error) {
	if strings.IndexByte(s, '+') < 0 && strings.IndexByte(s, '=') < 0 && allXchar(s) {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '+':
			if i+2 >= len(s) {
				return "", fmt.Errorf("%w: xtext ends inside an escape", ErrSyntax)
			}
			v, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", fmt.Errorf("%w: xtext escape %q", ErrSyntax, s[i:i+3])
			}
			b.WriteByte(byte(v))
			i += 2
		case isXchar(c):
			b.WriteByte(c)
		default:
			return "", fmt.Errorf("%w: octet %#02x in xtext", ErrSyntax, c)
		}
	}
	return b.String(), nil
}

// isXchar reports what xtext leaves as it is: "!" to "~" but "+" and "=".
func isXchar(c byte) bool { return c > ' ' && c < 0x7f && c != '+' && c != '=' }

func allXchar(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isXchar(s[i]) {
			return false
		}
	}
	return true
}

// appendUTF8Xtext appends s as utf-8-addr-xtext (RFC 6533 section 3): ASCII
// only, fit for an ORCPT parameter and for a report in ASCII alike. Octets
// that are not UTF-8 become U+FFFD, as the form has no place for them.
func appendUTF8Xtext(b []byte, s string) []byte {
	for _, r := range s {
		if r < utf8.RuneSelf && isXchar(byte(r)) && r != '\\' {
			b = append(b, byte(r))
			continue
		}
		b = append(b, `\x{`...)
		b = append(b, strings.ToUpper(strconv.FormatInt(int64(r), 16))...)
		b = append(b, '}')
	}
	return b
}

// parseUTF8Xtext decodes utf-8-addr-xtext and utf-8-addr-unitext. Errors wrap
// ErrSyntax.
func parseUTF8Xtext(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", fmt.Errorf("%w: not UTF-8", ErrSyntax)
	}
	var b strings.Builder
	for len(s) > 0 {
		c := s[0]
		switch {
		case c >= utf8.RuneSelf:
			_, n := utf8.DecodeRuneInString(s)
			b.WriteString(s[:n])
			s = s[n:]
		case c == '\\':
			hex, rest, ok := strings.Cut(strings.TrimPrefix(s, `\x{`), "}")
			v, err := strconv.ParseUint(hex, 16, 32)
			if !ok || err != nil || !strings.HasPrefix(s, `\x{`) || len(hex) > 6 || !utf8.ValidRune(rune(v)) {
				return "", fmt.Errorf("%w: UTF-8 address escape", ErrSyntax)
			}
			b.WriteRune(rune(v))
			s = rest
		case isXchar(c):
			b.WriteByte(c)
			s = s[1:]
		default:
			return "", fmt.Errorf("%w: octet %#02x in a UTF-8 address", ErrSyntax, c)
		}
	}
	return b.String(), nil
}
