package incoming

import (
	"encoding/json"
	"strings"

	"tenma/relay/wire/arf"
	"tenma/relay/wire/dsn"
	"tenma/relay/wire/smtp"
)

// event is what Amazon SES tells of a message in JSON, as a notification or as an
// event (its developer guide, "Amazon SNS notification contents"). Services that
// imitate it use the same names.
type event struct {
	NotificationType, EventType string
	Message                     string // of SNS: the event, as text in text
	Mail                        struct {
		MessageID     string
		Source        string
		Destination   []string
		CommonHeaders struct{ MessageID string }
	}
	Bounce struct {
		BounceType, BounceSubType string
		ReportingMTA              string
		BouncedRecipients         []struct{ EmailAddress, Action, Status, DiagnosticCode string }
	}
	Complaint struct {
		ComplaintFeedbackType, UserAgent string
		ComplainedRecipients             []struct{ EmailAddress string }
	}
	Delivery struct {
		SMTPResponse, ReportingMTA string
		Recipients                 []string
	}
}

// notification reads an event that stands in the text.
func notification(p *pieces, m *Message) bool {
	start := strings.IndexByte(p.text, '{')
	if start < 0 || strings.TrimSpace(p.text[:start]) != "" {
		return false
	}
	var e event
	if json.NewDecoder(strings.NewReader(unfolded(p.text[start:]))).Decode(&e) != nil { // behind it may stand a footer
		return false
	}
	if e.Message != "" && json.Unmarshal([]byte(e.Message), &e) != nil {
		return false
	}
	if id := e.Mail.CommonHeaders.MessageID; id != "" {
		m.Original.MessageID = clip(id, maxWords)
	}
	m.EnvelopeID, m.Original.ReturnPath = clip(e.Mail.MessageID, maxWords), clip(e.Mail.Source, maxWords)
	switch e.NotificationType + e.EventType {
	case "Bounce":
		e.bounce(m)
	case "Complaint":
		e.complaint(m)
	case "Delivery":
		e.delivery(m)
	}
	if len(m.Recipients) == 0 { // it tells of nobody
		*m = Message{Original: m.Original}
		return false
	}
	return true
}

// unfolded undoes what old relays do to long lines: an exclamation mark, a line
// end and a space, anywhere. JSON has no line ends within its words.
func unfolded(s string) string {
	return strings.NewReplacer("!\n ", "", "\n", " ").Replace(s)
}

func (e *event) bounce(m *Message) {
	m.Kind, m.ReportingMTA = Report, dsn.ParseTyped(e.Bounce.ReportingMTA, "dns").Text
	for _, b := range e.Bounce.BouncedRecipients[:min(len(e.Bounce.BouncedRecipients), MaxRecipients)] {
		t := Recipient{Address: plainAddress(b.EmailAddress), Action: dsn.Action(strings.ToLower(b.Action)), Notes: e.Bounce.BounceType + " " + e.Bounce.BounceSubType}
		t.Status, _, _ = smtp.ParseStatus(b.Status)
		t.Text = dsn.ParseTyped(b.DiagnosticCode, "smtp").Text
		about(&t, nil, "", false)
		if t.Action == "" {
			t.Action = dsn.Failed
		}
		m.Recipients = append(m.Recipients, t)
	}
}

func (e *event) complaint(m *Message) {
	m.Kind = Complaint
	m.Feedback = &arf.Report{Type: strings.ToLower(e.Complaint.ComplaintFeedbackType), UserAgent: clip(e.Complaint.UserAgent, maxWords), Incidents: 1}
	for _, c := range e.Complaint.ComplainedRecipients[:min(len(e.Complaint.ComplainedRecipients), MaxRecipients)] {
		m.Recipients = append(m.Recipients, Recipient{Address: plainAddress(c.EmailAddress), Text: m.Feedback.Type})
	}
}

func (e *event) delivery(m *Message) {
	m.Kind, m.ReportingMTA = Report, clip(e.Delivery.ReportingMTA, maxWords)
	code, rest, _ := strings.Cut(e.Delivery.SMTPResponse, " ")
	for _, a := range e.Delivery.Recipients[:min(len(e.Delivery.Recipients), MaxRecipients)] {
		t := Recipient{Address: plainAddress(a), Action: dsn.Delivered, Text: e.Delivery.SMTPResponse, Command: "."}
		t.Status, _, _ = smtp.ParseStatus(rest)
		if len(code) == 3 && code[0] == '2' {
			t.Code = int(code[0]-'0')*100 + int(code[1]-'0')*10 + int(code[2]-'0')
		}
		m.Recipients = append(m.Recipients, t)
	}
}
