package search

import (
	"bytes"
	"context"
	"io"
	"strings"

	"tenma/relay/mailbox"
	"tenma/relay/wire/header"
	"tenma/relay/wire/mime"
)

// reader reads messages, one after the other, for the steps that need them.
type reader struct {
	query *Query
	buf   []byte // 32 KiB
	fold  []byte // what was folded last
	text  stream

	content mailbox.Content // nil: not opened
	head    header.Section
	looked  bool // text holds the answers for the message
}

const readSize = 32 << 10

func (r *reader) open(v View, seq int) error {
	c, err := v.Open(seq)
	if err != nil {
		return err
	}
	r.content = c
	r.head, _, err = mime.ReadHeader(c, c.Size(), 0)
	return err
}

func (r *reader) close() {
	if r.content != nil {
		r.content.Close()
	}
	r.content, r.head, r.looked = nil, nil, false
}

// hasField tells whether a field of that name has the text; of an address
// list also if the addresses in it do, in their plain form.
func (r *reader) hasField(name string, text []byte) bool {
	for f := range r.head.Fields() {
		if !f.Is(name) {
			continue
		}
		if len(text) == 0 || r.matches(name, decodeField(name, f.Text()), text) {
			return true
		}
	}
	return false
}

func isAddresses(name string) bool {
	switch name {
	case "from", "to", "cc", "bcc", "sender", "reply-to":
		return true
	}
	return false
}

func decodeField(name, text string) string {
	if isAddresses(name) {
		return mime.DecodeAddresses(text)
	}
	return mime.DecodeHeader(text)
}

// matches compares a field's decoded text.
func (r *reader) matches(name, value string, text []byte) bool {
	if r.has(value, text) {
		return true
	}
	// Comments and quotes can stand in the middle of an address.
	if !isAddresses(name) || strings.IndexByte(value, '(') < 0 && strings.IndexByte(value, '"') < 0 {
		return false
	}
	for _, a := range mime.ParseAddresses(value) {
		if r.has(a.Name+" <"+a.Mailbox+"@"+a.Host+">", text) {
			return true
		}
	}
	return false
}

func (r *reader) has(value string, text []byte) bool {
	if len(value) < len(text)/16 { // folding does not make text so much longer
		return false
	}
	r.fold = fold(r.fold[:0], value)
	return bytes.Contains(r.fold, text)
}

// look reads the text of the message until every text that is looked for is
// found.
func (r *reader) look(ctx context.Context) error {
	if r.looked {
		return nil
	}
	r.looked = true
	s := &r.text
	if s.seeks == nil {
		s.seeks, s.found = r.query.seeks, make([]bool, len(r.query.seeks))
	}
	s.open = 0
	for i, seek := range s.seeks {
		if s.found[i] = len(seek.text) == 0; !s.found[i] { // the empty text is in any
			s.open++
		}
	}
	s.skip = func(k seek) bool { return !k.header }
	r.fields(r.head)
	s.skip = nil
	if s.open == 0 {
		return nil
	}
	root, err := mime.Parse(&cancelled{ctx, r.content}, r.content.Size(), mime.Limits{})
	if err != nil {
		return err
	}
	return r.part(ctx, root)
}

// fields looks into the fields of a header.
func (r *reader) fields(h header.Section) {
	for f := range h.Fields() {
		if r.text.open == 0 {
			return
		}
		r.text.reset()
		r.text.write(f.Name())
		r.text.write([]byte(": "))
		r.text.write([]byte(decodeField(strings.ToLower(string(f.Name())), f.Text())))
	}
}

// part looks into the text of a part, and of those in it: texts, and the
// headers and texts of messages. Files of other kinds hold no text that a
// person would look for.
func (r *reader) part(ctx context.Context, p *mime.Part) error {
	if r.text.open == 0 {
		return nil
	}
	if p.Message() {
		inner := p.Children[0]
		h, _, err := mime.ReadHeader(io.NewSectionReader(r.content, inner.Header.Start, inner.Header.Len()), inner.Header.Len(), 0)
		if err != nil {
			return err
		}
		r.fields(h)
	}
	for _, c := range p.Children {
		if err := r.part(ctx, c); err != nil {
			return err
		}
	}
	if len(p.Children) > 0 || !p.Is("text", "*") && !p.Is("message", "*") {
		return nil
	}
	r.text.reset()
	body := io.NewSectionReader(&cancelled{ctx, r.content}, p.Body.Start, p.Body.Len())
	text := mime.DecodeText(body, p.Encoding, p.Param("charset"))
	if r.buf == nil {
		r.buf = make([]byte, readSize)
	}
	for r.text.open > 0 {
		n, err := text.Read(r.buf)
		r.text.write(r.buf[:n])
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// cancelled is a message whose reading ends with ctx.
type cancelled struct {
	ctx context.Context
	of  io.ReaderAt
}

func (c *cancelled) ReadAt(p []byte, at int64) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.of.ReadAt(p, at)
}
