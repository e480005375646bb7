package mime

import (
	"strings"

	"tenma/relay/wire/header"
)

// EnvelopeTexts are the fields that an Envelope is read from, unfolded; nil for
// one that is absent. They are a small part of a header, and whoever keeps them
// can show envelopes without the message.
type EnvelopeTexts struct {
	Date, Subject, From, Sender, ReplyTo, To, Cc, Bcc, InReplyTo, MessageID *string
}

// All are the texts in an order that records rely on.
func (t *EnvelopeTexts) All() [10]**string {
	return [...]**string{
		&t.Date, &t.Subject, &t.From, &t.Sender, &t.ReplyTo, &t.To, &t.Cc, &t.Bcc, &t.InReplyTo, &t.MessageID,
	}
}

// ReadEnvelopeTexts takes them from a header section. ok is false if they do not
// tell the same as the section does: a field occurs twice, or together they have
// more than limit octets, which must be well below MaxEnvelope.
func ReadEnvelopeTexts(h header.Section, limit int) (t EnvelopeTexts, ok bool) {
	for f := range h.Fields() {
		to := t.of(f)
		if to == nil {
			continue
		}
		if *to != nil || len(f.Raw) > limit {
			return EnvelopeTexts{}, false
		}
		limit -= len(f.Raw)
		s := f.Text()
		*to = &s
	}
	return t, true
}

// of is where the text of a field belongs; nil: nowhere.
func (t *EnvelopeTexts) of(f header.Field) **string {
	if len(f.Raw) == 0 || !strings.ContainsRune("dsfrtcbim", rune(f.Raw[0]|0x20)) {
		return nil // nearly always
	}
	names := [...]string{
		"date", "subject", "from", "sender", "reply-to", "to", "cc", "bcc", "in-reply-to", "message-id",
	}
	for i, to := range t.All() {
		if f.Is(names[i]) {
			return to
		}
	}
	return nil
}

// Envelope is what ParseEnvelope makes of a section with these fields.
func (t *EnvelopeTexts) Envelope() *Envelope {
	k := keeper{left: MaxEnvelope}
	text := func(s *string) *string {
		if s == nil {
			return nil
		}
		c := clean(*s)
		return &c
	}
	list := func(s *string) []Address {
		if s == nil {
			return nil
		}
		return k.addresses(*s)
	}
	e := &Envelope{
		Date: text(t.Date), Subject: text(t.Subject), InReplyTo: text(t.InReplyTo), MessageID: text(t.MessageID),
		From: list(t.From), Sender: list(t.Sender), ReplyTo: list(t.ReplyTo), To: list(t.To), Cc: list(t.Cc), Bcc: list(t.Bcc),
	}
	e.fill()
	return e
}
