package incoming

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tenma/relay/wire/dsn"
	"tenma/relay/wire/smtp"
)

var update = flag.Bool("update", false, "rewrite the golden file")

// testdata has messages of many systems (see its LICENSE), and messages.golden
// what is read of each.
func TestMessages(t *testing.T) {
	files, err := filepath.Glob("testdata/*.eml")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d messages, %v", len(files), err)
	}
	var got bytes.Buffer
	for _, name := range files {
		m := read(t, name)
		fmt.Fprintf(&got, "%s: %s id=%s return-path=<%s> envelope=%s by=%s\n", filepath.Base(name), m.Kind, m.Original.MessageID, m.Original.ReturnPath, m.EnvelopeID, m.ReportingMTA)
		for _, r := range m.Recipients {
			fmt.Fprintf(&got, "  %s (%s) %s %d %s %q at=%s host=%s\n", r.Address, r.Original, r.Action, r.Code, r.Status, clip(r.Text, 100), r.Command, r.Host)
		}
	}
	const golden = "testdata/messages.golden"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Error(d)
	}
}

func read(t *testing.T, name string) *Message {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(text))
}

func parse(t *testing.T, text string) *Message {
	t.Helper()
	m, err := Read(strings.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Each form that is known, in few words.
func TestForms(t *testing.T) {
	daemon := "Return-Path: <>\nFrom: MAILER-DAEMON@mx.test\nTo: me@src.test\nSubject: failure notice\n\n"
	for name, tc := range map[string]struct {
		in   string
		want []Recipient
	}{
		"a delivery status in the text": {
			daemon + "Sorry.\n\nReporting-MTA: dns; mx.test\n\nFinal-Recipient: rfc822; a@b.test\nAction: failed\nStatus: 5.1.1\n\nReceived: from x\n",
			[]Recipient{{Address: "a@b.test", Action: dsn.Failed, Status: smtp.Status{5, 1, 1}}},
		},
		"what the remote said goes before the Status field": {
			daemon + "Final-Recipient: rfc822;a@b.test\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550-5.7.1 no\nRemote-MTA: dns; mx.b.test\n",
			[]Recipient{{Address: "a@b.test", Action: dsn.Failed, Status: smtp.Status{5, 7, 1}, Code: 550, Text: "550-5.7.1 no", Host: "mx.b.test"}},
		},
		"qmail": {
			daemon + "I wasn't able to deliver your message\n\n<a@b.test>:\n192.0.2.1 does not like recipient.\nRemote host said: 550 5.1.1 no\nGiving up on 192.0.2.1.\n\n<c@d.test>:\nConnected to 192.0.2.2 but sender was rejected.\nRemote host said: 553 go\n\n--- Below this line is a copy of the message.\n\nTo: x@y.test\n",
			[]Recipient{
				{Address: "a@b.test", Action: dsn.Failed, Status: smtp.Status{5, 1, 1}, Code: 550, Text: "550 5.1.1 no", Command: "RCPT"},
				{Address: "c@d.test", Action: dsn.Failed, Code: 553, Text: "553 go", Command: "MAIL"},
			},
		},
		"a transcript": {
			daemon + "   ----- Transcript of session follows -----\n... while talking to mx.b.test.:\n>>> RCPT To:<a@b.test>\n<<< 550 5.1.1 no\n550 5.1.1 <a@b.test>... User unknown\n",
			[]Recipient{{Address: "a@b.test", Action: dsn.Failed, Status: smtp.Status{5, 1, 1}, Code: 550, Text: "550 5.1.1 <a@b.test>... User unknown", Command: "RCPT"}},
		},
		"one reply for all, before them": {
			daemon + "Could not be delivered because of\n\n552 5.2.2 full\n\nThe following recipients were affected:\n    a@b.test\n",
			[]Recipient{{Address: "a@b.test", Action: dsn.Failed, Status: smtp.Status{5, 2, 2}, Code: 552, Text: "552 5.2.2 full"}},
		},
		"a delay": {
			"X-Failed-Recipients: a@b.test\n" + strings.Replace(daemon, "failure notice", "Warning: message delayed", 1) + "  a@b.test\n    host mx.b.test [192.0.2.1]: 450 later\n",
			[]Recipient{{Address: "a@b.test", Action: dsn.Delayed, Code: 450, Text: "450 later"}},
		},
		"commands sent at once: what looks like an answer to DATA is one to RCPT": {
			daemon + "<a@b.test>\n\n   ----- Transcript of session follows -----\n... while talking to mx.b.test.:\n>>> DATA\n<<< 550 5.1.1 no\n<<< 503 5.0.0 Need RCPT (recipient)\n",
			[]Recipient{{Address: "a@b.test", Action: dsn.Failed, Status: smtp.Status{5, 1, 1}, Code: 550, Text: "550 5.1.1 no\n<<< 503 5.0.0 Need RCPT (recipient)", Command: "RCPT"}},
		},
		"the sender is no recipient": {
			daemon + "Undeliverable.\n\nSender address: s@c.test\nRecipient address: a@b.test\n550 no\n",
			[]Recipient{{Address: "a@b.test", Action: dsn.Failed, Code: 550, Text: "550 no"}},
		},
		"a server that answers in brackets": {
			daemon + "We had trouble delivering your message.\n\nSMTP Server <mx.b.test> rejected recipient <a@b.test> (Error following RCPT command). It responded as follows: [550 5.1.1 no]\n",
			[]Recipient{{Address: "a@b.test", Action: dsn.Failed, Status: smtp.Status{5, 1, 1}, Code: 550, Text: "550 5.1.1 no]", Command: "RCPT"}},
		},
		"a gateway's transcript": {
			daemon + "Unable to deliver message to <a@b.test>.\n\nSent <<< RCPT TO:<a@b.test>\nReceived >>> 550 5.1.1 <a@b.test>... User unknown\n",
			[]Recipient{{Address: "a@b.test", Action: dsn.Failed, Status: smtp.Status{5, 1, 1}, Code: 550, Text: "550 5.1.1 <a@b.test>... User unknown", Command: "RCPT"}},
		},
		"only the original tells whom": {
			daemon + "Message could not be delivered to mobile.\nError: No valid recipients for this MM\n\n--- Original message ---\n\nTo: a@b.test\nSubject: x\n",
			[]Recipient{{Address: "a@b.test", Action: dsn.Failed, Local: true}},
		},
		"the address that it was before an alias": {
			daemon + "Your message cannot be delivered to the following recipients:\n\n  Recipient address: a@store.b.test\n  Original address: a@b.test\n  Reason: Over quota\n",
			[]Recipient{{Address: "a@store.b.test", Original: "a@b.test", Action: dsn.Failed, Text: "Original address: a@b.test\n  Reason: Over quota", Local: true}},
		},
		"a transcript with arrows the other way round": {
			daemon + "These did not get it:\n\n> a@b.test\n\n Mon: <-- 220 mx.b.test\n Mon: --> RCPT To:<a@b.test>\n Mon: <-- 550 no\n",
			[]Recipient{{Address: "a@b.test", Action: dsn.Failed, Code: 550, Text: "550 no", Command: "RCPT"}},
		},
		"a transcript that does not say who speaks": {
			daemon + "These did not get it:\n\n> a@b.test\n\n  RCPT To:<a@b.test>\n  550 no\n",
			[]Recipient{{Address: "a@b.test", Action: dsn.Failed, Code: 550, Text: "550 no", Command: "RCPT"}},
		},
		"Japanese without a charset": {
			daemon + "<a@b.test>:\n\x1b$B%f!<%6!<$,$$$^$;$s\x1b(B\n",
			[]Recipient{{Address: "a@b.test", Action: dsn.Failed, Text: "ユーザーがいません", Local: true}},
		},
		"a telephone number is no reply": {
			daemon + "Questions? Call (480) 624-2500.\n\n<a@b.test>:\nThe folder is full.\n",
			[]Recipient{{Address: "a@b.test", Action: dsn.Failed, Text: "The folder is full.", Local: true}},
		},
		"what was answered is no part of the reply": {
			daemon + "<a@b.test>: host mx.b.test said: 550 no (in\n    reply to RCPT TO command)\n",
			[]Recipient{{Address: "a@b.test", Action: dsn.Failed, Code: 550, Text: "550 no", Command: "RCPT"}},
		},
		"a header field alone": {
			"X-Failed-Recipients: a@b.test, c@d.test\n" + daemon + "It did not work.\n",
			[]Recipient{{Address: "a@b.test", Action: dsn.Failed, Local: true}, {Address: "c@d.test", Action: dsn.Failed, Local: true}},
		},
		"a notification in JSON": {
			"From: no-reply@sns.test\nSubject: Notification\n\n" + `{"Type":"Notification","Message":"{\"eventType\":\"Bounce\",\"bounce\":{\"bounceType\":\"Permanent\",\"bouncedRecipients\":[{\"emailAddress\":\"a@b.test\",\"action\":\"failed\",\"status\":\"5.1.1\",\"diagnosticCode\":\"smtp; 550 5.1.1 no\"}]},\"mail\":{\"messageId\":\"1\"}}"}` + "\n--\nfooter\n",
			[]Recipient{{Address: "a@b.test", Action: dsn.Failed, Status: smtp.Status{5, 1, 1}, Code: 550, Text: "550 5.1.1 no"}},
		},
	} {
		m := parse(t, tc.in)
		for i := range m.Recipients {
			m.Recipients[i].Notes = ""
		}
		if d := cmp.Diff(tc.want, m.Recipients); d != "" || m.Kind != Report {
			t.Errorf("%s: %s (-want +got)\n%s", name, m.Kind, d)
		}
	}
}

func TestKinds(t *testing.T) {
	for name, tc := range map[string]struct {
		in   string
		want Kind
	}{
		"a letter":               {"From: a@b.test\nSubject: hello\n\nHow are you? Call 550 1234.\n", Other},
		"a letter on failure":    {"From: a@b.test\nSubject: our plan\n\nThe parcel could not be delivered.\n", Other},
		"a postmaster's news":    {"From: postmaster@b.test\nSubject: news\n\nDear a@b.test, we have a new server.\n", Other},
		"a newsletter":           {"From: n@b.test\nSubject: Offers\nPrecedence: bulk\nAuto-Submitted: auto-generated\n\nBuy!\n", Other},
		"away":                   {"From: a@b.test\nSubject: Re: x\nAuto-Submitted: auto-replied (vacation)\n\nI am away.\n", AutoReply},
		"away, in a subject":     {"From: a@b.test\nSubject: =?utf-8?q?Out_of_office?= until May\n\nI am away.\n", AutoReply},
		"away, an old one":       {"From: a@b.test\nSubject: x\nPrecedence: auto_reply\n\nI am away.\n", AutoReply},
		"from the daemon itself": {"From: MAILER-DAEMON@b.test\nSubject: sorry\n\nNot for us: c@b.test\n", Report},
		"away, in Polish":        {"From: a@b.test\nSubject: [Automatyczna odpowiedz] x\n\nNie ma mnie.\n", AutoReply},
		"nothing":                {"", Other},
	} {
		if m := parse(t, tc.in); m.Kind != tc.want {
			t.Errorf("%s: %s", name, m.Kind)
		}
	}
}

func TestComplaints(t *testing.T) {
	for name, in := range map[string]string{
		"RFC 5965": "Content-Type: multipart/report; boundary=x\n\n--x\n\nA complaint.\n--x\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nOriginal-Rcpt-To: <a@b.test>\n" +
			"--x\nContent-Type: message/rfc822\n\nMessage-ID: <1@src.test>\n\nhello\n--x--\n",
		"without a type":        "Content-Type: multipart/report; boundary=x\n\n--x\nContent-Type: message/feedback-report\n\nVersion: 1\n--x\nContent-Type: text/rfc822-headers\n\nMessage-ID: <1@src.test>\nTo: a@b.test\n--x--\n",
		"without MIME":          "Subject: x\n\nFeedback-Type: abuse\nVersion: 1\nOriginal-Rcpt-To: a@b.test\n\nReceived: from x by y\nMessage-ID: <1@src.test>\n",
		"a junk button's":       "Subject: complaint about message from 192.0.2.1\nContent-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: message/rfc822\n\nX-HmXmrOriginalRecipient: a@b.test\nMessage-ID: <1@src.test>\n\nhello\n--x--\n",
		"passed on by somebody": "Subject: Fwd: complaint\nContent-Type: multipart/mixed; boundary=y\n\n--y\n\nLook at this.\n--y\nContent-Type: message/rfc822\n\nContent-Type: multipart/report; boundary=x\n\n--x\nContent-Type: message/feedback-report\n\nFeedback-Type: fraud\nOriginal-Rcpt-To: a@b.test\n--x\nContent-Type: text/rfc822-headers\n\nMessage-ID: <1@src.test>\n--x--\n--y--\n",
	} {
		m := parse(t, in)
		if m.Kind != Complaint || len(m.Recipients) != 1 || m.Recipients[0].Address != "a@b.test" || m.Original.MessageID != "<1@src.test>" || m.Feedback == nil {
			t.Errorf("%s: %s %+v of %q", name, m.Kind, m.Recipients, m.Original.MessageID)
		}
	}
}

// A report may name any number of recipients and say anything of them.
func TestBounds(t *testing.T) {
	var b strings.Builder
	b.WriteString("Return-Path: <>\nFrom: MAILER-DAEMON@mx.test\nSubject: failure notice\n\n")
	for i := range 2 * MaxRecipients {
		fmt.Fprintf(&b, "<a%d@b.test>: 550 no %s\n", i, strings.Repeat("x", 10))
	}
	m := parse(t, b.String())
	if n := len(m.Recipients); n == 0 || n > MaxRecipients {
		t.Errorf("%d recipients", n)
	}
	m = parse(t, "Return-Path: <>\nFrom: MAILER-DAEMON@mx.test\nSubject: failure notice\n\nFinal-Recipient: rfc822; a@b.test\nDiagnostic-Code: smtp; 550 "+strings.Repeat("long ", 100_000)+"\n")
	if len(m.Recipients) != 1 || len(m.Recipients[0].Text) > maxWords || len(m.Recipients[0].Notes) > maxWords {
		t.Errorf("%d recipients, or too long texts", len(m.Recipients))
	}
}

func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("testdata/*.eml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := Read(bytes.NewReader(text), int64(len(text)))
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Recipients) > MaxRecipients {
			t.Errorf("%d recipients", len(m.Recipients))
		}
		if (m.Kind == Other) != (len(m.Recipients) == 0) {
			t.Errorf("%s with %d recipients", m.Kind, len(m.Recipients))
		}
		for _, r := range m.Recipients {
			if len(r.Text) > maxWords || len(r.Notes) > maxWords || r.Code != 0 && (r.Code < 200 || r.Code > 599) {
				t.Errorf("%+v", r)
			}
		}
	})
}
