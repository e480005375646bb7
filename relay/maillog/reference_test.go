package maillog

import (
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// fields gives the paths of the values in a record.
func fields(under string, m map[string]any) (all []string) {
	for k, v := range m {
		if inner, ok := v.(map[string]any); ok {
			all = append(all, fields(under+k+".", inner)...)
		} else {
			all = append(all, under+k)
		}
	}
	return all
}

// The reference page has every field that a record can have, says truly which
// are always there, and has no others; likewise the kinds.
func TestReference(t *testing.T) {
	page, err := os.ReadFile("../../deploy/reference/maillog.md")
	if err != nil {
		t.Fatal(err)
	}
	full := testEvent()
	full.Outcome.Detail = "connection reset"
	full.Outcome.Diagnosis = mail.Diagnosis{Class: mail.SpamBlock, Severity: mail.Block, Remedy: mail.Reroute, Rule: "source-listed"}
	full.Envelope.ReturnPath, full.Envelope.Batch, full.About = smtp.Address{Local: "04t", Domain: "r.shop.test"}, spool.ID{1}, spool.ID{2}
	full.Feedback = testFeedback()
	every := fields("", decode(t, appendRecord(nil, full, []byte(`"n1"`))))
	judged := &mail.Event{Kind: mail.EventReception, Recipient: -1, Envelope: &mail.Envelope{Prefix: []byte("Authentication-Results: mx.test; none\r\n")}}
	every = append(every, fields("", decode(t, appendRecord(nil, judged, []byte(`"n1"`))))...)
	bare := &mail.Event{Kind: mail.EventRejection, Time: time.Unix(1_700_000_000, 0), Recipient: -1, Envelope: &mail.Envelope{}}
	always := fields("", decode(t, appendRecord(nil, bare, []byte(`"n1"`))))

	told := map[string]bool{} // field: always
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Za-z_.-]+)` \\| (always)? ?\\| ").FindAllStringSubmatch(string(page), -1) {
		told[m[1]] = m[2] != ""
	}
	for _, f := range every {
		if _, ok := told[f]; !ok {
			t.Errorf("the reference does not have %s", f)
		}
	}
	for f, says := range told {
		if !slices.Contains(every, f) {
			t.Errorf("the reference has %s, which no record has", f)
		}
		if is := slices.Contains(always, f); is != says {
			t.Errorf("%s: always %v, the reference says %v", f, is, says)
		}
	}

	for k := mail.EventReception; k <= mail.EventAdminRebind; k++ {
		if !regexp.MustCompile("(?m)^\\| .*`" + k.String() + "`.*\\|.*\\|.*\\|$").Match(page) {
			t.Errorf("the reference does not have the kind %s", k)
		}
	}
}
