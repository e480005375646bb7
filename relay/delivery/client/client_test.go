package client

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

func readReply(in io.Reader) (smtp.Reply, error) {
	r := &reader{src: in}
	reply, err := r.next()
	if err != nil {
		return smtp.Reply{}, err
	}
	return reply.Words(), nil
}

func TestReply(t *testing.T) {
	for in, want := range map[string]smtp.Reply{
		"250 ok\r\n":       {Code: 250, Text: "ok"},
		"250\r\n":          {Code: 250},
		"250 \n":           {Code: 250},
		"550 5.1.1 no\r\n": {Code: 550, Status: smtp.Status{5, 1, 1}, Text: "no"},
		"550-5.1.1 no\r\n550 5.1.1 such user\r\n": {Code: 550, Status: smtp.Status{5, 1, 1}, Text: "no\nsuch user"},
		"550 4.1.1 contradicts\r\n":               {Code: 550, Text: "4.1.1 contradicts"},
		"450-a\r\n450-\r\n450 b\r\n":              {Code: 450, Text: "a\n\nb"},
		"250 a\tb\x00\x7f\u0085\xffc\r\n":         {Code: 250, Text: "a b   ?c"},
	} {
		got, err := readReply(strings.NewReader(in))
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%q: %v %s", in, err, d)
		}
		if slow, err := readReply(iotest.OneByteReader(strings.NewReader(in))); slow != got || err != nil {
			t.Errorf("%q octet by octet: %v %v", in, slow, err)
		}
	}
}

func TestHostileReplies(t *testing.T) {
	for in, want := range map[string]error{
		"":                                 io.EOF,
		"250 o":                            io.ErrUnexpectedEOF,
		"250-ok\r\n":                       io.EOF,
		"25 ok\r\n":                        ErrProtocol,
		"2500 ok\r\n":                      ErrProtocol,
		"150 ok\r\n":                       ErrProtocol,
		"650 ok\r\n":                       ErrProtocol,
		"\r\n":                             ErrProtocol,
		"2a0 ok\r\n":                       ErrProtocol,
		"250-ok\r\n251 ok\r\n":             ErrProtocol,
		"250 " + strings.Repeat("x", 5000): ErrProtocol,
		strings.Repeat("250-x\r\n", 1000):  ErrProtocol,
		strings.Repeat("250-"+strings.Repeat("x", 4000)+"\r\n", 10): ErrProtocol,
	} {
		if _, err := readReply(strings.NewReader(in)); !errors.Is(err, want) {
			t.Errorf("%.20q: %v, want %v", in, err, want)
		}
	}
}

func FuzzReply(f *testing.F) {
	f.Add([]byte("250-a\r\n250 5.1.1 b\r\n"))
	f.Add([]byte("550-5.7.1 a\n550 5.7.1 \xff\x1b\r\n421\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &reader{src: bytes.NewReader(b)}
		for {
			reply, err := r.next()
			if err != nil {
				return
			}
			w := reply.Words()
			if w.Code < 200 || w.Code > 599 || len(w.Text) > maxText || !utf8.ValidString(w.Text) {
				t.Fatalf("%+v", w)
			}
			for _, c := range w.Text {
				if c < 0x20 && c != '\n' || c >= 0x7f && c < 0xa0 {
					t.Fatalf("a control in %q", w.Text)
				}
			}
		}
	})
}

func TestExtensions(t *testing.T) {
	got := parseExtensions([]byte("hello PIPELINING\nsize 100 x\nAUTH plain LOGIN GSSAPI\nAUTH=SCRAM-SHA-256\n\n8BITMIME\nSIZES 5\nStartTLS"))
	want := Extensions{SizeKnown: true, Size: 100, Auth: Plain | Login, EightBit: true, StartTLS: true}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, s := range []string{"SIZE", "SIZE 0", "SIZE -5", "SIZE 99999999999999999999999", "SIZE x"} {
		if got := parseExtensions([]byte("hi\n" + s)); got != (Extensions{SizeKnown: true}) {
			t.Errorf("%s: %+v", s, got)
		}
	}
}

func FuzzExtensions(f *testing.F) {
	f.Add([]byte("hi\nSIZE 5\nAUTH PLAIN\nAUTH=LOGIN\nDSN"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if e := parseExtensions(b); e.Size < 0 || e.Size > 0 && !e.SizeKnown {
			t.Errorf("%+v", e)
		}
	})
}

// wire is a connection that keeps what is written.
type wire struct {
	net.Conn
	bytes.Buffer
}

func (w *wire) Write(p []byte) (int, error)      { return w.Buffer.Write(p) }
func (w *wire) Read([]byte) (int, error)         { return 0, io.EOF }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// unstuff is what a receiver does (RFC 5321 section 4.5.2).
func unstuff(t testing.TB, s string) string {
	s, ok := strings.CutSuffix(s, ".\r\n")
	if !ok || s != "" && !strings.HasSuffix(s, "\r\n") {
		t.Fatalf("no end of data in %q", s)
	}
	if strings.Contains("\r\n"+s, "\r\n.\r\n") {
		t.Fatalf("the data ends early in %q", s)
	}
	return strings.TrimPrefix(strings.ReplaceAll("\r\n"+s, "\r\n.", "\r\n"), "\r\n")
}

