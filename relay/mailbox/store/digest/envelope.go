package digest

import (
	"encoding/binary"

	"tenma/relay/wire/header"
	"tenma/relay/wire/mime"
)

// A list of envelopes is what mail programs ask for most often, so they are to be
// had without the messages: a sequential read of records of some 300 octets
// instead of two look-ups for each message, of which one brings its text. What it
// takes on disk is little, since most texts are those of the Digest anyway: the
// field Date and ten octets.

// keepEnvelope keeps what Envelope needs, if that can be done in Max octets.
func (d *Digest) keepEnvelope(h header.Section) {
	t, ok := mime.ReadEnvelopeTexts(h, Max)
	if !ok {
		return
	}
	var b []byte
	same := d.same()
	for i, text := range t.All() {
		switch {
		case *text == nil:
			b = append(b, 0)
		case same[i] != nil && **text == *same[i]:
			b = append(b, 1)
		default:
			b = binary.AppendUvarint(b, uint64(len(**text))+2)
			b = append(b, **text...)
		}
	}
	d.tail = string(b)
	d.kept |= keptEnvelope
}

// same are the texts of the Digest that most often are those of the envelope, in
// the order of mime.EnvelopeTexts.All.
func (d *Digest) same() [10]*string {
	return [...]*string{nil, &d.Subject, &d.From, nil, nil, &d.To, &d.Cc, nil, &d.InReplyTo, &d.MessageID}
}

// Envelope is what the header shows as an envelope; false if only the message
// itself can tell.
func (d *Digest) Envelope() (*mime.Envelope, bool) {
	texts, have, _, ok := d.sources()
	if !ok || d.kept&keptEnvelope == 0 || !plain(d.prefix) {
		return nil, false
	}
	var t mime.EnvelopeTexts
	for i, text := range t.All() {
		if have[i] {
			*text = &texts[i]
		}
	}
	return t.Envelope(), true
}

// sources are the texts of fields as they stand, unfolded: those of the envelope, in
// the order of mime.EnvelopeTexts.All, and References; have tells which there are.
// rest is what is kept behind them.
func (d *Digest) sources() (texts [11]string, have [11]bool, rest string, ok bool) {
	texts[10], have[10] = d.References, d.References != ""
	if rest = d.tail; d.kept&keptEnvelope == 0 {
		return texts, have, rest, true
	}
	for i, same := range d.same() {
		n, k := uvarint(rest)
		if k <= 0 {
			return texts, have, "", false
		}
		rest = rest[k:]
		switch {
		case n == 0:
			continue
		case n == 1 && same != nil:
			texts[i] = *same
		case n == 1 || n-2 > uint64(len(rest)):
			return texts, have, "", false
		default:
			texts[i], rest = rest[:n-2], rest[n-2:]
		}
		have[i] = true
	}
	return texts, have, rest, true
}

// uvarint is binary.Uvarint of a string.
func uvarint(s string) (v uint64, n int) {
	for i := range min(len(s), binary.MaxVarintLen64) {
		if c := s[i]; c < 0x80 {
			return v | uint64(c)<<(7*i), i + 1
		} else {
			v |= uint64(c&0x7f) << (7 * i)
		}
	}
	return 0, 0
}
