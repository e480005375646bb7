package fetch

import (
	"bytes"
	"errors"
	"io"

	"tenma/relay/wire/header"
	wire "tenma/relay/wire/imap"
	"tenma/relay/wire/mime"
)

// ErrEncoding says that BINARY was asked of a part whose transfer encoding
// nobody here knows (RFC 3516 section 4.3: UNKNOWN-CTE). NIL or 0 was written.
var ErrEncoding = errors.New("fetch: unknown content-transfer-encoding")

// Source is a message's octets.
type Source interface {
	io.ReaderAt
	Size() int64
}

// Message is one message that items are asked of. It reads what it must know
// once.
type Message struct {
	src  Source
	tree *mime.Part
	top  *top

	known *mime.Envelope
}

// top is the header section of the message itself.
type top struct {
	section header.Section
	whole   mime.Range // with the empty line
}

// New makes a Message. tree is what Tree gave for the same message before, or
// nil.
func New(src Source, tree *mime.Part) *Message { return &Message{src: src, tree: tree} }

// Known makes a Message of which only the envelope is known and can be written.
func Known(e *mime.Envelope) *Message { return &Message{known: e} }

// Tree is the structure, if it had to be found, for New to be given it again; nil
// if it is large: an idle session shall not hold such a one.
func (m *Message) Tree() *mime.Part {
	if m.tree == nil || parts(m.tree, maxTree) > maxTree {
		return nil
	}
	return m.tree
}

// maxTree is of how many parts a structure may have that a session keeps.
const maxTree = 100

// parts counts the parts of a tree, but not much beyond most.
func parts(p *mime.Part, most int) int {
	n := 1
	for _, c := range p.Children {
		if n > most {
			break
		}
		n += parts(c, most-n)
	}
	return n
}

// Needs says that an item is written from the octets of a message.
func Needs(k wire.Kind) bool {
	switch k {
	case wire.Envelope, wire.Body, wire.BodyStructure, wire.BodySection, wire.RFC822, wire.RFC822Header, wire.RFC822Text, wire.Binary, wire.BinarySize:
		return true
	}
	return false
}

