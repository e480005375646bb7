package blob

import (
	"bytes"
	"math"
)

// maxBody is the largest body: lists of messages hold sizes in 32 bits, and a
// message has a header of its own beside.
const maxBody = math.MaxUint32 - 64<<10

// lines passes a message on in the form in which it is kept: every line ends with
// CRLF (RFC 5322 section 2.1, RFC 9051 section 2.3.4), the last one too, so that
// the size that is told is that of what POP3 and IMAP send. SMTP brings nothing
// else; programs that append have bare LF at times, and files without a last
// line end. A CR that ends no line stays: it may be a part of what was signed, and
// no protocol here takes it for a line end.
type lines struct {
	w         *writer
	said, got int64
	last      byte // the last octet, 0 before the first
}

// Write takes a piece of the message, however cut.
func (l *lines) Write(p []byte) (int, error) {
	if l.got += int64(len(p)); l.got > l.said {
		return 0, ErrSize
	}
	from := 0
	for i := 0; i < len(p); i++ {
		k := bytes.IndexByte(p[i:], '\n')
		if k < 0 {
			break
		}
		i += k
		before := l.last
		if i > 0 {
			before = p[i-1]
		}
		if before == '\r' {
			continue
		}
		if err := l.w.write(p[from:i]); err != nil {
			return 0, err
		}
		if err := l.w.write([]byte{'\r'}); err != nil {
			return 0, err
		}
		from = i
	}
	if len(p) > 0 {
		l.last = p[len(p)-1]
	}
	return len(p), l.w.write(p[from:])
}

// end ends the last line.
func (l *lines) end() error {
	switch {
	case l.got != l.said:
		return ErrSize
	case l.got == 0 || l.last == '\n':
		return nil
	case l.last == '\r':
		return l.w.write([]byte{'\n'})
	}
	return l.w.write([]byte("\r\n"))
}
