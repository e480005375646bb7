package incoming

import (
	"io"

	"tenma/relay/wire/arf"
	"tenma/relay/wire/dsn"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
)

// Bounds of what Read looks at and keeps.
const (
	MaxRecipients = 1000      // of one message
	maxPart       = 256 << 10 // octets of a delivery status or a header, decoded
	maxText       = 64 << 10  // octets of a text for people, decoded: they are searched many times
	maxWords      = 2 << 10   // octets kept of a text about one recipient
)

// Kind is what a message is.
type Kind uint8

// The kinds.
const (
	Other     Kind = iota // mail like any other, as far as anybody can tell
	Report                // of failure, delay or success
	Complaint             // somebody called it spam (RFC 5965)
	AutoReply             // an answer by a machine (RFC 3834)
)

// String gives the kind in lower case.
func (k Kind) String() string {
	switch k {
	case Report:
		return "report"
	case Complaint:
		return "complaint"
	case AutoReply:
		return "auto-reply"
	}
	return "other"
}

// Message is what a message that came back tells.
type Message struct {
	Kind       Kind
	Recipients []Recipient // in the order of the message; of a Complaint or AutoReply at least one
	// ReportingMTA is who says so, "" if that is not stated.
	ReportingMTA string
	EnvelopeID   string      // Original-Envelope-Id, decoded if it is xtext
	Original     Original    // what came back of the message
	Feedback     *arf.Report // of a Complaint in ARF
}

// Original is what is known of the message that was returned or complained of.
type Original struct {
	MessageID  string // with its brackets, "" if unknown
	ReturnPath string // "" if unknown
	To         string // the field's text
	Header     header.Section
}

// Recipient is what the message says of one recipient. What it does not say is
// empty.
type Recipient struct {
	Address  string // as it is written, without brackets; of the final recipient
	Original string // Original-Recipient, where that is another one
	Action   dsn.Action
	Status   smtp.Status
	Code     int    // of the reply
	Text     string // the reply's, or what the reporter says instead
	Command  string // that was answered: CONNECT, EHLO, MAIL, RCPT, DATA, "." or LOCAL
	Host     string // who replied
	Local    bool   // the reporter speaks of itself, or of a program it ran
	Notes    string // what the message says besides
}

// Read reads the message in the first size octets of r. An error is r's.
func Read(r io.ReaderAt, size int64) (*Message, error) {
	p, err := collect(r, size)
	if err != nil {
		return nil, err
	}
	m := p.message()
	if m.Kind == Other && p.inner.Len() > 0 { // somebody passed it on as an attachment
		within, err := collect(io.NewSectionReader(r, p.inner.Start, p.inner.Len()), p.inner.Len())
		if err != nil {
			return nil, err
		}
		if n := within.message(); n.Kind == Report || n.Kind == Complaint {
			m = n
		}
	}
	for i := range m.Recipients {
		t := &m.Recipients[i]
		t.Text, t.Notes = clip(inReply.ReplaceAllString(t.Text, ""), maxWords), clip(inReply.ReplaceAllString(t.Notes, ""), maxWords)
	}
	return m, nil
}

// message makes of the pieces what they are.
func (p *pieces) message() *Message {
	m := &Message{}
	p.original(&m.Original)
	for _, try := range []func(*pieces, *Message) bool{complaint, notification, statusReport, wordsReport, autoReply} {
		if try(p, m) {
			break
		}
	}
	return m
}

// complaint reads a feedback report, or the form that Microsoft's junk mail
// program has instead: the message itself, with the recipient in a field of its
// own.
func complaint(p *pieces, m *Message) bool {
	if whom := p.returned.Text("X-HmXmrOriginalRecipient"); whom != "" {
		m.Kind = Complaint
		m.Feedback = &arf.Report{Type: arf.Abuse, Incidents: 1}
		m.Recipients = []Recipient{{Address: clip(plainAddress(whom), maxWords), Text: arf.Abuse}}
		return true
	}
	if p.feedback == nil {
		return false
	}
	f := p.feedback
	m.Kind, m.Feedback, m.EnvelopeID, m.ReportingMTA = Complaint, f, f.EnvelopeID, f.ReportingMTA
	if m.Original.ReturnPath == "" {
		m.Original.ReturnPath = f.MailFrom.String()
	}
	whom := f.Recipients
	if len(whom) == 0 {
		whom = f.Removal
	}
	if len(whom) == 0 {
		whom, _ = header.Mailboxes(m.Original.To, MaxRecipients)
	}
	for _, a := range whom {
		m.Recipients = append(m.Recipients, Recipient{Address: a.String(), Text: f.Type})
	}
	if len(m.Recipients) == 0 { // most hide who complained
		m.Recipients = []Recipient{{Text: f.Type}}
	}
	return true
}
