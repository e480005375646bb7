package sevenbit

import "bytes"

// quoter writes text as quoted-printable (RFC 2045 section 6.7). CRLF ends a line;
// all else comes out of a decoder as it went in, white space at the end of a line
// and a lone CR or LF included.
//
// It differs from the standard library's in one thing: no soft line break puts
// hyphens at the start of a line, where they could make the delimiter of the
// multipart around the text.
type quoter struct {
	w    *bytes.Buffer
	col  int
	held byte // white space, which must not end a line as it is
	cr   bool
}

// maxQuoted is the longest line, its soft line break included (rule 5).
const maxQuoted = 76

func (q *quoter) Write(p []byte) (int, error) {
	for _, c := range p {
		if q.cr {
			q.cr = false
			if c == '\n' {
				q.endLine()
				continue
			}
			q.release()
			q.escape('\r')
		}
		switch {
		case c == '\r':
			q.cr = true
			continue
		case c == ' ' || c == '\t':
			q.release()
			q.held = c
			continue
		}
		q.release()
		if c > ' ' && c < 0x7f && c != '=' {
			q.put(c)
		} else {
			q.escape(c)
		}
	}
	return len(p), nil
}

// Close writes what was held back.
func (q *quoter) Close() error {
	q.quoteSpace()
	if q.cr {
		q.escape('\r')
	}
	return nil
}

// release writes white space that something follows.
func (q *quoter) release() {
	if q.held != 0 {
		q.put(q.held)
		q.held = 0
	}
}

// quoteSpace writes white space that ends a line (rule 3).
func (q *quoter) quoteSpace() {
	if q.held != 0 {
		q.escape(q.held)
		q.held = 0
	}
}

func (q *quoter) endLine() {
	q.quoteSpace()
	q.w.WriteString("\r\n")
	q.col = 0
}

func (q *quoter) put(c byte) {
	if q.soft(1); q.col == 0 && c == '-' {
		q.escape(c)
		return
	}
	q.w.WriteByte(c)
	q.col++
}

func (q *quoter) escape(c byte) {
	const hex = "0123456789ABCDEF"
	q.soft(3)
	q.w.Write([]byte{'=', hex[c>>4], hex[c&15]})
	q.col += 3
}

// soft breaks the line if n octets more have no room.
func (q *quoter) soft(n int) {
	if q.col+n > maxQuoted-1 {
		q.w.WriteString("=\r\n")
		q.col = 0
	}
}
