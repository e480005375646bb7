package bounce

import (
	"bytes"
	"context"
	"encoding/csv"
	"os"
	"slices"
	"strings"
	"testing"

	"tenma/relay/bounce/classify"
	"tenma/relay/bounce/incoming"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

func readFile(t *testing.T, name string) *Returned {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewReader(classify.New()).Read(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The messages of incoming/testdata, and what people have labelled them with: the
// classes that may come out for each recipient, and whether it is hard. Those
// with a question mark come out otherwise: the messages do not tell enough.
func TestReader(t *testing.T) {
	f, err := os.Open("incoming/testdata/expected.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table := csv.NewReader(f)
	table.Comma, table.Comment = '\t', '#'
	rows, err := table.ReadAll()
	if err != nil || len(rows) < 30 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	var m *Returned
	i, last := 0, ""
	for _, row := range rows { // file, classes, hard
		if i++; row[0] != last {
			m, i, last = readFile(t, "incoming/testdata/"+row[0]), 0, row[0]
		}
		if i >= len(m.Diagnoses) {
			t.Errorf("%s: only %d recipients", row[0], len(m.Diagnoses))
			continue
		}
		d := m.Diagnoses[i]
		good := slices.Contains(strings.Split(row[1], ","), d.Class.String()) && (d.Severity == mail.Hard) == (row[2] == "true")
		if doubt := len(row) > 3 && row[3] == "?"; good == doubt {
			t.Errorf("%s, recipient %d: %s %s by rule %q, want %s, hard %s", row[0], i+1, d.Class, d.Severity, d.Rule, row[1], row[2])
		}
	}
}

// Forms that no labelled collection has, or only once.
func TestReaderForms(t *testing.T) {
	text, err := os.ReadFile("testdata/forms.txt")
	if err != nil {
		t.Fatal(err)
	}
	forms := strings.Split(string(text), "\n== ")[1:]
	if len(forms) < 25 {
		t.Fatalf("%d forms", len(forms))
	}
	for _, form := range forms {
		head, body, _ := strings.Cut(form, "\n\n")
		name, want, _ := strings.Cut(head, "\n")
		m, err := NewReader(classify.New()).Read(strings.NewReader(body), int64(len(body)))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i, r := range m.Recipients {
			got = append(got, "> "+r.Address+" "+m.Diagnoses[i].Class.String()+" "+m.Diagnoses[i].Severity.String())
		}
		if got := strings.Join(got, "\n"); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
}

// What this package says of a failure, it understands.
func TestReaderOfOwn(t *testing.T) {
	c := New(Config{Hostname: "mx.test"}, Deps{})
	e := &mail.Envelope{
		Sender: smtp.Address{Local: "me", Domain: "src.test"}, EnvID: "shop 17",
		Recipients: []mail.Recipient{{Address: smtp.Address{Local: "full", Domain: "dst.test"}}, {Address: smtp.Address{Local: "no", Domain: "dst.test"}}},
	}
	outcome := func(code int, status smtp.Status, text string) mail.Outcome {
		return mail.Outcome{Reply: smtp.Reply{Code: code, Status: status, Text: text}, Command: "RCPT", Host: "mx.dst.test"}
	}
	reports := []mail.Report{
		{Recipient: 0, Action: mail.ActionFailed, Outcome: outcome(552, smtp.Status{5, 2, 2}, "over quota")},
		{Recipient: 1, Action: mail.ActionFailed, Outcome: outcome(550, smtp.Status{5, 1, 1}, "user unknown")},
	}
	drafts, err := c.Compose(context.Background(), spool.ID{1}, e, nil, reports, nil)
	if err != nil || len(drafts) != 1 {
		t.Fatalf("%d drafts, %v", len(drafts), err)
	}
	body := drafts[0].Body
	m, err := NewReader(classify.New()).Read(bytes.NewReader(body), int64(len(body)))
	if err != nil || m.Kind != incoming.Report || len(m.Recipients) != 2 {
		t.Fatalf("%+v, %v", m, err)
	}
	for i, want := range []struct {
		address, host string
		code          int
		class         mail.Class
	}{{"full@dst.test", "mx.dst.test", 552, mail.QuotaIssues}, {"no@dst.test", "mx.dst.test", 550, mail.InvalidRecipient}} {
		r, d := m.Recipients[i], m.Diagnoses[i]
		if r.Address != want.address || r.Host != want.host || r.Code != want.code || d.Class != want.class {
			t.Errorf("recipient %d: %+v, %+v", i, r, d)
		}
	}
	if m.EnvelopeID != e.EnvID || m.ReportingMTA != "mx.test" {
		t.Errorf("envelope %q by %q", m.EnvelopeID, m.ReportingMTA)
	}
}

// A report that gives up makes sure what was temporary while it lasted; a delay
// does not.
func TestReaderGivesUp(t *testing.T) {
	for action, want := range map[string]mail.Severity{"failed": mail.Hard, "delayed": mail.Soft} {
		text := "Content-Type: message/delivery-status\n\nFinal-Recipient: rfc822; a@b.test\nAction: " + action + "\nStatus: 4.1.1\nDiagnostic-Code: smtp; 450 4.1.1 user unknown\n"
		m, err := NewReader(classify.New()).Read(strings.NewReader(text), int64(len(text)))
		if err != nil || len(m.Diagnoses) != 1 || m.Diagnoses[0].Severity != want {
			t.Errorf("%s: %+v, %v", action, m, err)
		}
	}
}
