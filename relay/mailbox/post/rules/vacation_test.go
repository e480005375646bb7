package rules

import (
	"bufio"
	"bytes"
	"mime"
	"net/mail"
	"strings"
	"testing"
	"time"

	tenma "tenma/relay/mail"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
)

func TestSilent(t *testing.T) {
	const to = "To: ann@ours.test\r\n"
	away := &tenma.Vacation{From: today, Until: today.AddDate(0, 0, 14), Text: "Back soon."}
	for _, c := range []struct{ sender, header, want string }{
		{"bob@far.test", to, Away},
		{"bob@far.test", "to: Ann <ANN+shop@ours.test>,\r\n other@far.test\r\n", Away},
		{"bob@far.test", "Cc: us: x@far.test, ann@ours.test;\r\n", Away},
		{"bob@far.test", "To: sales@ours.test\r\n", Away},
		{"bob@far.test", "Resent-To: ann@ours.test\r\nTo: x@far.test\r\n", Away},
		{"bob@far.test", "Auto-Submitted: no (by hand)\r\n" + to, Away},
		{"bob@far.test", "X-Auto-Response-Suppress: DR, NDR\r\n" + to, Away},
		{"requester@far.test", to, Away},
		{"own-er-x@far.test", to, Away},
		{"rootbeer@far.test", to, Away},
		{"", to, NoSender},
		{"ann@ours.test", to, Own},
		{"Sales+x@ours.test", to, Own},
		{"MAILER-DAEMON@far.test", to, Robot},
		{"owner-go@far.test", to, Robot},
		{"go-request@far.test", to, Robot},
		{"go-owner@far.test", to, Robot},
		{"list-bounces+ann=ours.test@far.test", to, Robot},
		{"bounces-123@far.test", to, Robot},
		{"bounce+123@far.test", to, Robot},
		{"No_Reply@far.test", to, Robot},
		{"do-not-reply@far.test", to, Robot},
		{"bob@far.test", "List-Id: <x>\r\n" + to, List},
		{"bob@far.test", to + "list-unsubscribe: <mailto:x>\r\n", List},
		{"bob@far.test", "Precedence: Bulk\r\n" + to, List},
		{"bob@far.test", "Auto-Submitted: auto-generated; x=y\r\n" + to, Automatic},
		{"bob@far.test", "Auto-Submitted:\r\n auto-replied\r\n" + to, Automatic},
		{"bob@far.test", "Auto-Submitted:\r\n" + to, Automatic},
		{"bob@far.test", "X-Auto-Response-Suppress: DR, oof\r\n" + to, Automatic},
		{"bob@far.test", "X-Auto-Response-Suppress: All\r\n" + to, Automatic},
		{"bob@far.test", "Delivered-To: Ann@ours.test\r\n" + to, Loop},
		{"bob@far.test", "", NotWritten},
		{"bob@far.test", "To: undisclosed-recipients:;\r\nSubject: ann@ours.test\r\n", NotWritten},
		{"bob@far.test", "To: \"ann@ours.test\" <x@far.test> (ann@ours.test)\r\n", NotWritten},
	} {
		a := Arrival{Sender: addr(t, c.sender), Header: header.Section(c.header), Own: []smtp.Address{addr(t, "ann@ours.test"), addr(t, "sales@ours.test")}}
		if got := Silent(away, a, today); got != c.want {
			t.Errorf("%s with %q: %q, want %q", c.sender, c.header, got, c.want)
		}
	}
	a := Arrival{Sender: addr(t, "bob@far.test"), Header: header.Section(to), Own: []smtp.Address{addr(t, "ann@ours.test")}}
	for _, c := range []struct {
		v    *tenma.Vacation
		now  time.Time
		want string
	}{
		{nil, today, NotAway},
		{&tenma.Vacation{}, today, NotAway},
		{&tenma.Vacation{Text: "x"}, today, Away},
		{away, today.Add(-time.Second), NotAway},
		{away, today.AddDate(0, 0, 14).Add(-time.Second), Away},
		{away, today.AddDate(0, 0, 14), NotAway},
	} {
		if got := Silent(c.v, a, c.now); got != c.want {
			t.Errorf("%+v at %v: %q, want %q", c.v, c.now, got, c.want)
		}
	}
}

func TestReply(t *testing.T) {
	v := &tenma.Vacation{Text: "I am away.\nBack on Monday."}
	a := Arrival{Sender: addr(t, "bob@far.test"), Header: header.Section("Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <2@far.test>\r\nReferences: <0@x> <1@x>\r\n")}
	got := string(Reply(v, addr(t, "ann@ours.test"), a, "<r@ours.test>", today))
	want := strings.ReplaceAll(`Date: Sun, 22 Nov 2026 12:00:00 +0000
From: <ann@ours.test>
To: <bob@far.test>
Subject: =?utf-8?b?QXV0b21hdGljIHJlcGx5OiBHcsO8w59l?=
Message-ID: <r@ours.test>
In-Reply-To: <2@far.test>
References: <0@x>
 <1@x>
 <2@far.test>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: text/plain; charset=us-ascii

I am away.
Back on Monday.
`, "\n", "\r\n")
	if got != want {
		t.Errorf("the reply is\n%s", got)
	}
}

