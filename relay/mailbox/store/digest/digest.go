// Package digest takes from a message what lists, searches and sorts want to know,
// so that they need not read messages again and again.
//
// Make does so when a message arrives; Encode and Decode keep it. Envelope,
// AppendFields and Structure then tell what FETCH shows of a message, octet by octet,
// or that only the message can tell.
package digest

import (
	"encoding/binary"
	"time"

	"tenma/relay/wire/header"
	"tenma/relay/wire/mime"
)

// Digest is of the header what lists, searches and sorts want, decoded to
// UTF-8, together at most Max octets: each text is cut, never the start of one.
// All but References are complete, and no field but those of addresses occurs
// twice, where Whole is set; otherwise a search must read the message itself.
type Digest struct {
	From, To, Cc, Subject string    // the whole fields as text, decoded
	Sent                  time.Time // of Date; zero: none or unreadable
	MessageID, InReplyTo  string
	References            string
	Whole                 bool

	kept byte   // what is, see below
	tail string // what Envelope, Structure and AppendFields are made of, encoded
	// prefix are the fields that go before the message that was looked at.
	prefix string
}

// Bits of kept, and of the first octet of a record.
const (
	keptWhole    = 1
	keptSent     = 2
	keptEnvelope = 4
	keptLayout   = 8 // parts and fields; both may be empty all the same
)

// Max bounds the texts of a Digest together, in octets.
const Max = 4 << 10

// Make reads the header section in head, which is the start of a message, and keeps
// the structure of it, if that is known.
func Make(head []byte, structure *mime.Part) Digest {
	end, _, whole := header.End(head, 0)
	if !whole {
		end = len(head)
	}
	h := header.Section(head[:end])
	s := mime.Summarize(h, Max)
	if y := s.Sent.Year(); y < 1 || y > 9999 { // no record could hold it
		s.Sent = time.Time{}
	}
	d := Digest{
		From: s.From, To: s.To, Cc: s.Cc, Subject: s.Subject, Sent: s.Sent,
		MessageID: s.MessageID, InReplyTo: s.InReplyTo, References: s.References, Whole: whole && s.Whole,
	}
	if !whole {
		return d
	}
	d.keepEnvelope(h)
	// A line that begins with a space would belong to what goes before it.
	if end <= maxHeader && (end == 0 || h[0] != ' ' && h[0] != '\t') {
		d.keepLayout(h, structure)
	}
	return d
}

// keepLayout keeps parts and fields, each behind its length.
func (d *Digest) keepLayout(h header.Section, structure *mime.Part) {
	fields := d.encodeFields(h)
	var parts []byte
	if structure != nil {
		parts = encodeParts(structure)
	}
	if fields == nil && parts == nil {
		return
	}
	b := binary.AppendUvarint([]byte(d.tail), uint64(len(parts)))
	d.tail = string(append(append(b, parts...), fields...))
	d.kept |= keptLayout
}

// cutParts divides what keepLayout kept; whole is false if it cannot be.
func cutParts(s string) (parts, fields string, whole bool) {
	n, k := uvarint(s)
	if k <= 0 || n > uint64(len(s)-k) {
		return "", "", false
	}
	return s[k : k+int(n)], s[k+int(n):], true
}

// texts are the texts in the order of a record.
func (d *Digest) texts() [7]*string {
	return [...]*string{&d.From, &d.To, &d.Cc, &d.Subject, &d.MessageID, &d.InReplyTo, &d.References}
}

// Encode makes a record.
func (d *Digest) Encode() []byte {
	bits := d.kept
	if d.Whole {
		bits |= keptWhole
	}
	if !d.Sent.IsZero() {
		bits |= keptSent
	}
	b := []byte{bits}
	if !d.Sent.IsZero() {
		_, zone := d.Sent.Zone()
		b = binary.AppendVarint(binary.AppendVarint(b, d.Sent.Unix()), int64(zone))
	}
	for _, t := range d.texts() {
		b = binary.AppendUvarint(b, uint64(len(*t)))
	}
	for _, t := range d.texts() {
		b = append(b, *t...)
	}
	return append(b, d.tail...)
}

// Decode reads a record. What cannot be read is empty and not Whole. prefix are the
// fields that go before the message that Make saw.
func Decode(b, prefix []byte) Digest {
	var d Digest
	if len(b) == 0 {
		return d
	}
	bits := b[0]
	b = b[1:]
	if bits&keptSent != 0 {
		sec, n := binary.Varint(b)
		if n <= 0 {
			return d
		}
		zone, k := binary.Varint(b[n:])
		if k <= 0 || zone < -86400*2 || zone > 86400*2 {
			return d
		}
		b = b[n+k:]
		d.Sent = time.Unix(sec, 0).In(time.FixedZone("", int(zone)))
	}
	texts := d.texts()
	var lengths [len(texts)]int
	for i := range texts {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > Max {
			return Digest{}
		}
		lengths[i], b = int(v), b[n:]
	}
	all := string(b)
	for i, t := range texts {
		if lengths[i] > len(all) {
			return Digest{}
		}
		*t, all = all[:lengths[i]], all[lengths[i]:]
	}
	d.Whole = bits&keptWhole != 0
	if d.kept = bits & (keptEnvelope | keptLayout); d.kept != 0 { // records of earlier versions have less
		d.tail, d.prefix = all, string(prefix)
	}
	return d
}
