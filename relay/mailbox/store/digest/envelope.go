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
	d.envelope = string(b)
}

// same are the texts of the Digest that most often are those of the envelope, in
// the order of mime.EnvelopeTexts.All.
func (d *Digest) same() [10]*string {
	return [...]*string{nil, &d.Subject, &d.From, nil, nil, &d.To, &d.Cc, nil, &d.InReplyTo, &d.MessageID}
}

// Envelope is what the header shows as an envelope; false if only the message
// itself can tell.
func (d *Digest) Envelope() (*mime.Envelope, bool) {
	if d.envelope == "" {
		return nil, false
	}
	var t mime.EnvelopeTexts
	rest, same := d.envelope, d.same()
	for i, text := range t.All() {
		n, k := uvarint(rest)
		if k <= 0 {
			return nil, false
		}
		rest = rest[k:]
		switch {
		case n == 0:
		case n == 1:
			if *text = same[i]; *text == nil {
				return nil, false
			}
		case n-2 > uint64(len(rest)):
			return nil, false
		default:
			s := rest[:n-2]
			*text, rest = &s, rest[n-2:]
		}
	}
	return t.Envelope(), true
}

// uvarint is binary.Uvarint of a string.
func uvarint(s string) (v uint64, n int) {
	var b [binary.MaxVarintLen64]byte
	return binary.Uvarint(b[:copy(b[:], s)])
}
