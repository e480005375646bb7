package header

import (
	"bytes"
	"strings"
)

// Field is one header field as it stands in the message, folding and line ends
// included. It shares memory with the Section it came from.
type Field struct{ Raw []byte }

// colon finds the end of the name, -1 for a line that is no field.
func (f Field) colon() int {
	i := bytes.IndexByte(f.Raw, ':')
	if i <= 0 {
		return -1
	}
	name := trimRight(f.Raw[:i])
	if len(name) == 0 {
		return -1
	}
	for _, c := range name { // ftext, RFC 5322 section 3.6.8
		if c <= ' ' || c == 0x7f {
			return -1
		}
	}
	return i
}

// Name is the field's name as written, without the white space that obsolete
// syntax allows before the colon (RFC 5322 section 4.5.8); nil for a line that
// is no field.
func (f Field) Name() []byte {
	i := f.colon()
	if i < 0 {
		return nil
	}
	return trimRight(f.Raw[:i])
}

// Is reports that the field has this name, in any case (RFC 5322 section
// 1.2.2).
func (f Field) Is(name string) bool {
	if name == "" || len(f.Raw) <= len(name) || f.Raw[0]|0x20 != name[0]|0x20 {
		return false // nearly always
	}
	own := f.Name()
	if len(own) != len(name) {
		return false
	}
	for i, c := range own {
		if lower(c) != lower(name[i]) {
			return false
		}
	}
	return true
}

// Value is what follows the colon, folding and line end included; nil for a
// line that is no field.
func (f Field) Value() []byte {
	i := f.colon()
	if i < 0 {
		return nil
	}
	return f.Raw[i+1:]
}

// Text is the value unfolded (RFC 5322 section 2.2.3): each run of white space
// that holds a line end becomes one space, white space at both ends goes.
func (f Field) Text() string {
	v := bytes.Trim(f.Value(), " \t\r\n")
	if bytes.IndexByte(v, '\n') < 0 {
		return string(v)
	}
	var b strings.Builder
	b.Grow(len(v))
	for i := 0; i < len(v); {
		n := 0
		for i+n < len(v) && isSpace(v[i+n]) {
			n++
		}
		switch {
		case n == 0:
			b.WriteByte(v[i])
			n = 1
		case bytes.IndexByte(v[i:i+n], '\n') >= 0:
			b.WriteByte(' ')
		default:
			b.Write(v[i : i+n])
		}
		i += n
	}
	return b.String()
}

func trimRight(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
