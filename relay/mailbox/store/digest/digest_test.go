package digest

import (
	"encoding/binary"
	"reflect"
	"strings"
	"testing"
	"time"

	"tenma/relay/wire/header"
	"tenma/relay/wire/mime"
)

func TestMake(t *testing.T) {
	d := Make([]byte("From: =?utf-8?q?J=C3=B6?= <a@b>\r\nSubject: s\r\nDate: 1 Jul 2003 10:52:37 +0200\r\nMessage-ID: <m@x>\r\n\r\nbody"), nil)
	if !d.Whole || d.From != "Jö <a@b>" || d.MessageID != "<m@x>" || d.Sent.Format(time.RFC3339) != "2003-07-01T10:52:37+02:00" {
		t.Errorf("%+v", d)
	}
	if d := Make([]byte("Subject: the header does not end here\r\n"), nil); d.Whole || d.Subject == "" {
		t.Errorf("%+v", d)
	}
	if d := Make([]byte("Date: 1 Jul 0000 10:00:00 +0000\r\n\r\n"), nil); !d.Sent.IsZero() {
		t.Errorf("%+v", d)
	}
	d = Make([]byte("To: "+strings.Repeat("a@b, ", 5000)+"\r\n\r\n"), nil)
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
		d := Make([]byte(head), nil)
		d = Decode(d.Encode(), nil)
		got, there := d.Envelope()
		if there != ok {
			t.Errorf("%.60q: %v", head, there)
		}
		section, _, _ := strings.Cut(head, "\r\n\r\n")
		if want := mime.ParseEnvelope(header.Section(strings.TrimPrefix(section+"\r\n", "\r\nbody"))); there && !reflect.DeepEqual(got, want) {
			t.Errorf("%.60q: %+v, not %+v", head, got, want)
		}
	}
	d := Make([]byte("From: Ann <ann@example.test>\r\nTo: bob@example.test\r\nSubject: hello\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.test>\r\n\r\n"), nil)
	if n := len(d.tail); n > 31+10+1+1+5 {
		t.Errorf("an ordinary envelope takes %d octets more", n)
	}
	old := d.Encode()
	old = old[:len(old)-len(d.tail)]
	old[0] &^= keptEnvelope | keptLayout // as before envelopes were kept
	if d := Decode(old, nil); d.Subject != "hello" {
		t.Errorf("%+v", d)
	} else if _, ok := d.Envelope(); ok {
		t.Error("an envelope from nowhere")
	}
}

// What an earlier version reads of a record is what it wrote: it takes the layout for a
// part of the envelope that it does not need. Without an envelope it sees none.
func TestLayoutIsBehind(t *testing.T) {
	for _, head := range []string{"From: a\r\nSubject: b\r\n\r\n", "Subject: a\r\nSubject: b\r\n\r\n"} {
		d := Make([]byte(head), text())
		if d.kept&keptLayout == 0 {
			t.Fatalf("nothing is kept of %q", head)
		}
		rec := d.Encode()
		rec[0] &^= keptLayout
		old := Decode(rec, nil)
		e, ok := d.Envelope()
		if got, there := old.Envelope(); there != ok || !reflect.DeepEqual(got, e) {
			t.Errorf("%q: %+v, not %+v", head, got, e)
		}
		if _, ok := old.Structure(); ok {
			t.Error("a structure from nowhere")
		}
		if _, ok := old.AppendFields(nil, NewWanted([]string{"Subject"})); ok {
			t.Error("fields from nowhere")
		}
	}
}

func text() *mime.Part {
	b := mime.NewBuilder()
	_, _ = b.Write([]byte("From: a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: a, b\r\n\r\n--b\r\nContent-Disposition: attachment; filename=c\r\n\r\n"))
	tree, _ := b.Tree()
	return tree
}

// How much is kept of ordinary messages, of which a mailbox holds thousands.
func TestLayoutIsSmall(t *testing.T) {
	const head = "From: Ann <ann@example.test>\r\nTo: bob@example.test\r\nSubject: hello\r\n there\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n" +
		"Message-ID: <1@example.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nReceived: from a\r\n\tby b\r\nReceived: by c\r\nX-Own: d\r\n\r\n"
	b := mime.NewBuilder()
	_, _ = b.Write([]byte(head + strings.Repeat("text\r\n", 700)))
	tree, _ := b.Tree()
	d, without := Make([]byte(head), tree), Make([]byte(head), nil)
	if n := len(encodeParts(tree)); n > 16 {
		t.Errorf("a text takes %d octets", n)
	}
	if n := len(without.encodeFields(header.Section(head[:len(head)-2]))); n > 55 {
		t.Errorf("the header takes %d octets", n)
	}
	if n := len(d.Encode()); n > 300 {
		t.Errorf("all takes %d octets", n)
	}
}

// A record that is not from here is no reason to fall over, or to work for long.
func FuzzLayout(f *testing.F) {
	h := "From: a\r\n b\r\nX: y\r\nSubject: c\r\nLines: 3\r\nsubject : d\r\n"
	d := Digest{From: "a"}
	f.Add(string(encodeParts(text())), string(d.encodeFields(header.Section(h))))
	f.Add("\x02\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\x07", "\x01\x02\xff\xff\xff\xff\x07")
	want := NewWanted([]string{"From", "Subject", "X", "Y"})
	f.Fuzz(func(t *testing.T, parts, fields string) {
		d := Digest{From: "a", References: "b c", kept: keptLayout}
		d.tail = string(binary.AppendUvarint(nil, uint64(len(parts)))) + parts + fields
		if tree, ok := d.Structure(); ok {
			again := encodeParts(tree)
			if again == nil && len(parts) <= maxParts {
				t.Errorf("%+v cannot be written", tree)
			}
			if d.tail = string(binary.AppendUvarint(nil, uint64(len(again)))) + string(again); again != nil {
				if got, ok := d.Structure(); !ok || !reflect.DeepEqual(got, tree) {
					t.Errorf("%+v, then %+v", tree, got)
				}
			}
		}
		d.tail = "\x00" + fields
		if text, ok := d.AppendFields(nil, want); ok && !strings.HasSuffix(string(text), "\r\n") {
			t.Errorf("%q", text)
		}
	})
}

func FuzzDecode(f *testing.F) {
	d := Make([]byte("From: a\r\nTo: b\r\nReferences: c\r\nDate: 1 Jul 2003 10:52:37 +0200\r\n\r\n"), nil)
	f.Add(d.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		d := Decode(b, nil)
		_, _ = d.Envelope()
		again := Decode(d.Encode(), nil)
		if !again.Sent.Equal(d.Sent) {
			t.Errorf("%v, then %v", d.Sent, again.Sent)
		}
		again.Sent, d.Sent = time.Time{}, time.Time{}
		if d != again {
			t.Errorf("%+v, then %+v", d, again)
		}
	})
}
