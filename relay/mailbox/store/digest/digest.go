// Package digest takes from the header of a message what lists, searches and
// sorts want to know, so that they need not read messages again and again.
//
// Make does so when a message arrives; Encode and Decode keep it.
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

	envelope string // what Envelope is made of, encoded; "": the message must be read
}

// Max bounds the texts of a Digest together, in octets.
const Max = 4 << 10

// Make reads the header section in head, which is the start of a message.
func Make(head []byte) Digest {
	end, _, whole := header.End(head, 0)
	if !whole {
		end = len(head)
	}
	s := mime.Summarize(header.Section(head[:end]), Max)
	if y := s.Sent.Year(); y < 1 || y > 9999 { // no record could hold it
		s.Sent = time.Time{}
	}
	d := Digest{
		From: s.From, To: s.To, Cc: s.Cc, Subject: s.Subject, Sent: s.Sent,
		MessageID: s.MessageID, InReplyTo: s.InReplyTo, References: s.References, Whole: whole && s.Whole,
	}
	if whole {
		d.keepEnvelope(header.Section(head[:end]))
	}
	return d
}

// texts are the texts in the order of a record.
func (d *Digest) texts() [7]*string {
	return [...]*string{&d.From, &d.To, &d.Cc, &d.Subject, &d.MessageID, &d.InReplyTo, &d.References}
}

// Encode makes a record.
func (d *Digest) Encode() []byte {
	bits := byte(0)
	if d.Whole {
		bits |= 1
	}
	if !d.Sent.IsZero() {
		bits |= 2
	}
	if d.envelope != "" {
		bits |= 4
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
	return append(b, d.envelope...)
}

// Decode reads a record. What cannot be read is empty and not Whole.
func Decode(b []byte) Digest {
	var d Digest
	if len(b) == 0 {
		return d
	}
	bits := b[0]
	b = b[1:]
	if bits&2 != 0 {
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
	d.Whole = bits&1 != 0
	if bits&4 != 0 { // records of earlier versions have none
		d.envelope = all
	}
	return d
}
