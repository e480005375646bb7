package header

import (
	"bytes"
	"iter"
)

// Section is a header section: lines each ended by CRLF (a bare LF is
// understood too), without the empty line that separates it from the body. The
// last line may lack its end.
type Section []byte

// Split cuts a message into its header section and its body. The empty line
// between them belongs to neither. A message without an empty line is all
// header (RFC 5322 section 3.5 makes the body optional).
func Split(msg []byte) (h Section, body []byte) {
	end, start, ok := End(msg, 0)
	if !ok {
		return Section(msg), nil
	}
	return Section(msg[:end]), msg[start:]
}

// End looks for the empty line that ends the header section of msg, which may
// still be growing: searched is 0 at first and then the length that msg had at
// the last call. It gives the length of the section and where the body starts.
func End(msg []byte, searched int) (end, body int, ok bool) {
	if n := emptyLine(msg, 0); n > 0 {
		return 0, n, true // no header at all
	}
	// An empty line can straddle two calls: its line feed and the one before it
	// are at most two octets apart.
	for i := max(searched-2, 0); ; i++ {
		lf := bytes.IndexByte(msg[i:], '\n')
		if lf < 0 {
			return 0, 0, false
		}
		i += lf
		if n := emptyLine(msg, i+1); n > 0 {
			return i + 1, i + 1 + n, true
		}
	}
}

// emptyLine gives the length of the empty line at msg[i:], 0 if there is none.
func emptyLine(msg []byte, i int) int {
	switch {
	case i < len(msg) && msg[i] == '\n':
		return 1
	case i+1 < len(msg) && msg[i] == '\r' && msg[i+1] == '\n':
		return 2
	}
	return 0
}

// Fields gives the fields of s in order. Their Raw parts, joined, are s.
func (s Section) Fields() iter.Seq[Field] {
	return func(yield func(Field) bool) {
		for rest := []byte(s); len(rest) > 0; {
			n := fieldEnd(rest)
			if !yield(Field{Raw: rest[:n:n]}) {
				return
			}
			rest = rest[n:]
		}
	}
}

// fieldEnd gives the length of the field at the start of b: a line and the
// lines after it that begin with white space (RFC 5322 section 2.2.3).
func fieldEnd(b []byte) int {
	for i := 0; ; {
		lf := bytes.IndexByte(b[i:], '\n')
		if lf < 0 {
			return len(b)
		}
		i += lf + 1
		if i == len(b) || b[i] != ' ' && b[i] != '\t' {
			return i
		}
	}
}

// Get gives the first field of that name.
func (s Section) Get(name string) (Field, bool) {
	for f := range s.Fields() {
		if f.Is(name) {
			return f, true
		}
	}
	return Field{}, false
}

// Text gives the unfolded value of the first field of that name, "" if there
// is none.
func (s Section) Text(name string) string {
	f, _ := s.Get(name)
	return f.Text()
}

// Count tells how often a field occurs.
func (s Section) Count(name string) int {
	n := 0
	for f := range s.Fields() {
		if f.Is(name) {
			n++
		}
	}
	return n
}

// Without gives s without the fields of that name. It shares memory with s
// where nothing had to go.
func (s Section) Without(name string) Section {
	if s.Count(name) == 0 {
		return s
	}
	kept := make(Section, 0, len(s))
	for f := range s.Fields() {
		if !f.Is(name) {
			kept = append(kept, f.Raw...)
		}
	}
	return kept
}
