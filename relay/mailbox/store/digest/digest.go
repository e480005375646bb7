// Package digest takes from the header of a message what lists, searches and
// sorts want to know, so that they need not read messages again and again.
//
// Make does so when a message arrives; Encode and Decode keep it.
package digest

import (
	"encoding/binary"
	"net/mail"
	"strings"
	"time"
	"unicode/utf8"

	"tenma/relay/wire/header"
)

// Digest is of the header what lists, searches and sorts want, decoded to
// UTF-8, together at most Max octets: each text is cut, never the start of one.
// Texts that SEARCH compares are complete where Whole is set; otherwise the
// message itself must be read.
type Digest struct {
	From, To, Cc, Subject string    // the whole fields as text, decoded
	Sent                  time.Time // of Date; zero: none or unreadable
	MessageID, InReplyTo  string
	References            string
	Whole                 bool
}

// Max bounds the texts of a Digest together, in octets.
const Max = 4 << 10

// Shares of Max. References can be long in old threads; its start (the root) and
// In-Reply-To (the parent) are what threading needs most.
const (
	maxFrom, maxTo, maxCc = 512, 1024, 512
	maxSubject            = 768
	maxID                 = 256
	maxReferences         = 768
)

// Make reads the header section in head, which is the start of a message.
func Make(head []byte) Digest {
	end, _, ok := header.End(head, 0)
	if !ok {
		end = len(head)
	}
	d := Digest{Whole: ok}
	seen := map[string]bool{}
	for f := range header.Section(head[:end]).Fields() {
		for _, t := range d.texts() {
			if !f.Is(t.name) {
				continue
			}
			if seen[t.name] {
				d.Whole = d.Whole && !t.searched
				continue
			}
			seen[t.name] = true
			raw := f.Text()
			var whole bool
			if *t.to, whole = t.text(raw); t.searched && !whole {
				d.Whole = false
			}
		}
		if d.Sent.IsZero() && f.Is("Date") {
			d.Sent = date(f.Text())
		}
	}
	return d
}

type part struct {
	name     string
	to       *string
	limit    int
	searched bool // by texts that Whole speaks of
	id       bool // no encoded words
}

func (d *Digest) texts() [7]part {
	return [...]part{
		{"From", &d.From, maxFrom, true, false},
		{"To", &d.To, maxTo, true, false},
		{"Cc", &d.Cc, maxCc, true, false},
		{"Subject", &d.Subject, maxSubject, true, false},
		{"Message-ID", &d.MessageID, maxID, false, true},
		{"In-Reply-To", &d.InReplyTo, maxID, false, true},
		{"References", &d.References, maxReferences, false, true},
	}
}

// text decodes and cuts. whole is false if something was cut or stayed encoded.
func (t *part) text(raw string) (s string, whole bool) {
	if t.id {
		s = strings.ToValidUTF8(raw, "\ufffd")
		return cut(s, t.limit), len(s) <= t.limit
	}
	s = header.Decode(raw, t.limit+utf8.UTFMax)
	if len(s) <= t.limit {
		return s, !strings.Contains(s, "=?") && len(raw) < 8*t.limit
	}
	return cut(s, t.limit), false
}

func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// maxDate is longer than any date with comments that people's programs write.
const maxDate = 128

// date reads a Date field; zero if it cannot be read, or has a year that no
// record could hold.
func date(s string) time.Time {
	if len(s) > maxDate {
		return time.Time{}
	}
	t, err := mail.ParseDate(s)
	if err != nil || t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
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
	b := []byte{bits}
	if !d.Sent.IsZero() {
		_, zone := d.Sent.Zone()
		b = binary.AppendVarint(binary.AppendVarint(b, d.Sent.Unix()), int64(zone))
	}
	for _, t := range d.texts() {
		b = binary.AppendUvarint(b, uint64(len(*t.to)))
	}
	for _, t := range d.texts() {
		b = append(b, *t.to...)
	}
	return b
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
		*t.to, all = all[:lengths[i]], all[lengths[i]:]
	}
	d.Whole = bits&1 != 0
	return d
}
