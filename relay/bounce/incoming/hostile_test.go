package incoming

import (
	"fmt"
	"strings"
	"testing"
)

// What is made to cost time or memory costs what any message of its size does: the
// test ends, and nothing beyond the bounds is kept.
func TestHostile(t *testing.T) {
	// One goroutine reads a message, so there is no race to find, and patterns are ten
	// times slower under the detector: it gets less of
	// what is searched. All of it is for the plain run.
	less := 1
	if raceEnabled {
		less = 256
	}
	const daemon = "Return-Path: <>\nFrom: MAILER-DAEMON@mx.test\nSubject: failure notice\n"
	report := daemon + "Content-Type: multipart/report; boundary=x\n\n--x\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.test\n\n"
	for name, text := range map[string]string{
		"parts within parts":       daemon + nested(2_000/less),
		"messages within messages": daemon + strings.Repeat("Content-Type: message/rfc822\n\n", 20_000/less) + "x\n",
		"a header without end":     daemon + strings.Repeat("X-Filler: "+strings.Repeat("y", 60)+"\n", 25<<20/71),
		"one field without end":    daemon + "X-Filler: " + strings.Repeat("y", 25<<20) + "\n\nx\n",
		"recipients without end":   report + lines(100_000, "Final-Recipient: rfc822; a%d@b.test\nAction: failed\nStatus: 5.1.1\n\n"),
		"addresses without end":    daemon + "\n" + lines(100_000/less, "<a%d@b.test>: 550 no\n"),
		"failed recipients":        daemon + "X-Failed-Recipients: " + lines(50_000, "a%d@b.test, ") + "\n\nIt did not work.\n",
		"a diagnosis without end":  report + "Final-Recipient: rfc822; a@b.test\nAction: failed\nDiagnostic-Code: smtp; " + strings.Repeat("550 (", 200_000/less) + "\n",
		"half addresses":           daemon + "\n" + strings.Repeat("a@", 1<<20/less),
		"half domains":             daemon + "\n" + strings.Repeat("a@b.", 1<<19/less),
		"codes":                    daemon + "\n" + strings.Repeat("<<< 550 ", 1<<17/less),
		"lines of codes":           daemon + "\n" + strings.Repeat(">>> DATA\n<<< 550 no\n", 1<<16/less),
		"telephones":               daemon + "\n" + strings.Repeat("(480) 624-2500 ", 1<<17/less),
		"half phrases":             daemon + "\n" + strings.Repeat("(in reply to ", 1<<17/less),
		"announcements":            daemon + "\n" + strings.Repeat("--- original\n", 1<<17/less),
		"half tags":                daemon + "MIME-Version: 1.0\nContent-Type: text/html\n\n" + strings.Repeat("<style", 1<<18/less),
		"brackets":                 daemon + "MIME-Version: 1.0\nContent-Type: text/html\n\n" + strings.Repeat("<", 1<<20/less),
		"JSON within JSON":         daemon + "\n" + strings.Repeat("{\"a\":", 1<<18/less),
		"a complaint's fields":     "Content-Type: multipart/report; boundary=x\n\n--x\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\n" + lines(100_000/less, "Original-Rcpt-To: a%d@b.test\n"),
	} {
		t.Run(name, func(t *testing.T) {
			m := parse(t, text)
			if len(m.Recipients) > MaxRecipients {
				t.Errorf("%d recipients", len(m.Recipients))
			}
			kept := len(m.EnvelopeID) + len(m.ReportingMTA) + len(m.Original.MessageID) + len(m.Original.ReturnPath) + len(m.Original.To)
			for _, r := range m.Recipients {
				kept += len(r.Text) + len(r.Notes)
			}
			if most := 4*maxWords + 2*maxWords*max(len(m.Recipients), 1); kept > most {
				t.Errorf("%d octets kept, at most %d", kept, most)
			}
		})
	}
}

func lines(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func nested(depth int) string {
	var b strings.Builder
	for i := range depth {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	return b.String() + "\nx\n"
}
