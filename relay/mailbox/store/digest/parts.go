package digest

import (
	"encoding/binary"
	"slices"

	"tenma/relay/wire/mime"
)

// The structure of a message is what mail programs ask for next, to show which
// messages have attachments and to fetch of each the part that is read. It can be
// told only by reading the message to its end, so it is kept: some fifteen octets
// for a text, a hundred for a multipart. Places are kept as distances, so that the
// fields that go before a body do not matter.

// maxParts bounds what a structure may take. Thirty attachments fit. Of others the
// message itself tells.
const maxParts = 2 << 10

// Bits of a part that tell what follows.
const (
	partChildren = 1 << iota
	partEnvelope
	partDisposition
	partRare // ID, Description, MD5, Location, Language
)

// words are written as their number, so none may ever be taken out or moved.
var words = [...]string{
	"", "text", "plain", "html", "charset", "us-ascii", "utf-8", "UTF-8", "iso-8859-1", "US-ASCII", "ISO-8859-1", "windows-1252",
	"7bit", "8bit", "quoted-printable", "base64", "7BIT", "8BIT", "binary", "BASE64", "QUOTED-PRINTABLE",
	"multipart", "mixed", "alternative", "related", "report", "signed", "digest", "boundary", "type", "report-type", "protocol", "micalg",
	"application", "octet-stream", "pdf", "zip", "pgp-signature", "image", "png", "jpeg", "gif", "name", "filename", "attachment", "inline",
	"message", "rfc822", "delivery-status", "rfc822-headers", "feedback-report", "calendar", "format", "flowed", "delsp", "yes", "method",
	"text/html", "text/plain", "TEXT", "PLAIN", "HTML", "disposition-notification",
}

// maxWords is how many words there may ever be. A number from there on is the length
// of one that is written out.
const maxWords = 64

// partWriter encodes a tree.
type partWriter struct {
	b   []byte
	odd bool // the tree is not as Parse makes them
}

// encodeParts gives the record of a tree, nil if there can be none.
func encodeParts(root *mime.Part) []byte {
	w := partWriter{b: make([]byte, 0, 64)}
	w.part(root, 0, true)
	if w.odd || len(w.b) > maxParts {
		return nil
	}
	return w.b
}

func (w *partWriter) numbers(all ...int64) {
	for _, n := range all {
		w.odd = w.odd || n < 0
		w.b = binary.AppendUvarint(w.b, uint64(n)) //nolint:gosec // checked
	}
}

func (w *partWriter) word(s string) {
	if i := slices.Index(words[:], s); i >= 0 {
		w.b = append(w.b, byte(i))
		return
	}
	w.b = append(binary.AppendUvarint(w.b, maxWords+uint64(len(s))), s...)
}

func (w *partWriter) params(list []mime.Param) {
	w.numbers(int64(len(list)))
	for _, p := range list {
		w.word(p.Name)
		w.word(p.Value)
	}
}

// part writes a part that begins at or behind a place. The envelope of the message
// itself is kept elsewhere.
func (w *partWriter) part(p *mime.Part, at int64, root bool) {
	if len(w.b) > maxParts {
		return
	}
	w.odd = w.odd || p.Body.Start != p.Header.End
	bits := byte(0)
	set := func(bit byte, there bool) {
		if there {
			bits |= bit
		}
	}
	set(partChildren, len(p.Children) > 0)
	set(partEnvelope, p.Envelope != nil && !root)
	set(partDisposition, p.Disposition != "")
	set(partRare, p.ID != "" || p.Description != "" || p.MD5 != "" || p.Location != "" || len(p.Language) > 0)
	w.b = append(w.b, bits)
	w.numbers(p.Header.Start-at, p.Header.Len(), p.Body.Len(), p.Lines)
	w.word(p.Type)
	w.word(p.Subtype)
	w.params(p.Params)
	w.word(p.Encoding)
	if bits&partDisposition != 0 {
		w.word(p.Disposition)
		w.params(p.DispositionParams)
	}
	if bits&partRare != 0 {
		for _, s := range []string{p.ID, p.Description, p.MD5, p.Location} {
			w.word(s)
		}
		w.numbers(int64(len(p.Language)))
		for _, s := range p.Language {
			w.word(s)
		}
	}
	if bits&partEnvelope != 0 {
		w.envelope(p.Envelope)
	}
	if bits&partChildren != 0 {
		w.numbers(int64(len(p.Children)))
		at = p.Body.Start
		for _, c := range p.Children {
			w.part(c, at, false)
			at = c.Body.End
		}
	}
}

func (w *partWriter) envelope(e *mime.Envelope) {
	for _, s := range []*string{e.Date, e.Subject, e.InReplyTo, e.MessageID} {
		if s == nil {
			w.numbers(0)
			continue
		}
		w.numbers(1)
		w.word(*s)
	}
	for i, list := range [][]mime.Address{e.From, e.Sender, e.ReplyTo, e.To, e.Cc, e.Bcc} {
		if i > 0 && slices.Equal(list, e.From) {
			w.numbers(0) // nearly always for two of them
			continue
		}
		w.numbers(int64(len(list)) + 1)
		for _, a := range list {
			for _, s := range []string{a.Name, a.Route, a.Mailbox, a.Host} {
				w.word(s)
			}
		}
	}
}