// Prepare reads what writing items will want to know. Only reading the message
// can fail.
func (m *Message) Prepare(items []wire.Item) error {
	for i := range items {
		it := &items[i]
		var err error
		switch {
		case !Needs(it.Kind):
		case m.byTop(it):
			err = m.readTop()
		case m.tree == nil && !whole(it):
			m.tree, err = mime.Parse(m.src, m.src.Size(), mime.Limits{})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// whole says that it is all of the message.
func whole(it *wire.Item) bool {
	switch it.Kind {
	case wire.RFC822:
		return true
	case wire.BodySection, wire.Binary, wire.BinarySize:
		return len(it.Section.Part) == 0 && it.Section.Text == wire.All
	}
	return false
}

// byTop says that the header of the message itself is enough.
func (m *Message) byTop(it *wire.Item) bool {
	if m.tree != nil || m.top != nil && m.top.section == nil {
		return false
	}
	switch it.Kind {
	case wire.Envelope, wire.RFC822Header, wire.RFC822Text:
		return true
	case wire.BodySection:
		return len(it.Section.Part) == 0 && it.Section.Text != wire.All
	}
	return false
}

// readTop reads the header of the message, or all of it if the header is too
// long to be held.
func (m *Message) readTop() error {
	if m.top != nil {
		return nil
	}
	h, complete, err := mime.ReadHeader(m.src, m.src.Size(), 0)
	if err != nil {
		return err
	}
	if !complete {
		m.top = &top{}
		m.tree, err = mime.Parse(m.src, m.src.Size(), mime.Limits{})
		return err
	}
	end := int64(len(h))
	var line [2]byte
	n, err := m.src.ReadAt(line[:min(2, m.src.Size()-end)], end)
	switch {
	case n > 0 && line[0] == '\n':
		end++
	case n == 2 && line[0] == '\r' && line[1] == '\n':
		end += 2
	case err != nil && !errors.Is(err, io.EOF):
		return err
	}
	if h == nil {
		h = header.Section{}
	}
	m.top = &top{h, mime.Range{Start: 0, End: end}}
	return nil
}

// place finds a section; false if the message has none such.
func (m *Message) place(s *wire.Section) (mime.Range, bool) {
	if len(s.Part) == 0 {
		if s.Text == wire.All {
			return mime.Range{Start: 0, End: m.src.Size()}, true
		}
		if m.top != nil && m.top.section != nil {
			if s.Text == wire.TextOnly {
				return mime.Range{Start: m.top.whole.End, End: m.src.Size()}, true
			}
			return m.top.whole, true
		}
	}
	var what mime.What
	switch s.Text {
	case wire.Header, wire.HeaderFields, wire.HeaderFieldsNot:
		what = mime.Header
	case wire.TextOnly:
		what = mime.Text
	case wire.MIME:
		what = mime.MIME
	}
	return m.tree.Section(s.Part, what)
}

// Write writes one item, its name first. The error is that of reading, after
// which the response cannot be ended, or ErrEncoding.
func (m *Message) Write(w *wire.Writer, it *wire.Item) error {
	w.ItemName(it)
	w.Raw(" ")
	switch it.Kind {
	case wire.Envelope:
		writeEnvelope(w, m.envelope())
	case wire.Body, wire.BodyStructure:
		writeStructure(w, m.tree, it.Kind == wire.BodyStructure)
	case wire.Binary, wire.BinarySize:
		return m.writeBinary(w, it)
	default:
		return m.writeSection(w, &it.Section)
	}
	return nil
}

func (m *Message) envelope() *mime.Envelope {
	switch {
	case m.known != nil:
		return m.known
	case m.tree != nil && m.tree.Envelope != nil:
		return m.tree.Envelope
	case m.top != nil:
		return mime.ParseEnvelope(m.top.section)
	}
	return &mime.Envelope{}
}

func (m *Message) writeSection(w *wire.Writer, s *wire.Section) error {
	r, ok := m.place(s)
	if !ok {
		w.Raw("NIL")
		return nil
	}
	if s.Text == wire.HeaderFields || s.Text == wire.HeaderFieldsNot {
		return m.writeFields(w, r, s)
	}
	r = cut(r, s)
	w.Literal(r.Len())
	return copyRange(noNUL{w}, m.src, r)
}

// cut takes the partial range of a section (RFC 9051 section 6.4.5.1): from
// beyond the end on it is empty.
func cut(r mime.Range, s *wire.Section) mime.Range {
	if s.Partial {
		r.Start += min(s.Offset, r.Len())
		r.End = r.Start + min(s.Count, r.Len())
	}
	return r
}

// chunk is how much of a message is held while it is copied.
const chunk = 64 << 10

func copyRange(w io.Writer, src io.ReaderAt, r mime.Range) error {
	buf := make([]byte, min(chunk, r.Len()))
	for at := r.Start; at < r.End; {
		n := int(min(int64(len(buf)), r.End-at))
		if got, err := src.ReadAt(buf[:n], at); got < n {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		if _, err := w.Write(buf[:n]); err != nil {
			return err
		}
		at += int64(n)
	}
	return nil
}

// writeFields writes HEADER.FIELDS and its opposite: once to count, once in
// earnest.
func (m *Message) writeFields(w *wire.Writer, r mime.Range, s *wire.Section) error {
	not := s.Text == wire.HeaderFieldsNot
	n, err := mime.WriteFields(io.Discard, m.src, r, s.Fields, not)
	if err != nil {
		return err
	}
	piece := cut(mime.Range{Start: 0, End: n}, s)
	w.Literal(piece.Len())
	_, err = mime.WriteFields(&window{w: noNUL{w}, r: piece}, m.src, r, s.Fields, not)
	return err
}

// window lets a range through of what is written to it.
type window struct {
	w  io.Writer
	r  mime.Range
	at int64
}

func (v *window) Write(b []byte) (int, error) {
	from, to := max(v.r.Start-v.at, 0), min(v.r.End-v.at, int64(len(b)))
	v.at += int64(len(b))
	if from < to {
		if _, err := v.w.Write(b[from:to]); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// noNUL puts another octet, 80 hexadecimal, in the place of NUL, which no literal
// may hold (RFC 9051 section 4.3). Mail that came from outside may have it.
type noNUL struct{ w io.Writer }

func (n noNUL) Write(b []byte) (int, error) {
	if bytes.IndexByte(b, 0) >= 0 {
		b = bytes.ReplaceAll(b, []byte{0}, []byte{0x80})
	}
	return n.w.Write(b)
}
