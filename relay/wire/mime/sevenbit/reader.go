package sevenbit

import (
	"bytes"
	"encoding/base64"
	"io"
	"slices"
	"strings"

	"tenma/relay/wire/mime"
)

// Reader gives the message in r, the one that the plan was made for, in its
// other form. It holds a header section at a time, and otherwise some KiB.
func (p *Plan) Reader(r io.Reader) io.Reader { return &reader{plan: p, src: r} }

// reader works through the steps of a plan, each by a series of turns.
type reader struct {
	plan *Plan
	src  io.Reader
	next int   // step to be begun
	at   int64 // where it begins
	turn func() (done bool, err error)
	out  bytes.Buffer
	in   [8 << 10]byte
	err  error
}

func (r *reader) Read(p []byte) (int, error) {
	for r.out.Len() == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.out.Reset()
		r.err = r.work()
	}
	return r.out.Read(p)
}

// work takes one turn.
func (r *reader) work() error {
	if r.turn == nil {
		if r.next == len(r.plan.steps) {
			return io.EOF
		}
		st := &r.plan.steps[r.next]
		part := &exactly{r.src, st.end - r.at}
		r.next++
		r.at = st.end
		switch st.do {
		case keep:
			r.turn = r.copying(part, &r.out)
		case scrub:
			r.turn = r.copying(part, &scrubber{w: &r.out, need: st.need})
		case fields:
			r.turn = func() (bool, error) { return true, r.header(part, st) }
		default:
			r.turn = r.encoding(part, st)
		}
	}
	done, err := r.turn()
	if done {
		r.turn = nil
	}
	return err
}

// exactly reads n octets, and not one less.
type exactly struct {
	r io.Reader
	n int64
}

func (e *exactly) Read(p []byte) (int, error) {
	if e.n == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.n)])
	e.n -= int64(n)
	switch {
	case n > 0:
		return n, nil
	case err == io.EOF:
		return 0, io.ErrUnexpectedEOF
	}
	return 0, err
}

// copying is the turn that passes a piece of part on to w.
func (r *reader) copying(part io.Reader, w io.Writer) func() (bool, error) {
	return func() (bool, error) {
		n, err := part.Read(r.in[:])
		if err == io.EOF {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		_, err = w.Write(r.in[:n])
		return false, err
	}
}

// encoding is the turn that encodes a piece of a content.
func (r *reader) encoding(part io.Reader, st *step) func() (bool, error) {
	text, _ := mime.DecodeTransfer(part, st.from)
	var w io.WriteCloser
	if st.to == "quoted-printable" {
		w = &quoter{w: &r.out}
	} else {
		w = base64.NewEncoder(base64.StdEncoding, &wrapper{w: &r.out})
	}
	piece := r.copying(text, w)
	return func() (bool, error) {
		done, err := piece()
		if !done || err != nil {
			return done, err
		}
		err = w.Close()
		if st.last && st.to == "base64" {
			r.out.WriteString("\r\n")
		}
		return true, err
	}
}

// header writes a header section anew.
func (r *reader) header(part io.Reader, st *step) error {
	text, err := io.ReadAll(part)
	if err != nil {
		return err
	}
	text, err = rewrite(text, st)
	r.out.Write(text)
	return err
}

// wrapper breaks lines after 76 octets (RFC 2045 section 6.8).
type wrapper struct {
	w   *bytes.Buffer
	col int
}

func (w *wrapper) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if w.col == 76 {
			w.w.WriteString("\r\n")
			w.col = 0
		}
		m := min(len(p), 76-w.col)
		w.w.Write(p[:m])
		p = p[m:]
		w.col += m
	}
	return n, nil
}

// scrubber replaces what does not pass by question marks, and breaks long lines.
// It is for the text around the parts of a multipart, which is to be ignored
// (RFC 2046 section 5.1.1).
type scrubber struct {
	w    *bytes.Buffer
	need Need
	col  int
}

func (s *scrubber) Write(p []byte) (int, error) {
	for _, c := range p {
		switch {
		case c == '\n':
			s.col = -1
		case s.col == MaxLine && c != '\r':
			s.w.WriteString("\r\n ") // the space keeps it from becoming a delimiter
			s.col = 1
		}
		s.w.WriteByte(s.need.clean(c))
		s.col++
	}
	return len(p), nil
}

// clean gives c, or what stands for it.
func (n Need) clean(c byte) byte {
	if n.bad(c) {
		return '?'
	}
	return c
}

// bad reports an octet that does not pass.
func (n Need) bad(c byte) bool { return c == 0 || c >= 0x80 && n == SevenBits }

// passes reports text that passes.
func (n Need) passes(text []byte) bool {
	for line := range bytes.Lines(text) {
		if len(line) > MaxLine+2 {
			return false
		}
	}
	return !slices.ContainsFunc(text, n.bad)
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c == 0 || c >= 0x80 })
}
