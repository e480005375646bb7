package transfer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"tenma/relay/mailbox"
	"tenma/relay/wire/header"
)

// ImportMbox reads the mbox file name, which r gives with size octets, into a
// folder, which is made if it is not there.
func ImportMbox(ctx context.Context, box *mailbox.Mailbox, folder, name string, r io.ReaderAt, size int64, o Options) (Result, error) {
	im := &importer{box: box, o: o}
	if err := im.folder(ctx, folder); err != nil {
		return im.result, err
	}
	n := 0
	err := scanMbox(r, size, func(p part) error {
		n++
		m := message{where: fmt.Sprintf("%s: message %d at octet %d", name, n, p.start), date: p.date}
		head, err := p.state(&m)
		if err != nil {
			return fmt.Errorf("%s: %w", m.where, err)
		}
		if head.Count("X-IMAP") > 0 && n == 1 {
			return nil // a note of the University of Washington's programs to themselves
		}
		m.source = p.open
		return im.add(ctx, folder, m)
	})
	return im.result, err
}

// part is one message of an mbox file: the octets from start to before end,
// quoted.
type part struct {
	r          io.ReaderAt
	start, end int64
	date       time.Time // of the From_ line; zero: none
}

// maxFrom bounds a From_ line in octets.
const maxFrom = 1000

// scanMbox calls fn for each message. A From_ line is one that begins the file,
// or that comes behind an empty line and ends with a date: so text that somebody
// forgot to quote does not break a message in two.
func scanMbox(r io.ReaderAt, size int64, fn func(part) error) error {
	in := bufio.NewReaderSize(io.NewSectionReader(r, 0, size), 64<<10)
	var (
		at    int64
		now   *part
		empty = true // the line before was empty
		last  int64  // length of that line, if empty
	)
	finish := func(end int64) error {
		if now == nil {
			return nil
		}
		now.end = max(end-last, now.start) // the empty line belongs to the format
		return fn(*now)
	}
	whole := true // the next octets begin a line
	for {
		line, err := in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) && !errors.Is(err, io.EOF) {
			return err
		}
		if len(line) == 0 { // the end
			return finish(at)
		}
		begins := whole
		whole = !errors.Is(err, bufio.ErrBufferFull)
		if begins && empty && whole && bytes.HasPrefix(line, []byte("From ")) {
			if date, ok := fromDate(line); ok || at == 0 {
				if err := finish(at); err != nil {
					return err
				}
				now = &part{r: r, start: at + int64(len(line)), date: date}
			}
		}
		if now == nil && len(bytes.TrimSpace(line)) > 0 {
			return errors.New("not an mbox file: it does not begin with \"From \"")
		}
		at += int64(len(line))
		empty, last = false, 0
		if begins && whole && len(bytes.TrimRight(line, "\r\n")) == 0 {
			empty, last = true, int64(len(line))
		}
	}
}

// fromDate reads the date of a From_ line, in the form of asctime, UTC if it
// names no zone.
func fromDate(line []byte) (time.Time, bool) {
	if len(line) > maxFrom {
		return time.Time{}, false
	}
	words := strings.Fields(string(line))
	// "From sender Mon Jan  2 15:04:05 2006", with a zone before or behind the
	// year; what follows ("remote from x") is of UUCP's days.
	for i := 2; i+4 < len(words); i++ {
		for _, form := range []struct {
			layout string
			words  int
		}{
			{"Mon Jan 2 15:04:05 2006", 5},
			{"Mon Jan 2 15:04:05 2006 -0700", 6},
			{"Mon Jan 2 15:04:05 -0700 2006", 6},
			{"Mon Jan 2 15:04:05 MST 2006", 6},
			{"Mon Jan 2 15:04 2006", 5},
		} {
			if i+form.words > len(words) {
				continue
			}
			// The longest form that fits is wanted: a zone behind the year.
			if t, err := time.Parse(form.layout, strings.Join(words[i:i+form.words], " ")); err == nil {
				if i+6 <= len(words) {
					if zoned, err := time.Parse("Mon Jan 2 15:04:05 2006 -0700", strings.Join(words[i:i+6], " ")); err == nil {
						t = zoned
					}
				}
				return t, true
			}
		}
	}
	return time.Time{}, false
}