// Structure is the tree that mime.Parse gives of the message, but for the Envelope
// of the message itself; false if only the message can tell.
func (d *Digest) Structure() (*mime.Part, bool) {
	if d.kept&keptLayout == 0 || !plain(d.prefix) {
		return nil, false
	}
	_, _, rest, ok := d.sources()
	record, _, whole := cutParts(rest)
	if !ok || !whole || record == "" {
		return nil, false
	}
	r := partReader{s: record}
	root := r.part(0, 0)
	if r.bad || r.s != "" {
		return nil, false
	}
	n := int64(len(d.prefix))
	shift(root, n)
	root.Header.Start -= n
	return root, true
}

// shift moves a tree.
func shift(p *mime.Part, n int64) {
	if n == 0 {
		return
	}
	p.Header.Start, p.Header.End = p.Header.Start+n, p.Header.End+n
	p.Body.Start, p.Body.End = p.Body.Start+n, p.Body.End+n
	for _, c := range p.Children {
		shift(c, n)
	}
}

// partReader decodes a tree. After the first fault it gives nothing, and its loops
// end since each round needs octets.
type partReader struct {
	s   string
	bad bool
}

func (r *partReader) fail() {
	r.bad, r.s = true, ""
}

// number reads a size or place, which is far below what could overflow.
func (r *partReader) number() int64 {
	v, n := uvarint(r.s)
	if n <= 0 || v > 1<<40 {
		r.fail()
		return 0
	}
	r.s = r.s[n:]
	return int64(v)
}

// count reads how many things follow, of which each takes an octet at least.
func (r *partReader) count() int {
	n := r.number()
	if n > int64(len(r.s)) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *partReader) word() string {
	n := r.number()
	if n < maxWords {
		if n >= int64(len(words)) {
			r.fail()
			return ""
		}
		return words[n]
	}
	return r.octets(n - maxWords)
}

// octets gives the next n, none after a fault.
func (r *partReader) octets(n int64) string {
	if n > int64(len(r.s)) {
		r.fail()
		return ""
	}
	s := r.s[:n]
	r.s = r.s[n:]
	return s
}

func (r *partReader) params() []mime.Param {
	n := r.count()
	if n == 0 {
		return nil
	}
	list := make([]mime.Param, n)
	for i := range list {
		list[i] = mime.Param{Name: r.word(), Value: r.word()}
	}
	return list
}

// part reads one that begins at or behind a place.
func (r *partReader) part(at int64, depth int) *mime.Part {
	p := &mime.Part{}
	if r.s == "" || depth > mime.DefaultLimits().Depth+1 {
		r.fail()
		return p
	}
	bits := r.s[0]
	r.s = r.s[1:]
	p.Header.Start = at + r.number()
	p.Header.End = p.Header.Start + r.number()
	p.Body.Start = p.Header.End
	p.Body.End = p.Body.Start + r.number()
	p.Lines = r.number()
	p.Type, p.Subtype = r.word(), r.word()
	p.Params = r.params()
	p.Encoding = r.word()
	if bits&partDisposition != 0 {
		p.Disposition = r.word()
		p.DispositionParams = r.params()
	}
	if bits&partRare != 0 {
		p.ID, p.Description, p.MD5, p.Location = r.word(), r.word(), r.word(), r.word()
		for n := r.count(); n > 0 && !r.bad; n-- {
			p.Language = append(p.Language, r.word())
		}
	}
	if bits&partEnvelope != 0 {
		p.Envelope = r.envelope()
	}
	if bits&partChildren != 0 {
		at = p.Body.Start
		for n := r.count(); n > 0 && !r.bad; n-- {
			c := r.part(at, depth+1)
			p.Children = append(p.Children, c)
			at = c.Body.End
		}
		if r.bad = r.bad || len(p.Children) == 0 || at > p.Body.End; r.bad {
			r.fail()
		}
	}
	return p
}

func (r *partReader) envelope() *mime.Envelope {
	e := &mime.Envelope{}
	for _, to := range []**string{&e.Date, &e.Subject, &e.InReplyTo, &e.MessageID} {
		if r.number() > 0 {
			s := r.word()
			*to = &s
		}
	}
	for i, to := range []*[]mime.Address{&e.From, &e.Sender, &e.ReplyTo, &e.To, &e.Cc, &e.Bcc} {
		n := r.number()
		if i > 0 && n == 0 {
			*to = e.From
		}
		for ; n > 1 && !r.bad && r.s != ""; n-- {
			*to = append(*to, mime.Address{Name: r.word(), Route: r.word(), Mailbox: r.word(), Host: r.word()})
		}
	}
	return e
}