func TestReplyInAnyLanguage(t *testing.T) {
	v := &tenma.Vacation{Subject: strings.Repeat("留守です ", 30) + "\r\nBcc: x@y.test", Text: "ただいま留守です。\r\n" + strings.Repeat("ä", 500) + "\x00\xff"}
	a := Arrival{Sender: addr(t, "ü@far.test"), Header: header.Section("Message-ID: <a> <b>\r\nReferences: x\r\nIn-Reply-To: <c> <d>\r\n")}
	got := Reply(v, addr(t, "ann@ours.test"), a, "<r@ours.test>", today)
	m, err := mail.ReadMessage(bytes.NewReader(got))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || !strings.HasPrefix(subject, "留守です") || m.Header.Get("Bcc") != "" || m.Header.Get("In-Reply-To") != "" || m.Header.Get("References") != "" {
		t.Errorf("header %v, %v", m.Header, err)
	}
	for s := bufio.NewScanner(bytes.NewReader(got)); s.Scan(); {
		if len(s.Text()) > 100 || strings.ContainsRune(s.Text(), '\r') {
			t.Errorf("line %q", s.Text())
		}
	}
}

func TestThreads(t *testing.T) {
	ids := []string{"<first@x>"}
	for range 99 {
		ids = append(ids, "<"+strings.Repeat("i", 40)+"@x>")
	}
	a := Arrival{Sender: addr(t, "bob@far.test"), Header: header.Section("Message-ID: <last@x>\r\nReferences: " + strings.Join(ids, "\r\n ") + "\r\n")}
	m, err := mail.ReadMessage(bytes.NewReader(Reply(&tenma.Vacation{Text: "x"}, addr(t, "ann@ours.test"), a, "<r@x>", today)))
	if err != nil {
		t.Fatal(err)
	}
	refs := m.Header.Get("References")
	if len(refs) > maxReferences || !strings.HasPrefix(refs, "<first@x> ") || !strings.HasSuffix(refs, " <last@x>") {
		t.Errorf("%q", refs)
	}
	a.Header = header.Section("Message-ID: <last@x>\r\nIn-Reply-To: <before@x>\r\n")
	if m, err = mail.ReadMessage(bytes.NewReader(Reply(&tenma.Vacation{Text: "x"}, addr(t, "ann@ours.test"), a, "<r@x>", today))); err != nil || m.Header.Get("References") != "<before@x> <last@x>" {
		t.Errorf("%v, %v", m, err)
	}
}

func TestWarnings(t *testing.T) {
	for _, n := range []Notice{NearlyFull(addr(t, "ann@ours.test"), 1900<<20, 2<<30), Full(addr(t, "ann@ours.test"), 5<<20, 5<<20), NearlyFull(addr(t, "ann@ours.test"), 10, 1000)} {
		n.Date, n.MessageID = today, "<w@ours.test>"
		m, err := mail.ReadMessage(bytes.NewReader(n.Bytes()))
		if err != nil || m.Header.Get("To") != "<ann@ours.test>" || m.Header.Get("From") != "Mail Delivery System <postmaster@ours.test>" || m.Header.Get("Auto-Submitted") != "auto-generated" {
			t.Errorf("%v, %v", m, err)
		}
	}
	if n := NearlyFull(addr(t, "ann@ours.test"), 1900<<20, 2<<30); n.Subject != "Your mailbox is 92 % full" || !strings.Contains(n.Text, "1.9 GB of the 2.0 GB") {
		t.Errorf("%+v", n)
	}
}

func FuzzSilent(f *testing.F) {
	f.Add("bob", "To: ann@ours.test\r\n", "x")
	f.Add("owner-x", "References: <a> <b>\r\nMessage-ID: <c>\r\n", "ü\r\n")
	f.Fuzz(func(t *testing.T, local, head, text string) {
		own := smtp.Address{Local: "ann", Domain: "ours.test"}
		sender, err := smtp.ParseMailbox(smtp.Address{Local: local, Domain: "far.test"}.String())
		if err != nil {
			return
		}
		a := Arrival{Sender: sender, Header: header.Section(head), Own: []smtp.Address{own}}
		v := &tenma.Vacation{Text: text}
		_ = Silent(v, a, today)
		m, err := mail.ReadMessage(bytes.NewReader(Reply(v, own, a, "<r@x>", today)))
		if err != nil {
			t.Fatal(err)
		}
		for name, values := range m.Header {
			switch name {
			case "Date", "From", "To", "Subject", "Message-Id", "In-Reply-To", "References", "Auto-Submitted", "Mime-Version", "Content-Type", "Content-Transfer-Encoding":
				if len(values) == 1 {
					continue
				}
			}
			t.Errorf("%s: %q", name, values)
		}
	})
}
