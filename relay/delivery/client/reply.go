package client

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"tenma/relay/wire/smtp"
)

// Limits of what a remote may say. RFC 5321 section 4.5.3.1.5 gives a line 512
// octets; real servers exceed that, none seen comes near these.
const (
	maxLine  = 4096     // octets of a line, end included
	maxLines = 128      // of a reply
	maxReply = 16 << 10 // octets of a reply's text
	maxText  = 2048     // octets that Words keeps, about what a log line can bear
)

// ErrProtocol is wrapped by errors about octets that are no SMTP reply. The
// connection is of no further use: where the next reply begins is unknown.
var ErrProtocol = errors.New("not an SMTP reply")

// Reply is one reply as it came in. Its text lies in the connection's buffer
// and is good until the next reply is read; Words makes a lasting copy.
type Reply struct {
	Code int // 200 to 599
	text []byte
}

// Positive reports a completion reply, 2yz.
func (r Reply) Positive() bool { return r.Code/100 == 2 }

// Lines are the raw text: without code, lines joined by "\n".
func (r Reply) Lines() []byte { return r.text }

// Words gives the reply as a value that may be kept: the enhanced status taken
// off the front of the lines (RFC 2034 section 4: each line repeats it), no
// controls, valid UTF-8, at most 2,048 octets. A status whose class contradicts
// the code is left in the text.
func (r Reply) Words() smtp.Reply {
	w := smtp.Reply{Code: r.Code}
	text := string(r.text[:min(len(r.text), 2*maxText)])
	if s, rest, ok := smtp.ParseStatus(text); ok && int(s[0]) == r.Code/100 {
		w.Status = s
		text = strings.TrimPrefix(rest, "\n")
		if strings.Contains(text, "\n") {
			text = strings.ReplaceAll(text, "\n"+s.String()+" ", "\n")
		}
	}
	w.Text = Clean(text)
	return w
}

// Clean makes a remote's text fit to be logged, shown and put into a DSN:
// controls (C0 but for "\n", DEL, C1) become spaces, what is no UTF-8 becomes
// "?", spaces around it go, and it is cut to 2,048 octets.
func Clean(s string) string {
	if len(s) <= maxText && printable(s) {
		return strings.TrimSpace(s)
	}
	var b strings.Builder
	for i := 0; i < len(s) && b.Len() < maxText-utf8.UTFMax; {
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteByte('?')
		case r == '\n':
			b.WriteByte('\n')
		case r < 0x20 || r >= 0x7f && r < 0xa0:
			b.WriteByte(' ')
		default:
			b.WriteRune(r)
		}
	}
	return strings.TrimSpace(b.String())
}

func printable(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 && c != '\n' || c >= 0x7f {
			return false
		}
	}
	return true
}

// reader cuts a stream of octets into replies.
type reader struct {
	src        io.Reader
	buf        []byte
	start, end int
	text       []byte
}

// next reads one reply: lines of one code, "-" behind it on all but the last
// (RFC 5321 section 4.2.1). A bare LF ends a line too.
func (r *reader) next() (Reply, error) {
	r.text = r.text[:0]
	var code int
	for n := 1; ; n++ {
		line, err := r.line()
		if err != nil {
			return Reply{}, err
		}
		c, text, last, ok := parseLine(line)
		switch {
		case !ok:
			return Reply{}, fmt.Errorf("%w: %q", ErrProtocol, line[:min(len(line), 64)])
		case n > 1 && c != code:
			return Reply{}, fmt.Errorf("%w: a line of %d among lines of %d", ErrProtocol, c, code)
		case n > maxLines || len(r.text)+len(text) > maxReply:
			return Reply{}, fmt.Errorf("%w: it does not end", ErrProtocol)
		}
		code = c
		if n > 1 {
			r.text = append(r.text, '\n')
		}
		r.text = append(r.text, text...)
		if last {
			return Reply{Code: code, text: r.text}, nil
		}
	}
}

// line gives one line without its end; it lies in buf until the next call.
func (r *reader) line() ([]byte, error) {
	scanned := 0
	for {
		if i := bytes.IndexByte(r.buf[r.start+scanned:r.end], '\n'); i >= 0 {
			line := r.buf[r.start : r.start+scanned+i]
			r.start += scanned + i + 1
			return bytes.TrimSuffix(line, []byte{'\r'}), nil
		}
		scanned = r.end - r.start
		if r.start > 0 {
			copy(r.buf, r.buf[r.start:r.end])
			r.start, r.end = 0, scanned
		}
		if r.buf == nil {
			r.buf = make([]byte, maxLine)
		}
		if r.end == len(r.buf) {
			return nil, fmt.Errorf("%w: a line of more than %d octets", ErrProtocol, maxLine)
		}
		n, err := r.src.Read(r.buf[r.end:])
		r.end += n
		if n == 0 && err != nil {
			if err == io.EOF && scanned > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// buffered reports octets that came in and were not asked for.
func (r *reader) buffered() bool { return r.end > r.start }

// parseLine takes a reply line apart. The code is three digits, the first 2 to
// 5, and stands alone or before a space or hyphen.
func parseLine(line []byte) (code int, text []byte, last, ok bool) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' {
		return 0, nil, false, false
	}
	for _, c := range line[:3] {
		if c < '0' || c > '9' {
			return 0, nil, false, false
		}
		code = code*10 + int(c-'0')
	}
	switch {
	case len(line) == 3:
		return code, nil, true, true
	case line[3] == ' ':
		return code, line[4:], true, true
	case line[3] == '-':
		return code, line[4:], false, true
	}
	return 0, nil, false, false
}
