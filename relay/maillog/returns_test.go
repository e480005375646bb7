package maillog

import (
	"net/netip"
	"testing"
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/arf"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

func testFeedback() *arf.Report {
	return &arf.Report{
		Type: arf.Abuse, UserAgent: "Loop/1.0", MailFrom: smtp.Address{Local: "04t", Domain: "r.shop.test"}, EnvelopeID: "e1",
		Recipients: []smtp.Address{{Local: "ann", Domain: "b.test"}, {Local: "bob", Domain: "b.test"}},
		Arrival:    time.Unix(1_700_000_000, 0).UTC(), ReportingMTA: "mx.b.test", SourceIP: netip.MustParseAddr("192.0.2.1"),
		Domains: []string{"shop.test"}, Incidents: 2,
	}
}

// What came back tells about which message of ours, and who says so.
func TestRecordOfAComplaint(t *testing.T) {
	e := testEvent()
	e.Kind, e.About, e.Feedback, e.Outcome = mail.EventFeedback, spool.ID{7}, testFeedback(), mail.Outcome{Host: "mx.b.test"}
	got := decode(t, appendRecord(nil, e, []byte(`"n1"`)))
	if got["about_id"] != e.About.String() || got["id"] != e.ID.String() || got["egress_source"] != nil {
		t.Errorf("%v", got)
	}
	if p := got["peer_address"].(map[string]any); p["name"] != "mx.b.test" || p["addr"] != "2001:db8::1" {
		t.Errorf("peer %v: want the reporter's name and the client's address", p)
	}
	f := got["feedback_report"].(map[string]any)
	if f["feedback_type"] != "abuse" || f["original_mail_from"] != "04t@r.shop.test" || f["incidents"] != 2. || len(f["original_rcpt_to"].([]any)) != 2 || f["source_ip"] != "192.0.2.1" {
		t.Errorf("feedback_report: %v", f)
	}
}

// A complaint decides how long its record is only so far.
func TestFeedbackIsBounded(t *testing.T) {
	e := testEvent()
	e.Feedback = &arf.Report{Type: "x"}
	for range 1000 {
		e.Feedback.Recipients = append(e.Feedback.Recipients, smtp.Address{Local: "ann", Domain: "b.test"})
	}
	f := decode(t, appendRecord(nil, e, noNode))["feedback_report"].(map[string]any)
	if n := len(f["original_rcpt_to"].([]any)); n != maxList {
		t.Errorf("%d recipients", n)
	}
}

// Mail with a signed return path is logged with both senders.
func TestRecordOfAReturnPath(t *testing.T) {
	e := testEvent()
	e.Envelope.ReturnPath, e.Envelope.Batch = smtp.Address{Local: "04t", Domain: "r.shop.test"}, spool.ID{5}
	got := decode(t, appendRecord(nil, e, noNode))
	if got["sender"] != "news@shop.test" || got["return_path"] != "04t@r.shop.test" || got["batch_id"] != e.Envelope.Batch.String() {
		t.Errorf("%v", got)
	}
}

var noNode = []byte(`""`)
