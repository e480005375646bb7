package maillog

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// maxText is the most octets of one text that a record keeps. Replies are the
// only ones that can be so long.
const maxText = 4096

const lowerHex = "0123456789abcdef"

// appendString appends s as a JSON string (RFC 8259 section 7), cut to maxText
// octets.
func appendString(b []byte, s string) []byte {
	return append(appendEscaped(append(b, '"'), s), '"')
}

// appendEscaped appends what stands between the quotes of a JSON string.
// Octets that are no UTF-8 become U+FFFD. Line and paragraph separators are
// escaped for readers that take them for line ends.
func appendEscaped(b []byte, s string) []byte {
	if len(s) > maxText {
		s = s[:maxText]
	}
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' && c != 0x7f {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, `\n`...)
			default:
				b = append(b, `\u00`...)
				b = append(b, lowerHex[c>>4], lowerHex[c&15])
			}
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || r == '\u2028' || r == '\u2029' {
			b = append(b, s[start:i]...)
			b = append(b, `\u`...)
			b = append(b, lowerHex[r>>12&15], lowerHex[r>>8&15], lowerHex[r>>4&15], lowerHex[r&15])
			start = i + n
		}
		i += n
	}
	return append(b, s[start:]...)
}

// appendSeconds appends a duration as a JSON number of seconds with six
// decimals, rounded down to the microsecond.
func appendSeconds(b []byte, d time.Duration) []byte {
	if d < 0 {
		b = append(b, '-')
		d = -max(d, -1<<62)
	}
	b = strconv.AppendInt(b, int64(d/time.Second), 10)
	b = append(b, '.')
	us := int64(d % time.Second / time.Microsecond)
	for div := int64(100_000); div > 0; div /= 10 {
		b = append(b, byte('0'+us/div%10))
	}
	return b
}

// appendTime appends a time as a JSON string, RFC 3339 in UTC with
// milliseconds. Years that RFC 3339 cannot write become its first or last.
func appendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	switch y := t.Year(); {
	case y < 0:
		t = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	case y > 9999:
		t = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	}
	b = append(b, '"')
	b = t.AppendFormat(b, time.RFC3339) // the form that package time is fast at
	b[len(b)-1] = '.'                   // was "Z"
	ms := t.Nanosecond() / 1e6
	return append(b, byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z', '"')
}
