package digest

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"tenma/relay/wire/header"
	"tenma/relay/wire/mime"
)

func TestMake(t *testing.T) {
	d := Make([]byte("From: =?utf-8?q?J=C3=B6?= <a@b>\r\nSubject: s\r\nDate: 1 Jul 2003 10:52:37 +0200\r\nMessage-ID: <m@x>\r\n\r\nbody"))
	if !d.Whole || d.From != "Jö <a@b>" || d.MessageID != "<m@x>" || d.Sent.Format(time.RFC3339) != "2003-07-01T10:52:37+02:00" {
		t.Errorf("%+v", d)
	}
	if d := Make([]byte("Subject: the header does not end here\r\n")); d.Whole || d.Subject == "" {
		t.Errorf("%+v", d)
	}
	if d := Make([]byte("Date: 1 Jul 0000 10:00:00 +0000\r\n\r\n")); !d.Sent.IsZero() {
		t.Errorf("%+v", d)
	}
	d = Make([]byte("To: " + strings.Repeat("a@b, ", 5000) + "\r\n\r\n"))
	if n := len(d.Encode()); n > Max+64 {
		t.Errorf("%d octets", n)
	}
}

// What is kept shows the same envelope as the message, or none.
func TestEnvelope(t *testing.T) {
	for head, ok := range map[string]bool{
		"From: =?utf-8?q?J=C3=B6?= <a@b>\r\nTo: c@d, e@f\r\nSubject: s\r\nDate: then\r\nMessage-ID: <m@x>\r\nReply-To:\r\n\r\nbody": true,
		"\r\nbody": true,
		"Subject: " + strings.Repeat("x", 2000) + "\r\nTo: c@d\r\n\r\n": true,
		"To: " + strings.Repeat("a@b, ", 5000) + "\r\n\r\n":             false,
		"Subject: a\r\nSubject: b\r\n\r\n":                              false,
		"Subject: the header does not end here\r\n":                     false,
	} {
		d := Make([]byte(head))
		d = Decode(d.Encode())
		got, there := d.Envelope()
		if there != ok {
			t.Errorf("%.60q: %v", head, there)
		}
		section, _, _ := strings.Cut(head, "\r\n\r\n")
		if want := mime.ParseEnvelope(header.Section(strings.TrimPrefix(section+"\r\n", "\r\nbody"))); there && !reflect.DeepEqual(got, want) {
			t.Errorf("%.60q: %+v, not %+v", head, got, want)
		}
	}
	d := Make([]byte("From: Ann <ann@example.test>\r\nTo: bob@example.test\r\nSubject: hello\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.test>\r\n\r\n"))
	if n := len(d.envelope); n > 31+10 {
		t.Errorf("an ordinary envelope takes %d octets more", n)
	}
	old := d.Encode()
	old = old[:len(old)-len(d.envelope)]
	old[0] &^= 4 // as before envelopes were kept
	if d := Decode(old); d.Subject != "hello" {
		t.Errorf("%+v", d)
	} else if _, ok := d.Envelope(); ok {
		t.Error("an envelope from nowhere")
	}
}

func FuzzDecode(f *testing.F) {
	d := Make([]byte("From: a\r\nTo: b\r\nReferences: c\r\nDate: 1 Jul 2003 10:52:37 +0200\r\n\r\n"))
	f.Add(d.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		d := Decode(b)
		_, _ = d.Envelope()
		again := Decode(d.Encode())
		if !again.Sent.Equal(d.Sent) {
			t.Errorf("%v, then %v", d.Sent, again.Sent)
		}
		again.Sent, d.Sent = time.Time{}, time.Time{}
		if d != again {
			t.Errorf("%+v, then %+v", d, again)
		}
	})
}
