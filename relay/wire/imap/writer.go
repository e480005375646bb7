package imap

import (
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// flushAt is how much a Writer collects before it writes. A line of FETCH FLAGS
// takes 50 octets, so that some hundred go in one call.
const flushAt = 16 << 10

// Writer writes responses piece by piece. Its first error stays. Flush at the
// end of a command.
type Writer struct {
	w   io.Writer
	buf []byte
	n   int64
	err error
	// UTF8 allows UTF-8 in quoted strings and mailbox names.
	UTF8 bool
}

// NewWriter writes to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Raw writes text as it is.
func (w *Writer) Raw(s string) {
	w.buf = append(w.buf, s...)
	if len(w.buf) >= flushAt {
		_ = w.Flush()
	}
}

// Bytes writes octets as they are; long ones are not copied.
func (w *Writer) Bytes(b []byte) {
	if len(w.buf)+len(b) < flushAt {
		w.buf = append(w.buf, b...)
		return
	}
	if w.Flush() == nil {
		w.write(b)
	}
}

// Write is Bytes as io.Writer has it.
func (w *Writer) Write(b []byte) (int, error) {
	w.Bytes(b)
	if w.err != nil {
		return 0, w.err
	}
	return len(b), nil
}

func (w *Writer) write(b []byte) {
	n, err := w.w.Write(b)
	w.n += int64(n)
	if w.err == nil {
		w.err = err
	}
}

// Flush writes what is collected and gives the first error.
func (w *Writer) Flush() error {
	if w.err == nil && len(w.buf) > 0 {
		w.write(w.buf)
	}
	w.buf = w.buf[:0]
	return w.err
}

// Written is how many octets were written so far.
func (w *Writer) Written() int64 { return w.n }

// Number writes a number.
func (w *Writer) Number(n int64) { w.buf = strconv.AppendInt(w.buf, n, 10) }

// Unsigned writes a number.
func (w *Writer) Unsigned(n uint64) { w.buf = strconv.AppendUint(w.buf, n, 10) }

// Set writes a set.
func (w *Writer) Set(r []Range) { w.buf = AppendRanges(w.buf, r) }

// maxQuoted is the longest text that goes in quotes.
const maxQuoted = 1000

// String writes a quoted string, or a literal if it must be one. NUL cannot be
// written in either and becomes a question mark.
func (w *Writer) String(s string) {
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "?")
	}
	if len(s) > maxQuoted || !w.quotable(s) {
		w.Literal(int64(len(s)))
		w.Raw(s)
		return
	}
	w.buf = append(w.buf, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			w.buf = append(w.buf, '\\')
		}
		w.buf = append(w.buf, s[i])
	}
	w.buf = append(w.buf, '"')
}

func (w *Writer) quotable(s string) bool {
	high := false
	for i := range len(s) {
		c := s[i]
		if c == '\r' || c == '\n' || c >= 0x80 && !w.UTF8 {
			return false
		}
		high = high || c >= 0x80
	}
	return !high || utf8.ValidString(s)
}

// Literal begins a literal of n octets; the caller writes them.
func (w *Writer) Literal(n int64) {
	w.Raw("{")
	w.Number(n)
	w.Raw("}\r\n")
}

// NString writes a string, or NIL if there is none.
func (w *Writer) NString(s string, there bool) {
	if !there {
		w.Raw("NIL")
		return
	}
	w.String(s)
}

// AString writes an atom if it can be one.
func (w *Writer) AString(s string) {
	for i := range len(s) {
		if !atomChar(s[i]) {
			w.String(s)
			return
		}
	}
	if s == "" || strings.EqualFold(s, "NIL") {
		w.String(s)
		return
	}
	w.Raw(s)
}

// Mailbox writes a mailbox's name.
func (w *Writer) Mailbox(name string) {
	if !w.UTF8 {
		name = EncodeName(name)
	}
	w.AString(name)
}

// FlagList writes flags in parentheses.
func (w *Writer) FlagList(flags []string) {
	w.Raw("(")
	for i, f := range flags {
		if i > 0 {
			w.Raw(" ")
		}
		w.Raw(f)
	}
	w.Raw(")")
}

// DateTime writes a date-time, in quotes.
func (w *Writer) DateTime(t time.Time) {
	w.buf = append(w.buf, '"')
	w.buf = t.AppendFormat(w.buf, "_2-Jan-2006 15:04:05 -0700")
	w.buf = append(w.buf, '"')
}

// Err is the first error, without writing anything.
func (w *Writer) Err() error { return w.err }
