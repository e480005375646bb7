package mime

import (
	"bytes"
	"io"
)

// WriteFields writes those fields of the header section in a range of the
// message whose names are among names, or with not set all others, as they
// stand and in their order, and the empty line behind them (RFC 9051 section
// 6.4.5.1, HEADER.FIELDS). n is what it wrote: write to io.Discard first to
// know it. It holds 64 KiB of the header at a time, whatever there is in it.
func WriteFields(w io.Writer, r io.ReaderAt, section Range, names []string, not bool) (n int64, err error) {
	s := newScanner(r, section.Start, section.End)
	write := func(b []byte) error {
		m, err := w.Write(b)
		n += int64(m)
		return err
	}
	fields := wantFields(names)
	wanted, ended, inLine := false, true, false
	for {
		line, _, err := s.next()
		if err != nil {
			return n, err
		}
		if len(line) == 0 {
			break
		}
		if !inLine {
			if line[0] == '\n' || line[0] == '\r' && len(line) == 2 && line[1] == '\n' {
				break
			}
			if line[0] != ' ' && line[0] != '\t' { // no continuation
				wanted = fields.has(line) != not
			}
		}
		inLine = line[len(line)-1] != '\n'
		if wanted {
			if err := write(line); err != nil {
				return n, err
			}
			ended = !inLine
		}
	}
	if !ended {
		if err := write([]byte("\r\n")); err != nil {
			return n, err
		}
	}
	return n, write([]byte("\r\n"))
}

// wanted are names of fields, in lower case. A header may have a million fields and a
// client may ask for hundreds of names, so that each field is looked up once.
type wantedFields struct {
	names   map[string]bool
	longest int
}

func wantFields(names []string) *wantedFields {
	w := &wantedFields{names: make(map[string]bool, len(names))}
	for _, name := range names {
		if name != "" {
			w.names[string(appendLower(nil, []byte(name)))] = true
			w.longest = max(w.longest, len(name))
		}
	}
	return w
}

// maxNameSpace is how many spaces may stand between a field's name and its colon.
const maxNameSpace = 1000

// has tells whether the field that begins with line has one of the names.
func (w *wantedFields) has(line []byte) bool {
	n := bytes.IndexByte(line[:min(len(line), w.longest+maxNameSpace)], ':')
	if n < 0 {
		return false
	}
	name := bytes.TrimRight(line[:n], " \t") // RFC 5322 section 4.5.8
	var lower [64]byte
	return w.names[string(appendLower(lower[:0], name))]
}

// appendLower appends text with small letters for capitals.
func appendLower(to, text []byte) []byte {
	for _, c := range text {
		if c-'A' < 26 {
			c += 'a' - 'A'
		}
		to = append(to, c)
	}
	return to
}
