package milter

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"tenma/relay/mail"
	"tenma/relay/wire/header"
	wire "tenma/relay/wire/milter"
	"tenma/relay/wire/smtp"
)

// fields is a header section that filters change. New fields stand above those that
// came, wherever a filter wants them: that way the order of what is there, which
// signatures cover, stays, and what is streamed to the spool already needs no change
// to get another field.
type fields struct {
	added   []field
	ahead   []field // of others, in front of the message: not to be changed
	own     []field // of the message
	touched bool    // a field of own has gone or changed
}

// field is one field, folding and line end included.
type field struct {
	name string // "" for a line that is no field
	raw  []byte
}

func parse(ahead, section []byte) *fields {
	return &fields{ahead: split(ahead), own: split(section)}
}

func split(section []byte) (all []field) {
	for f := range header.Section(section).Fields() {
		all = append(all, field{name: string(f.Name()), raw: f.Raw})
	}
	return all
}

// all gives the fields as a filter counts them.
func (h *fields) all(yield func(*field) bool) {
	for _, part := range [][]field{h.added, h.ahead, h.own} {
		for i := range part {
			if part[i].name != "" && !yield(&part[i]) {
				return
			}
		}
	}
}

// clone gives a copy that can be changed without changing h.
func (h *fields) clone() *fields {
	return &fields{added: slices.Clone(h.added), ahead: h.ahead, own: slices.Clone(h.own), touched: h.touched}
}

// insert puts a new field at a place among the new ones, or behind them.
func (h *fields) insert(at uint32, f field) {
	h.added = slices.Insert(h.added, int(min(at, uint32(len(h.added)))), f)
}

// change replaces the nth field of a name, counted from 1, or removes it where f has
// no octets. What is not there is added, or was removed already.
func (h *fields) change(nth uint32, f field) {
	var seen uint32
	for _, part := range []*[]field{&h.added, &h.ahead, &h.own} {
		for i := range *part {
			if !strings.EqualFold((*part)[i].name, f.name) {
				continue
			}
			if seen++; seen < max(nth, 1) {
				continue
			}
			if part == &h.ahead {
				return
			}
			h.touched = h.touched || part == &h.own
			if f.raw == nil {
				*part = slices.Delete(*part, i, i+1)
			} else {
				(*part)[i] = f
			}
			return
		}
	}
	if f.raw != nil {
		h.insert(uint32(len(h.added)), f)
	}
}

// text gives the new fields, and the message's own where they have changed, nil
// where they have not.
func (h *fields) text() (added, own []byte) {
	for _, f := range h.added {
		added = append(added, f.raw...)
	}
	if h.touched {
		own = []byte{}
		for _, f := range h.own {
			own = append(own, f.raw...)
		}
	}
	return added, own
}

// render writes a field as a filter wants it. Its lines end in LF or CRLF. What is no
// line of a field would end the header section or begin another field: a line that
// does not begin with white space gets some, an empty one goes. Octets that are
// not ASCII become question marks, as not every host could take them.
func render(name, value string, leadingSpace bool) (field, error) {
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || c == ':' { // RFC 5322 section 2.2
			return field{}, fmt.Errorf("%.80q is no name of a field", name)
		}
	}
	if name == "" || len(name) > maxName {
		return field{}, fmt.Errorf("name of a field has %d octets", len(name))
	}
	if value == "" {
		return field{name: name}, nil
	}
	raw := append(make([]byte, 0, len(name)+len(value)+8), name...)
	raw = append(raw, ':')
	if !leadingSpace {
		raw = append(raw, ' ')
	}
	first := true
	for line := range strings.SplitSeq(value, "\n") {
		line = strings.TrimRight(line, "\r")
		if !first && strings.Trim(line, " \t\r") == "" {
			continue
		}
		if !first {
			raw = append(raw, "\r\n"...)
			if line[0] != ' ' && line[0] != '\t' {
				raw = append(raw, '\t')
			}
		}
		first = false
		for i := range len(line) {
			c := line[i]
			if c < ' ' && c != '\t' || c >= 0x7f {
				c = '?'
			}
			raw = append(raw, c)
		}
	}
	raw = append(raw, "\r\n"...)
	for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
		if len(line) > maxLine {
			return field{}, fmt.Errorf("field %s has a line of %d octets", name, len(line))
		}
	}
	return field{name: name, raw: raw}, nil
}

// Lengths of RFC 5322 section 2.1.1: a line, and a name that leaves room on it.
const (
	maxLine = 998
	maxName = 76
)

// unfold gives a field's value as filters see it: lines end in LF, and the white space
// behind the colon goes along only where that was negotiated.
func unfold(raw []byte, leadingSpace bool) []byte {
	v := bytes.TrimRight(header.Field{Raw: raw}.Value(), "\r\n")
	v = bytes.ReplaceAll(v, []byte("\r\n"), []byte("\n"))
	if !leadingSpace {
		v = bytes.TrimLeft(v, " \t")
	}
	return v
}

// maxRecipients bounds the recipients that a filter may make of a message: the most
// that a listener takes by default.
const maxRecipients = 1024

// apply makes a change of the header section, and tells the octets of its field.
func (h *fields) apply(r wire.Reply, leadingSpace bool) (size int, err error) {
	f, err := render(r.Name, r.Value, leadingSpace)
	if err != nil {
		return 0, err
	}
	if r.Kind == wire.OpChangeHeader {
		h.change(r.Index, f)
		return len(f.raw), nil
	}
	if f.raw == nil {
		f.raw = []byte(r.Name + ":\r\n") // to add an empty field is not to remove one
	}
	at := uint32(len(h.added))
	if r.Kind == wire.OpInsertHeader {
		at = r.Index
	}
	h.insert(at, f)
	return len(f.raw), nil
}

// readdress applies a change of the envelope.
func readdress(e *mail.Envelope, r wire.Reply) error {
	path := r.Value
	if !strings.HasPrefix(path, "<") {
		path = "<" + path + ">"
	}
	a, _, err := smtp.ParsePath(path)
	if err != nil {
		return fmt.Errorf("%.80q: %w", r.Value, err)
	}
	if a.NeedsUTF8() && !e.SMTPUTF8 {
		return fmt.Errorf("%s needs SMTPUTF8, which the message has not", a)
	}
	has := func(r mail.Recipient) bool { return r.Address == a }
	switch r.Kind {
	case wire.OpChangeSender:
		e.Sender = a
		return nil
	case wire.OpDeleteRecipient:
		e.Recipients = slices.DeleteFunc(slices.Clone(e.Recipients), has)
		return nil
	}
	if a.IsNull() {
		return fmt.Errorf("the null address is no recipient")
	}
	if slices.ContainsFunc(e.Recipients, has) {
		return nil
	}
	if len(e.Recipients) >= maxRecipients {
		return fmt.Errorf("more than %d recipients", maxRecipients)
	}
	e.Recipients = append(slices.Clone(e.Recipients), mail.Recipient{Address: a})
	return nil
}
