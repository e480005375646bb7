package fetch

import (
	"bytes"
	"errors"
	"io"

	"tenma/relay/mailbox"
	"tenma/relay/wire/header"
	wire "tenma/relay/wire/imap"
	"tenma/relay/wire/mime"
)

// ErrEncoding says that BINARY was asked of a part whose transfer encoding
// nobody here knows (RFC 3516 section 4.3: UNKNOWN-CTE). NIL or 0 was written.
var ErrEncoding = errors.New("fetch: unknown content-transfer-encoding")

// Message is one message after the other that items are asked of. Of each it reads
// what it must know once, and nothing that is kept beside it.
type Message struct {
	items  []wire.Item
	wanted []*mailbox.Wanted // of each item that asks for fields of the message itself

	known Known
	open  func() (Source, error)
	src   Source // nil: not opened
	tree  *mime.Part
	found bool // tree was found in the message, not kept beside it
	top   *top
	env   *mime.Envelope

	fields []byte       // that were kept
	span   []mime.Range // of fields, for each item; empty: it was not kept
}

// top is the header section of the message itself.
type top struct {
	section header.Section
	whole   mime.Range // with the empty line
}

// New makes a Message for these items, which are not to be changed. Begin is to be
// called for each message, and End.
func New(items []wire.Item) *Message {
	m := &Message{items: items, wanted: make([]*mailbox.Wanted, len(items)), span: make([]mime.Range, len(items))}
	for i := range items {
		if s := &items[i].Section; items[i].Kind == wire.BodySection && len(s.Part) == 0 && s.Text == wire.HeaderFields {
			m.wanted[i] = mailbox.NewWanted(s.Fields)
		}
	}
	return m
}

// End lets the message go.
func (m *Message) End() {
	if m.src != nil {
		_ = m.src.Close() // it was read, and what was read counts
		m.src = nil
	}
}

// Tree is the structure, if it had to be found, for Begin to be given it again; nil
// if it is large: an idle session shall not hold such a one.
func (m *Message) Tree() *mime.Part {
	if m.tree == nil || !m.found || parts(m.tree, maxTree) > maxTree {
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

// Begin reads what writing items will want to know of the next message. known is
// what is kept of it, or nil; open is called if that is not enough; tree is what Tree
// gave for the same message before, or nil. Only reading the message can fail.
func (m *Message) Begin(known Known, open func() (Source, error), tree *mime.Part) error {
	m.known, m.open, m.src, m.tree, m.found, m.top, m.env, m.fields = known, open, nil, tree, tree != nil, nil, nil, m.fields[:0]
	for i := range m.items {
		if m.span[i] = (mime.Range{}); !Needs(m.items[i].Kind) || m.kept(i) {
			continue
		}
		if err := m.read(&m.items[i]); err != nil {
			m.End()
			return err
		}
	}
	return nil
}

// kept says that what is kept of the message is enough for an item.
func (m *Message) kept(i int) (ok bool) {
	if m.known == nil {
		return false
	}
	switch it := &m.items[i]; {
	case it.Kind == wire.Envelope:
		m.env, ok = m.known.Envelope()
	case it.Kind == wire.Body || it.Kind == wire.BodyStructure:
		ok = m.tree != nil || m.structure()
	case m.wanted[i] != nil:
		from := int64(len(m.fields))
		m.fields, ok = m.known.AppendFields(m.fields, m.wanted[i])
		m.span[i] = mime.Range{Start: from, End: int64(len(m.fields))}
	}
	return ok
}

// structure takes the tree that is kept.
func (m *Message) structure() (ok bool) {
	if m.known != nil {
		m.tree, ok = m.known.Structure()
	}
	return ok
}

// read reads what an item needs.
func (m *Message) read(it *wire.Item) (err error) {
	if m.src == nil {
		src, err := m.open()
		if err != nil {
			return err
		}
		m.src = src
	}
	switch {
	case m.byTop(it):
		return m.readTop()
	case m.tree == nil && !whole(it) && !m.structure():
		return m.parse()
	}
	return nil
}

func (m *Message) parse() (err error) {
	m.found = true
	m.tree, err = mime.Parse(m.src, m.src.Size(), mime.Limits{})
	return err
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
	if m.top != nil && m.top.section == nil || m.tree != nil && (it.Kind != wire.Envelope || m.found) {
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
		return m.parse()
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
		for i := range m.items {
			if &m.items[i] == it && m.span[i].Len() > 0 {
				piece := cut(m.span[i], &it.Section)
				w.Literal(piece.Len())
				_, err := noNUL{w}.Write(m.fields[piece.Start:piece.End])
				return err
			}
		}
		return m.writeSection(w, &it.Section)
	}
	return nil
}

func (m *Message) envelope() *mime.Envelope {
	switch {
	case m.env != nil:
		return m.env
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
