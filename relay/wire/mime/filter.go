package mime

import (
	"io"
	"strings"
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
				wanted = among(line, names) != not
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

// among tells whether the field that begins with line has one of the names.
func among(line []byte, names []string) bool {
	for _, name := range names {
		if n := len(name); n > 0 && len(line) > n && line[0]|0x20 == name[0]|0x20 && strings.EqualFold(string(line[:n]), name) {
			for _, c := range line[n:] {
				if c == ':' {
					return true
				}
				if c != ' ' && c != '\t' { // RFC 5322 section 4.5.8
					break
				}
			}
		}
	}
	return false
}
