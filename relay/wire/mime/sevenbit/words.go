package sevenbit

import (
	"fmt"
	"mime"
	"strings"
	"unicode/utf8"
)

// charsetOf is the charset that encoded text says it is in.
func charsetOf(s string) string {
	if utf8.ValidString(s) {
		return "utf-8"
	}
	return "unknown-8bit" // RFC 1428 section 3
}

// appendWords writes unstructured text. From the first to the last word beyond
// ASCII all is encoded, since the white space between encoded words is not
// shown (RFC 2047 section 6.2).
func appendWords(b []byte, text string) []byte {
	first := strings.IndexFunc(text, func(c rune) bool { return c >= 0x80 })
	if first < 0 {
		return append(b, text...)
	}
	last := len(text)
	for text[last-1] < 0x80 {
		last--
	}
	from := strings.LastIndexByte(text[:first], ' ') + 1
	to := len(text)
	if n := strings.IndexByte(text[last:], ' '); n >= 0 {
		to = last + n
	}
	b = append(b, text[:from]...)
	b = append(b, encoded(mime.QEncoding, text[from:to])...)
	return append(b, text[to:]...)
}

// encoded gives encoded words of at most 75 octets each (RFC 2047 section 2).
func encoded(e mime.WordEncoder, s string) string {
	const most = 40 // octets of a word: as base64 with its frame under 75
	charset := charsetOf(s)
	if charset == "utf-8" {
		return e.Encode(charset, s) // which splits it
	}
	var words []string
	for len(s) > 0 {
		n := min(len(s), most/2) // quoted, an octet takes three
		words = append(words, e.Encode(charset, s[:n]))
		s = s[n:]
	}
	return strings.Join(words, " ")
}

// appendAddresses writes a list of addresses. Display names become encoded
// words, in base64, whose alphabet is allowed in a phrase (RFC 2047 section 5,
// (3)); an address itself cannot be in ASCII (RFC 6531).
func appendAddresses(b []byte, text string) ([]byte, error) {
	for len(text) > 0 {
		n := 1
		switch c := text[0]; {
		case c == '(':
			n = commentEnd(text)
			b = appendComment(b, text[:n])
		case c == '<':
			if n = strings.IndexByte(text, '>') + 1; n == 0 {
				n = len(text)
			}
			if !isASCII(text[:n]) {
				return nil, fmt.Errorf("%w: an address beyond ASCII in the header", ErrUnfit)
			}
			b = append(b, text[:n]...)
		case strings.IndexByte(",;: \t>)", c) >= 0:
			b = append(b, c)
		default:
			n = max(outside(text, "<(,;:"), 1) // words and quoted strings
			phrase := strings.TrimRight(text[:n], " \t")
			n = len(phrase)
			switch {
			case isASCII(phrase):
				b = append(b, phrase...)
			case bareAddress(phrase):
				return nil, fmt.Errorf("%w: an address beyond ASCII in the header", ErrUnfit)
			default:
				b = append(b, encoded(mime.BEncoding, unquoted(phrase))...)
			}
		}
		text = text[n:]
	}
	return b, nil
}

// bareAddress reports an address that stands without angle brackets.
func bareAddress(phrase string) bool {
	return strings.IndexByte(phrase, '@') >= 0 && !strings.ContainsAny(phrase, "\" \t")
}

// commentEnd gives the length of the comment at the start of s.
func commentEnd(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}

// appendComment writes a comment (RFC 2047 section 5, (2)).
func appendComment(b []byte, comment string) []byte {
	if isASCII(comment) {
		return append(b, comment...)
	}
	inner := strings.TrimSuffix(comment[1:], ")")
	return append(append(append(b, '('), encoded(mime.BEncoding, inner)...), ')')
}

// outside gives the place of the first of the octets in stops that stands outside
// quotation marks, or the length of s.
func outside(s, stops string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && strings.IndexByte(stops, c) >= 0:
			return i
		}
	}
	return len(s)
}

// unquoted takes out quotation marks and backslashes (RFC 5322 section 3.2.4).
func unquoted(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] != '"':
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// appendParams writes the value of Content-Type or Content-Disposition: values
// of parameters beyond ASCII are encoded (RFC 2231 section 4).
func appendParams(b []byte, text string) ([]byte, error) {
	for first := true; text != ""; first = false {
		n := outside(text, ";")
		one := text[:n]
		text = strings.TrimPrefix(text[n:], ";")
		if !first {
			b = append(b, ';')
		}
		if isASCII(one) {
			b = append(b, one...)
			continue
		}
		name, value, ok := strings.Cut(one, "=")
		name = strings.TrimSpace(name)
		value = unquoted(strings.TrimSpace(value))
		if !ok || first || !isASCII(name) || strings.EqualFold(name, "boundary") || len(value) > maxValue {
			return nil, fmt.Errorf("%w: a media type beyond ASCII", ErrUnfit)
		}
		b = append(append(append(b, ' '), strings.TrimSuffix(name, "*")...), "*="...)
		if !strings.HasSuffix(name, "*") { // else it says its charset itself
			b = append(append(b, charsetOf(value)...), "''"...)
		}
		b = appendPercent(b, value, strings.HasSuffix(name, "*"))
	}
	return b, nil
}

// maxValue is the longest value, in octets, that fits in a line when encoded.
const maxValue = 300

// appendPercent writes s with escapes for all but letters, digits and a few
// marks (RFC 2231 section 7, attribute-char). Where it has escapes already, those
// stay.
func appendPercent(b []byte, s string, escaped bool) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		plain := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-._~!#$&+^`{|}", c) >= 0
		if plain && c < 0x80 || escaped && c > ' ' && c < 0x7f {
			b = append(b, c)
		} else {
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}
