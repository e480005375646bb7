package mime

import (
	"io"
	"strings"
)

// DecodeTransfer undoes a Content-Transfer-Encoding (RFC 2045 section 6) while
// it is read. Broken encodings give what can be made of them: what is not of
// base64's alphabet is left out, what is not quoted-printable stands as it is.
// ok is false for an encoding that nobody knows; the octets come as they are
// then.
func DecodeTransfer(r io.Reader, encoding string) (decoded io.Reader, ok bool) {
	switch strings.ToLower(encoding) {
	case "", "7bit", "8bit", "binary":
		return r, true
	case "quoted-printable":
		return &decoder{src: r, step: (&quotedPrintable{}).step}, true
	case "base64":
		return &decoder{src: r, step: (&base64{}).step}, true
	}
	return r, false
}

// decoder reads src through step, which appends to out what in decodes to, and
// at the end, with in nil, what it held back.
type decoder struct {
	src  io.Reader
	step func(out, in []byte) []byte
	out  []byte // not read yet
	buf  []byte // that out lies in
	in   [4 << 10]byte
	err  error
}

func (d *decoder) Read(p []byte) (int, error) {
	for len(d.out) == 0 {
		if d.err != nil {
			return 0, d.err
		}
		n, err := d.src.Read(d.in[:])
		d.out = d.step(d.buf[:0], d.in[:n])
		if err != nil {
			d.err = err
			d.out = d.step(d.out, nil)
		}
		d.buf = d.out
	}
	n := copy(p, d.out)
	d.out = d.out[n:]
	return n, nil
}

// quotedPrintable: RFC 2045 section 6.7.
type quotedPrintable struct {
	held []byte // "=" and what may belong to it, or white space that may end a line
}

// maxHeld bounds white space that is held back; a line has 76 octets (rule 5).
const maxHeld = 1000

func (q *quotedPrintable) step(out, in []byte) []byte {
	if in == nil {
		if n := len(q.held); n > 0 && q.held[0] == '=' {
			out = append(out, q.held...)
		} else if n > 0 && q.held[n-1] == '\r' {
			out = append(out, '\r')
		}
		q.held = q.held[:0]
		return out
	}
	for i := 0; i < len(in); i++ {
		c := in[i]
	again:
		switch {
		case len(q.held) == 0:
			if c == '=' || c == ' ' || c == '\t' || c == '\r' {
				q.held = append(q.held, c)
			} else {
				out = append(out, c)
			}
		case q.held[0] == '=':
			last := q.held[len(q.held)-1]
			switch {
			case c == '\n': // a soft line break; white space at its end was added on the way
				if len(q.held) == 2 && unhex(last) < 16 {
					out = append(out, q.held...)
					out = append(out, c)
				}
				q.held = q.held[:0]
			case len(q.held) == 2 && unhex(last) < 16 && unhex(c) < 16:
				out = append(out, unhex(last)<<4|unhex(c))
				q.held = q.held[:0]
			case len(q.held) == 1 && unhex(c) < 16, (c == ' ' || c == '\t' || c == '\r') && unhex(last) == 16 && len(q.held) < maxHeld:
				q.held = append(q.held, c)
			default:
				out = append(out, q.held...)
				q.held = q.held[:0]
				goto again
			}
		case c == '\n': // white space at the end of a line was added on the way (rule 3)
			if q.held[len(q.held)-1] == '\r' {
				out = append(out, '\r')
			}
			out = append(out, c)
			q.held = q.held[:0]
		case (c == ' ' || c == '\t' || c == '\r') && len(q.held) < maxHeld && q.held[len(q.held)-1] != '\r':
			q.held = append(q.held, c)
		default:
			out = append(out, q.held...)
			q.held = q.held[:0]
			goto again
		}
	}
	return out
}

// unhex gives the value of a hexadecimal digit, of either case, 16 for others.
func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 16
}

// base64: RFC 2045 section 6.8.
type base64 struct {
	bits uint32
	n    int // of bits' letters
}

func (b *base64) step(out, in []byte) []byte {
	if in == nil {
		return b.flush(out)
	}
	for _, c := range in {
		v := byte(64)
		switch {
		case c >= 'A' && c <= 'Z':
			v = c - 'A'
		case c >= 'a' && c <= 'z':
			v = c - 'a' + 26
		case c >= '0' && c <= '9':
			v = c - '0' + 52
		case c == '+':
			v = 62
		case c == '/':
			v = 63
		case c == '=': // texts that were joined go on behind it
			out = b.flush(out)
			continue
		default:
			continue
		}
		b.bits = b.bits<<6 | uint32(v)
		if b.n++; b.n == 4 {
			out = append(out, byte(b.bits>>16), byte(b.bits>>8), byte(b.bits))
			b.bits, b.n = 0, 0
		}
	}
	return out
}

// flush gives the octets of letters that are no whole four.
func (b *base64) flush(out []byte) []byte {
	switch b.n {
	case 2:
		out = append(out, byte(b.bits>>4))
	case 3:
		out = append(out, byte(b.bits>>10), byte(b.bits>>2))
	}
	b.bits, b.n = 0, 0
	return out
}
