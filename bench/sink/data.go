package sink

import (
	"bytes"

	"tenma/bench/load"
)

// scanner looks for the end of the data (RFC 5321 section 4.1.1.4), CRLF "."
// CRLF, in pieces of any length. Nothing else ends it: a line that ends with a
// bare LF or CR is text. The zero value stands in the middle of a line.
type scanner struct{ matched int } // octets of end seen at the end of the piece

// end is what is looked for.
var end = []byte("\r\n.\r\n")

// start is at the beginning of the data, where the line before has ended.
func (s *scanner) start() { s.matched = 2 }

// next gives how much of p belongs to the data, the end included, and whether
// that was the end.
func (s *scanner) next(p []byte) (n int, done bool) {
	i := 0
	for s.matched > 0 && i < len(p) { // the end may straddle the border
		s.matched = follow(s.matched, p[i])
		i++
		if s.matched == len(end) {
			s.matched = 0
			return i, true
		}
	}
	if i == len(p) {
		return i, false
	}
	if at := bytes.Index(p[i:], end); at >= 0 {
		return i + at + len(end), true
	}
	for k := min(len(end)-1, len(p)-i); k > 0; k-- {
		if bytes.HasSuffix(p[i:], end[:k]) {
			s.matched = k
			break
		}
	}
	return len(p), false
}

// follow gives how many octets of end are matched after one more: another one,
// or the CR that begins anew, or none.
func follow(matched int, b byte) int {
	switch b {
	case end[matched]:
		return matched + 1
	case '\r':
		return 1
	}
	return 0
}

// maxField is how much of a header line is looked at: enough for any load.Tag.
const maxField = 128

// heads reads the header of a message in pieces of any length.
type heads struct {
	over       bool // the header has ended
	tagged     bool
	tag        load.Tag
	signatures int64

	part [maxField]byte // the beginning of a line that goes on in the next piece
	n    int
}

// start is at the beginning of a message.
func (h *heads) start() {
	h.over, h.tagged, h.signatures, h.n = false, false, 0, 0
}

// next reads a piece.
func (h *heads) next(p []byte) {
	for !h.over && len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			h.n += copy(h.part[h.n:], p)
			return
		}
		line := p[:min(i, maxField)]
		if h.n > 0 {
			h.n += copy(h.part[h.n:], line)
			line = h.part[:h.n]
			h.n = 0
		}
		h.line(line)
		p = p[i+1:]
	}
}

var signature = []byte("DKIM-Signature:")

// line reads one line, or as much of it as matters. Field names are in any
// case (RFC 5322 section 1.2.2).
func (h *heads) line(l []byte) {
	if len(l) == 0 || len(l) == 1 && l[0] == '\r' {
		h.over = true
		return
	}
	switch l[0] | 0x20 {
	case 'd':
		if len(l) >= len(signature) && bytes.EqualFold(l[:len(signature)], signature) {
			h.signatures++
		}
	case 'x':
		if n := len(load.Field); len(l) > n && l[n] == ':' && bytes.EqualFold(l[:n], []byte(load.Field)) && !h.tagged {
			h.value(l[n+1:])
		}
	}
}

// value reads a tag without a new string for its run, which is that of the
// message before, most of the time.
func (h *heads) value(v []byte) {
	v = bytes.TrimSpace(v)
	run, number, _ := bytes.Cut(v, []byte(" "))
	if h.tag.Run == string(run) && len(number) > 0 && len(number) < 9 {
		n := uint32(0)
		for _, c := range number {
			if c < '0' || c > '9' {
				return
			}
			n = n*10 + uint32(c-'0')
		}
		if n < load.MaxMessages {
			h.tag.N, h.tagged = n, true
		}
		return
	}
	if t, ok := load.ParseTag(string(v)); ok {
		h.tag, h.tagged = t, true
	}
}
