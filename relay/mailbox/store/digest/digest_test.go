package digest

import (
	"strings"
	"testing"
	"time"
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

func FuzzDecode(f *testing.F) {
	d := Make([]byte("From: a\r\nTo: b\r\nReferences: c\r\nDate: 1 Jul 2003 10:52:37 +0200\r\n\r\n"))
	f.Add(d.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		d := Decode(b)
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