// stateFields are where mail programs keep flags; they are no part of a message.
func isState(f header.Field) bool {
	for _, name := range []string{"Status", "X-Status", "X-Keywords", "X-UID", "X-IMAPbase", "X-IMAP"} {
		if f.Is(name) {
			return true
		}
	}
	return false
}

// open gives the message, unquoted and without the fields of its state.
func (p part) open() (io.ReadCloser, error) {
	body := &unquoted{in: bufio.NewReaderSize(io.NewSectionReader(p.r, p.start, p.end-p.start), 16<<10), line: true}
	head, rest, err := splitHead(body)
	if err != nil {
		return nil, err
	}
	kept := make([]byte, 0, len(head))
	for f := range head.Fields() {
		if !isState(f) {
			kept = append(kept, f.Raw...)
		}
	}
	return io.NopCloser(io.MultiReader(bytes.NewReader(kept), bytes.NewReader(rest), body)), nil
}

// splitHead reads the header section of r, and gives what it read beyond.
func splitHead(r io.Reader) (head header.Section, rest []byte, err error) {
	var b []byte
	buf := make([]byte, 8<<10)
	for searched := 0; ; {
		n, err := r.Read(buf)
		b = append(b, buf[:n]...)
		if end, _, ok := header.End(b, searched); ok {
			return header.Section(b[:end]), b[end:], nil
		}
		searched = len(b)
		if errors.Is(err, io.EOF) {
			return header.Section(b), nil, nil
		}
		if err != nil || len(b) > maxHead {
			return nil, b, err
		}
	}
}

// state reads the flags that mail programs noted in the header.
func (p part) state(m *message) (header.Section, error) {
	body := &unquoted{in: bufio.NewReaderSize(io.NewSectionReader(p.r, p.start, p.end-p.start), 16<<10), line: true}
	head, _, err := splitHead(body)
	if err != nil {
		return nil, err
	}
	for _, c := range head.Text("Status") + head.Text("X-Status") {
		if f := mboxFlags(c); f != "" {
			m.flags = append(m.flags, f)
		}
	}
	for word := range strings.FieldsSeq(head.Text("X-Keywords")) {
		if isKeyword(word) && len(m.flags) < mailbox.MaxKeywords {
			m.flags = append(m.flags, word)
		}
	}
	return head, nil
}

// mboxFlags are the letters of Status and X-Status, by common usage.
func mboxFlags(c rune) string {
	switch c {
	case 'R':
		return `\Seen`
	case 'A':
		return `\Answered`
	case 'F':
		return `\Flagged`
	case 'T':
		return `\Draft`
	case 'D':
		return `\Deleted`
	}
	return ""
}

// unquoted takes one ">" from lines that are "From " behind any number of them.
type unquoted struct {
	in   *bufio.Reader
	line bool // the next octet begins a line
	rest []byte
}

