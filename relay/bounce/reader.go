package bounce

import (
	"io"

	"tenma/relay/bounce/classify"
	"tenma/relay/bounce/incoming"
	"tenma/relay/mail"
	"tenma/relay/wire/dsn"
)

// The kinds of message that come back.
const (
	Other     = incoming.Other
	Report    = incoming.Report
	Complaint = incoming.Complaint
	AutoReply = incoming.AutoReply
)

// Reader tells what a message means that came back: the parts of it that
// package incoming finds, judged by package classify. It may be used from any
// goroutine.
type Reader struct{ rules *classify.Classifier }

// NewReader makes a Reader that judges by rules.
func NewReader(rules *classify.Classifier) *Reader { return &Reader{rules: rules} }

// Returned is a message that came back, and what it means.
type Returned struct {
	incoming.Message
	Diagnoses []mail.Diagnosis // of Recipients, in their order
}

// Read reads the message in the first size octets of r. An error is r's; a message
// of kind incoming.Other has no recipients.
func (d *Reader) Read(r io.ReaderAt, size int64) (*Returned, error) {
	m, err := incoming.Read(r, size)
	if err != nil {
		return nil, err
	}
	all := &Returned{Message: *m}
	for i := range m.Recipients {
		all.Diagnoses = append(all.Diagnoses, d.diagnose(m.Kind, &m.Recipients[i]))
	}
	return all, nil
}

func (d *Reader) diagnose(kind incoming.Kind, t *incoming.Recipient) mail.Diagnosis {
	switch {
	case kind == incoming.Complaint:
		return mail.Diagnosis{Class: mail.Feedback, Severity: mail.Admin, Remedy: mail.Bounce}
	case kind == incoming.AutoReply:
		return mail.Diagnosis{Class: mail.AutoReply, Severity: mail.Undetermined}
	case t.Action == dsn.Delivered, t.Action == dsn.Relayed, t.Action == dsn.Expanded:
		return mail.Diagnosis{Class: mail.Delivered, Severity: mail.Undetermined}
	}
	return d.rules.Classify(classify.Reply{
		Code: t.Code, Status: t.Status, Text: t.Text, Command: t.Command, Notes: t.Notes,
		Final: t.Action == dsn.Failed,
	})
}
