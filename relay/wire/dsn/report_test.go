package dsn

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message"
	"github.com/google/go-cmp/cmp"

	"tenma/relay/wire/smtp"
)

// status finds the message/delivery-status part of a message.
func status(t *testing.T, r io.Reader) io.Reader {
	t.Helper()
	m, err := message.Read(r)
	if err != nil {
		t.Fatal(err)
	}
	parts := m.MultipartReader()
	for parts != nil {
		p, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		if kind, _, _ := p.Header.ContentType(); kind == "message/delivery-status" {
			return p.Body
		}
	}
	t.Fatal("no multipart message")
	return nil
}

// Reports of other mail systems, each with its own idea of the syntax.
func TestParseRealReports(t *testing.T) {
	sprynet := &Report{
		ReportingMTA: Typed{"dns", "mm1"},
		ArrivalDate:  time.Date(1996, 7, 29, 2, 12, 50, 0, time.FixedZone("", -7*3600)),
		Recipients: []Recipient{{
			Final: Typed{"rfc822", "newsletter-request@imusic.com"}, Action: Failed,
			Diagnostic: Typed{"x-local", "500 (err.nosuchuser)"},
		}},
	}
	for file, want := range map[string]*Report{
		"delivery-status.txt":               sprynet,
		"delivery-status-no-blank-line.txt": sprynet, // ends in two blank lines
		"delivery-status-multiple-blank-lines.txt": { // no Final-Recipient, no Action
			ReportingMTA: Typed{"dns", "someserver.com"},
			Recipients: []Recipient{{
				Original: Typed{"rfc822", "orig_recip@customer.com"}, Status: smtp.Status{5, 5, 0},
				Diagnostic: Typed{"smtp", "550 Requested action not taken"},
			}},
		},
		"delivery-status2.txt": {
			ReportingMTA: Typed{"dns", "smtp-out.dis-hosting.net"},
			Recipients:   []Recipient{{Final: Typed{"rfc822", "source@domain.com"}, Action: Failed, Status: smtp.Status{5, 0, 0}}},
		},
	} {
		t.Run(file, func(t *testing.T) {
			f, err := os.Open(filepath.Join("testdata", file))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			got, err := Parse(status(t, f))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestParseLiberties(t *testing.T) {
	for _, c := range []struct {
		why, in string
		want    *Report
	}{
		{
			"no blank line before or between recipients",
			"Reporting-MTA: dns; a\nFinal-Recipient: rfc822; x@y\nAction: failed (no)\nFinal-Recipient: rfc822;<z@y>\nStatus: 4.2.2 (full)\n",
			&Report{ReportingMTA: Typed{"dns", "a"}, Recipients: []Recipient{
				{Final: Typed{"rfc822", "x@y"}, Action: Failed},
				{Final: Typed{"rfc822", "z@y"}, Status: smtp.Status{4, 2, 2}, StatusText: "full"},
			}},
		},
		{
			"folded fields, comments and a missing type",
			"Reporting-MTA: a.test\r\n\r\nFinal-Recipient: x@y\r\nDiagnostic-Code: smtp;\r\n 550\r\n\tno such user\r\nX-Other: 1\r\n more\r\n",
			&Report{ReportingMTA: Typed{"dns", "a.test"}, Recipients: []Recipient{{Final: Typed{"rfc822", "x@y"}, Diagnostic: Typed{"smtp", "550 no such user"}}}},
		},
		{
			"address of type utf-8 in ASCII and a nonsense date",
			"Arrival-Date: yesterday\n\nFinal-Recipient: utf-8; \\x{FC}@y\n",
			&Report{Recipients: []Recipient{{Final: Typed{"utf-8", "ü@y"}}}},
		},
	} {
		got, err := Parse(strings.NewReader(c.in))
		if err != nil {
			t.Errorf("%s: %v", c.why, err)
			continue
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", c.why, d)
		}
	}
}

func TestParseBounds(t *testing.T) {
	if _, err := Parse(strings.NewReader("hello\n\nworld\n")); !errors.Is(err, ErrSyntax) {
		t.Errorf("a text without fields: %v", err)
	}
	for why, in := range map[string]string{
		"many recipients": strings.Repeat("Action: failed\n\n", MaxRecipients+1),
		"one long line":   "Action: failed\n" + strings.Repeat("x", MaxReport),
	} {
		if _, err := Parse(strings.NewReader(in)); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", why, err)
		}
	}
	r, err := Parse(strings.NewReader("Status: 5.0.0\nDiagnostic-Code: smtp;" + strings.Repeat(" y\n x", 100_000)))
	if err != nil || len(r.Recipients[0].Diagnostic.Text) > maxField {
		t.Errorf("a field of many folded lines is kept with %d octets (%v)", len(r.Recipients[0].Diagnostic.Text), err)
	}
	broken := errors.New("broken")
	if _, err := Parse(io.MultiReader(strings.NewReader("Action: failed\n"), failing{broken})); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func fullReport() *Report {
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	return &Report{
		EnvelopeID: "QQ314159", ReportingMTA: Typed{"dns", "mx1.sender.test"}, ReceivedFrom: Typed{"dns", "pc.sender.test"}, ArrivalDate: at,
		Recipients: []Recipient{{
			Original: Typed{"rfc822", "Old@b.test"}, Final: Mailbox(smtp.Address{Local: "a b", Domain: "b.test"}), Action: Failed, Status: smtp.Status{5, 1, 1},
			RemoteMTA: Typed{"dns", "mx.b.test"}, Diagnostic: Typed{"smtp", "550 5.1.1 no such user"}, LastAttempt: at.Add(time.Minute), FinalLogID: "0ABC",
		}, {
			Final: Mailbox(smtp.Address{Local: "grün", Domain: "b.test"}), Action: Delayed, Status: smtp.Status{4, 4, 1}, WillRetry: at.Add(time.Hour),
		}},
	}
}

func TestReportRoundTrip(t *testing.T) {
	sameTime := cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })
	for _, global := range []bool{false, true} {
		text := fullReport().Append(nil, global)
		if got := !isASCII(text); got != global {
			t.Errorf("global %v, but has octets above 127: %v", global, got)
		}
		got, err := Parse(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(fullReport(), got, sameTime); d != "" {
			t.Errorf("global %v: %s", global, d)
		}
	}
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// Text from a remote server or a hostile client must stay inside its field.
func TestAppendKeepsTextInItsField(t *testing.T) {
	evil := "550 no\r\n\r\nFinal-Recipient: rfc822; victim@b.test\r\n\x00\x1b[31m\u202e\u2028\x85" + strings.Repeat("ä", 2000)
	r := &Report{EnvelopeID: evil, ReportingMTA: Typed{"dns", evil}, Recipients: []Recipient{{
		Original: Typed{"utf-8", evil}, Final: Typed{evil, evil}, Action: Action(evil),
		RemoteMTA: Typed{"dns", evil}, Diagnostic: Typed{"smtp", evil}, FinalLogID: evil,
	}}}
	for _, global := range []bool{false, true} {
		checkLines(t, r.Append(nil, global), 1)
	}
}

// checkLines fails the test unless text is fields in CRLF lines of lawful
// length and groups of them, one more than recipients.
func checkLines(t *testing.T, text []byte, recipients int) {
	t.Helper()
	blank := 0
	for _, line := range strings.SplitAfter(string(text), "\r\n") {
		body, ended := strings.CutSuffix(line, "\r\n")
		switch {
		case line == "":
		case !ended || strings.ContainsFunc(body, isControl) || len(body) > 998:
			t.Errorf("bad line %.80q", line)
		case body == "":
			blank++
		case !strings.Contains(body, ": "):
			t.Errorf("no field: %.80q", line)
		}
	}
	if blank != recipients {
		t.Errorf("%d groups after the first, want %d", blank, recipients)
	}
}

func FuzzAppend(f *testing.F) {
	f.Add("dns", "550 no\r\nAction: delivered", "5.1.1", true)
	f.Add("utf-8", "ü@b", "failed", false)
	f.Fuzz(func(t *testing.T, kind, text, word string, global bool) {
		v := Typed{kind, text}
		r := &Report{EnvelopeID: text, ReportingMTA: v, Recipients: []Recipient{{Original: v, Final: v, Action: Action(word), RemoteMTA: v, Diagnostic: v, FinalLogID: word}}}
		b := r.Append(nil, global)
		checkLines(t, b, 1)
		if !global && !isASCII(b) {
			t.Error("not ASCII")
		}
	})
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txt")
	for _, name := range files {
		if b, err := os.ReadFile(name); err == nil {
			f.Add(b)
		}
	}
	f.Add(fullReport().Append(nil, true))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Parse(bytes.NewReader(b))
		if err != nil {
			return
		}
		checkLines(t, r.Append(nil, true), len(r.Recipients))
	})
}