func (u *unquoted) Read(p []byte) (int, error) {
	if len(u.rest) == 0 {
		slice, err := u.in.ReadSlice('\n')
		if len(slice) == 0 {
			return 0, err
		}
		begins := u.line
		u.line = slice[len(slice)-1] == '\n'
		if begins && slice[0] == '>' && bytes.HasPrefix(bytes.TrimLeft(slice, ">"), []byte("From ")) {
			slice = slice[1:]
		}
		u.rest = slice
	}
	n := copy(p, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

// ExportMbox writes a folder as mboxrd, lines ended by LF.
func ExportMbox(ctx context.Context, box *mailbox.Mailbox, folder string, w io.Writer, progress func(folder string, r Result)) (r Result, err error) {
	out := bufio.NewWriterSize(w, 64<<10)
	err = export(ctx, box, folder, func(v *mailbox.View, seq int, m *mailbox.Message) error {
		c, err := v.Open(seq)
		if errors.Is(err, mailbox.ErrExpunged) {
			return nil
		}
		if err != nil {
			return err
		}
		defer c.Close()
		fmt.Fprintf(out, "From MAILER-DAEMON %s\n", m.Date.UTC().Format(time.ANSIC))
		q := &quoted{out: out, state: mboxState(v, m.Flags), begins: true, head: true}
		if _, err := c.WriteTo(q); err != nil {
			return err
		}
		if err := q.finish(); err != nil {
			return err
		}
		r.Done++
		if progress != nil {
			progress(folder, r)
		}
		return nil
	})
	return r, errors.Join(err, out.Flush())
}

// export calls fn for each message of a folder.
func export(ctx context.Context, box *mailbox.Mailbox, folder string, fn func(*mailbox.View, int, *mailbox.Message) error) error {
	v, err := box.Select(folder, true)
	if err != nil {
		return fmt.Errorf("folder %q: %w", folder, err)
	}
	defer v.Close()
	var failed error
	err = v.Each(ctx, 1, v.Len(), func(seq int, m *mailbox.Message) bool {
		if failed = fn(v, seq, m); failed != nil {
			failed = fmt.Errorf("folder %q, UID %d: %w", folder, m.UID, failed)
		}
		return failed == nil && ctx.Err() == nil
	})
	return errors.Join(err, failed, context.Cause(ctx))
}

// mboxState writes flags as fields.
func mboxState(v *mailbox.View, f mailbox.Flags) string {
	system, keywords := flagsOf(v, f)
	status, x := "O", ""
	if system&mailbox.Seen != 0 {
		status = "RO"
	}
	for _, one := range []struct {
		flag   mailbox.Flags
		letter string
	}{{mailbox.Answered, "A"}, {mailbox.Flagged, "F"}, {mailbox.Draft, "T"}, {mailbox.Deleted, "D"}} {
		if system&one.flag != 0 {
			x += one.letter
		}
	}
	s := "Status: " + status + "\n"
	if x != "" {
		s += "X-Status: " + x + "\n"
	}
	if len(keywords) > 0 {
		s += "X-Keywords: " + strings.Join(keywords, " ") + "\n"
	}
	return s
}

// quoted writes a message with LF line ends, quotes its From_ lines, and puts
// state at the end of its header.
type quoted struct {
	out    *bufio.Writer
	state  string
	begins bool   // the next octet begins a line
	head   bool   // in the header section
	held   []byte // the start of a line that may be to be quoted, or CR
}

func (q *quoted) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := bytes.IndexByte(rest, '\n') + 1
		if n == 0 {
			q.held = append(q.held, rest...)
			if len(q.held) > maxFrom { // decided: no line this long waits
				q.flush(false)
			}
			break
		}
		q.held = append(q.held, rest[:n]...)
		q.flush(true)
		rest = rest[n:]
	}
	return len(p), nil
}

// flush writes what is held; ended says that it ends a line.
func (q *quoted) flush(ended bool) {
	line := q.held
	var cr bool
	if ended {
		line = bytes.TrimSuffix(line[:len(line)-1], []byte("\r"))
	} else if cr = bytes.HasSuffix(line, []byte("\r")); cr {
		line = line[:len(line)-1]
	}
	if q.begins {
		if q.head && len(line) == 0 && ended {
			q.endHead()
		}
		if bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte("From ")) {
			_ = q.out.WriteByte('>')
		}
	}
	_, _ = q.out.Write(line) // its error is Flush's as well
	if ended {
		_ = q.out.WriteByte('\n')
	}
	q.begins = ended
	q.held = q.held[:0]
	if cr {
		q.held = append(q.held, '\r')
	}
}

func (q *quoted) endHead() {
	_, _ = q.out.WriteString(q.state)
	q.head = false
}

// finish ends the message with an empty line.
func (q *quoted) finish() error {
	if len(q.held) > 0 || !q.begins {
		q.held = append(q.held, '\n')
		q.flush(true)
	}
	if q.head {
		q.endHead()
	}
	return q.out.WriteByte('\n')
}