func sendPieces(t testing.TB, text string, cuts ...int) string {
	w := &wire{}
	c := New(w)
	c.BeginBody(true)
	for _, n := range cuts {
		n = min(n, len(text))
		if err := c.Body([]byte(text[:n])); err != nil {
			t.Fatal(err)
		}
		text = text[n:]
	}
	if err := c.Body([]byte(text)); err != nil {
		t.Fatal(err)
	}
	c.EndBody()
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	return w.String()
}

// However a body is cut, the receiver gets it back.
func TestDots(t *testing.T) {
	for _, text := range []string{"", ".\r\n", "..\r\n.\r\n", "a\r\n.b\r\n..c\r\n", "\r\n.\r\n\r\n", "x\r\n"} {
		for i := range len(text) + 1 {
			for j := range len(text) - i + 1 {
				if got := unstuff(t, sendPieces(t, text, i, j)); got != text {
					t.Errorf("%q cut at %d and %d arrives as %q", text, i, j, got)
				}
			}
		}
	}
	if got := sendPieces(t, "no end"); got != "no end\r\n.\r\n" {
		t.Errorf("%q", got)
	}
	big := strings.Repeat(".0123456789\r\n", 50000)
	if got := unstuff(t, sendPieces(t, big, 70000, 300000)); got != big {
		t.Error("a large body arrives changed")
	}
	plain := strings.Repeat("0123456789\r\n", 100000)
	if got := unstuff(t, sendPieces(t, plain, 1, 20000, 30000)); got != plain {
		t.Error("a large body without dots arrives changed")
	}
}

func FuzzDots(f *testing.F) {
	f.Add("a\r\n.b\r\n", 3)
	f.Add("\n.\r\n", 1)
	f.Fuzz(func(t *testing.T, text string, cut int) {
		out := sendPieces(t, text, max(cut, 0))
		if strings.Contains(strings.TrimSuffix(out, "\r\n.\r\n"), "\n.\r\n") || strings.Contains(strings.TrimSuffix(out, "\r\n.\r\n"), "\n.\n") {
			t.Errorf("%q goes out as %q, which somebody may end early", text, out)
		}
	})
}

func TestCommands(t *testing.T) {
	everything := Extensions{SizeKnown: true, EightBit: true, UTF8: true, DSN: true, RequireTLS: true}
	for _, x := range []struct {
		ext  Extensions
		do   func(c *Conn)
		want string
	}{
		{Extensions{}, func(c *Conn) {
			c.Mail(smtp.Address{Local: "a b", Domain: "x.test"}, MailParams{Size: 5, EightBit: true, UTF8: true, RequireTLS: true, Ret: mail.RetFull, EnvID: "e"})
		}, `MAIL FROM:<"a b"@x.test>`},
		{everything, func(c *Conn) {
			c.Mail(smtp.Address{}, MailParams{Size: 5, EightBit: true, UTF8: true, RequireTLS: true, Ret: mail.RetHeaders, EnvID: "e \r\n+"})
		}, `MAIL FROM:<> SIZE=5 BODY=8BITMIME SMTPUTF8 REQUIRETLS RET=HDRS ENVID=e+20+0D+0A+2B`},
		{everything, func(c *Conn) {
			c.Rcpt(&mail.Recipient{Address: smtp.Address{Local: "postmaster"}, Notify: mail.NotifyNever | mail.NotifyDelay, ORcpt: "rfc822;\r\nRSET"})
		}, `RCPT TO:<postmaster> NOTIFY=NEVER ORCPT=rfc822;+0D+0ARSET`},
		{everything, func(c *Conn) {
			c.Rcpt(&mail.Recipient{Address: smtp.Address{Local: "a", Domain: "b.test"}, Notify: mail.NotifySuccess | mail.NotifyDelay, ORcpt: "rfc822 x;y"})
		}, `RCPT TO:<a@b.test> NOTIFY=SUCCESS,DELAY`},
		{everything, func(c *Conn) {
			c.Rcpt(&mail.Recipient{Address: smtp.Address{Local: "a", Domain: "b.test"}, ORcpt: "rfc822;ü@x"})
		}, `RCPT TO:<a@b.test>`},
	} {
		w := &wire{}
		c := New(w)
		c.Ext = x.ext
		x.do(c)
		if err := c.Flush(); err != nil {
			t.Fatal(err)
		}
		if got := w.String(); got != x.want+"\r\n" {
			t.Errorf("%q, want %q", got, x.want)
		}
	}
	for _, a := range []smtp.Address{{Local: "a\r\nRSET", Domain: "x"}, {Local: "a", Domain: "x\n"}, {Local: "a", Domain: "x> <y"}, {Local: strings.Repeat("a", 2000)}} {
		if Sendable(a) {
			t.Errorf("%q can be sent", a)
		}
	}
}
