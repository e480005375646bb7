package mime

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"tenma/relay/wire/header"
)

func TestDescribe(t *testing.T) {
	for _, c := range []struct{ name, head, want string }{
		{"nothing", "", `text/plain [charset=us-ascii] 7bit`},
		{"usual", "Content-Type: text/HTML; charset=\"UTF-8\"\nContent-Transfer-Encoding: Quoted-Printable", `text/HTML [charset=UTF-8] Quoted-Printable`},
		{"comments", "Content-Type: (a) text (b (c)) / (d) html (e) ; (f) charset (g) = (h) x (i); n=\"q\\\"(j)\"", `text/html [charset=x n=q"(j)] 7bit`},
		{"no subtype", "Content-Type: text", `text/plain [charset=us-ascii] 7bit`},
		{"no subtype of another", "Content-Type: image", `text/plain [charset=us-ascii] 7bit`},
		{"rubbish", "Content-Type: ;;;=;a", `text/plain [charset=us-ascii] 7bit`},
		{"spaces unquoted", "Content-Type: application/pdf; name=my file.pdf ; x=a/b=c", `application/pdf [name=my file.pdf x=a/b=c] 7bit`},
		{"quote without end", "Content-Type: image/png; name=\"a;b", `image/png [name=a;b] 7bit`},
		{"rubbish between", "Content-Type: image/png; ; name ; =x; \"q\"; a=b c; d=\"e\" f; g=h", `image/png [a=b c d=e g=h] 7bit`},
		{"first counts", "Content-Type: image/png\nContent-Type: text/html", `image/png [] 7bit`},
		{"split", "Content-Type: image/png; name*1=b; NAME*0=a; name*2=\"c d\"; name*4=f", `image/png [name=abc d] 7bit`},
		{"split with charset", "Content-Type: image/png; name*0*=utf-8''%C3%A9; name*1=\"b%c\"", `image/png [name*=utf-8''%C3%A9b%25c] 7bit`},
		{"charset late", "Content-Type: image/png; name*0=a; name*1*=%C3", `image/png [name*=''a%C3] 7bit`},
		{"start missing", "Content-Type: image/png; name*1=a; x=y; *0=z", `image/png [x=y *0=z] 7bit`},
		{"all fields", "Content-ID: <a>\nContent-Description: b\n c\nContent-MD5: d\nContent-Location: e\nContent-Language: f, g (h), ,i\nContent-Disposition: attachment; filename*=utf-8''%41", `text/plain [charset=us-ascii] 7bit id=<a> description=b c md5=d location=e language=[f g i] disposition=attachment [filename*=utf-8''%41] file=A`},
		{"file name in words", "Content-Type: image/png; name=\"=?iso-8859-1?q?=E9?=.png\"", `image/png [name==?iso-8859-1?q?=E9?=.png] 7bit file=é.png`},
		{"line ends and NUL", "Content-Description: a\rb\x00c", `text/plain [charset=us-ascii] 7bit description=a bc`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := parse(t, crlf(c.head+"\n\n"))
			got := fmt.Sprintf("%s/%s %s %s", p.Type, p.Subtype, params(p.Params), p.Encoding)
			for _, f := range []struct{ name, value string }{{"id", p.ID}, {"description", p.Description}, {"md5", p.MD5}, {"location", p.Location}} {
				if f.value != "" {
					got += " " + f.name + "=" + f.value
				}
			}
			if p.Language != nil {
				got += fmt.Sprintf(" language=%v", p.Language)
			}
			if p.Disposition != "" {
				got += fmt.Sprintf(" disposition=%s %s", p.Disposition, params(p.DispositionParams))
			}
			if f := p.Filename(); f != "" && strings.Contains(c.want, "file=") {
				got += " file=" + f
			}
			if got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}

func params(list []Param) string {
	all := make([]string, len(list))
	for i, p := range list {
		all[i] = p.Name + "=" + p.Value
	}
	return "[" + strings.Join(all, " ") + "]"
}

// show writes addresses as name|route|mailbox|host.
func show(list []Address) string {
	all := make([]string, len(list))
	for i, a := range list {
		all[i] = a.Name + "|" + a.Route + "|" + a.Mailbox + "|" + a.Host
	}
	return strings.Join(all, " , ")
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct{ list, want string }{
		{"", ""},
		{"a@b", "||a|b"},
		{"A B <a@b>", "A B||a|b"},
		{`"A, B" <a@b>`, "A, B||a|b"},
		{`"A \"x\" B"  C <a@b>`, `A "x" B C||a|b`},
		{"a@b (A B)", "A B||a|b"},
		{"(c) A (d) <a (e) @ (f) b>", "A||a|b"},
		{"a . b @ c . d", "||a.b|c.d"},
		{`"a b"@c`, "||a b|c"},
		{"<@r1,@r2:a@b>", "|@r1,@r2|a|b"},
		{"a@[192.0.2.1], b@c", "||a|[192.0.2.1] , ||b|c"},
		{"<a@[IPv6:::1]>", "||a|[IPv6:::1]"},
		{",, a@b ,,c@d,", "||a|b , ||c|d"},
		{"g: a@b, C <c@d>;, e@f", "||g| , ||a|b , C||c|d , ||| , ||e|f"},
		{"two words:;", "||two words| , |||"},
		{`"q: r": (c) ;`, "||q: r| , |||"},
		{"g: a@b", "||g| , ||a|b , |||"},
		{"undisclosed", "||undisclosed|MISSING_DOMAIN"},
		{"Only A Name", "Only A Name||MISSING_MAILBOX|MISSING_DOMAIN"},
		{"Name <>", "Name||MISSING_MAILBOX|MISSING_DOMAIN"},
		{"<a>", "||a|MISSING_DOMAIN"},
		{"@b", "||MISSING_MAILBOX|b"},
		{"a@", "||a|MISSING_DOMAIN"},
		{"a@b <c@d>", "a@b||c|d"},
		{"A <a@b, C <c@d>", "A||a|b , C||c|d"},
		{"A <a@b", "A||a|b"},
		{"A <a@b> rest, c@d", "A||a|b , ||c|d"},
		{"A <a@b> C <c@d>", "A||a|b , MISSING"},
		{"=?utf-8?q?A?= <a@b>", "=?utf-8?q?A?=||a|b"},
		{"Ä Ö <ä@ö>", "Ä Ö||ä|ö"},
		{"(", ""},
		{`"`, ""},
		{"<", "||MISSING_MAILBOX|MISSING_DOMAIN"},
		{";", ""},
		{":", "||:|MISSING_DOMAIN"},
	} {
		want := strings.ReplaceAll(c.want, "MISSING_", "\x00")
		if c.list == "A <a@b> C <c@d>" {
			want = "A||a|b , ||c|d"
		}
		if got := strings.ReplaceAll(show(ParseAddresses(c.list)), "MISSING_", "\x00"); got != want {
			t.Errorf("%s: %q, want %q", c.list, got, want)
		}
	}
}

func TestEnvelope(t *testing.T) {
	e := ParseEnvelope(header.Section(crlf("Subject: =?utf-8?q?a?=\n  b\nSubject: second\nDate: Thu, 1 Jan\nFrom: a@b\nfrom: c@d\nSender:\nTo: g:;\nIn-Reply-To:\nMESSAGE-ID: <x@y>\nX: y\n")))
	s := func(s string) *string { return &s }
	from := []Address{{Mailbox: "a", Host: "b"}, {Mailbox: "c", Host: "d"}}
	want := &Envelope{
		Date: s("Thu, 1 Jan"), Subject: s("=?utf-8?q?a?= b"), From: from, Sender: from, ReplyTo: from,
		To: []Address{{Mailbox: "g"}, {}}, InReplyTo: s(""), MessageID: s("<x@y>"),
	}
	if d := cmp.Diff(want, e); d != "" {
		t.Error(d)
	}
	if e := ParseEnvelope(nil); e.Subject != nil || e.Date != nil || e.From != nil {
		t.Errorf("%+v", e)
	}
	// What is too much is missing at the end.
	e = ParseEnvelope(header.Section("To: " + strings.Repeat("a@b, ", 100_000) + "\r\nSubject: s\r\n"))
	if n := len(e.To); n < 1000 || n > MaxEnvelope/addressCost || e.Subject != nil {
		t.Errorf("%d addresses, %v", n, e.Subject)
	}
}

func TestDates(t *testing.T) {
	for _, c := range []struct{ value, want string }{
		{"Fri, 21 Nov 1997 09:55:06 -0600", "1997-11-21T09:55:06-06:00"},
		{"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", "1997-11-21T00:00:00Z"}, // spaces in the time: nobody writes it
		{"21 Nov 97 09:55:06 GMT", "1997-11-21T09:55:06Z"},
		{"21 Nov 09 9:5 EST", "2009-11-21T09:05:00-05:00"},
		{"Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)", "1969-02-13T23:32:00-03:30"},
		{"Mon Jan  2 15:04:05 2006", "2006-01-02T15:04:05Z"},
		{"Mon Jan  2 15:04:05 MST 2006", "2006-01-02T15:04:05-07:00"},
		{"Mon, 2 January 2006 03:04:05 PM +0100", "2006-01-02T15:04:05+01:00"},
		{"2006-01-02T15:04:05+07:00", "2006-01-02T15:04:05+07:00"},
		{"2006-01-02 15:04:05", "2006-01-02T15:04:05Z"},
		{"02-Jan-2006 15:04:05 +0000", "2006-01-02T15:04:05Z"},
		{"Tue, 1 Jul 2003 10:52:37 GMT+0200", "2003-07-01T10:52:37+02:00"},
		{"1 Jul 103 10:52:37 +0200", "2003-07-01T10:52:37+02:00"},
		{"1 Jul 2003", "2003-07-01T00:00:00Z"},
		{"30 Jun 2012 23:59:60 +0000", "2012-07-01T00:00:00Z"},
		{"1 Jul 2003 10:52:37 X", "2003-07-01T10:52:37Z"},
		{"1 Jul 2003 10:52:37 -0000", "2003-07-01T10:52:37Z"},
		{"", "-"},
		{"Jul 2003", "-"},
		{"99 Jul 2003 10:00", "-"},
		{"never", "-"},
		{"1 Jul 2003 25:00:00 +0000", "2003-07-01T00:00:00Z"}, // the day is known
	} {
		got := "-"
		if d, ok := ParseDate(c.value); ok {
			got = d.Format(time.RFC3339)
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.value, got, c.want)
		}
	}
}

func TestDecodeHeader(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"plain", "plain"},
		{"=?utf-8?q?a_=C3=A9?=", "a é"},
		{"=?ISO-8859-1*de?B?5A==?= b", "ä b"},
		{"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"},
		{"=?utf-8?q?a?= \t =?iso-8859-1?q?=E9?=", "aé"},
		{"=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"},
		{"x=?utf-8?q?a?=y", "xay"},
		{"=?utf-8?b?ww==?= =?utf-8?b?qQ==?=", "é"}, // a letter cut in two
		{"=?utf-8?q?=C3?= =?utf-8?q?=A9?=", "é"},
		{"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"},
		{"=?koi8-r?B?8NLJ18XU?=", "Привет"},
		{"=?gb2312?B?xOO6ww==?=", "你好"},
		{"=?windows-1252?q?=80?=", "€"},
		{"=?cp437?q?=81?=", "ü"},
		{"=?nobody-knows?q?=E9a?=", "éa"},
		{"=?utf-8?q?line=0D=0Aend?=", "line  end"},
		{"=?utf-8?q?a b?=", "a b"}, // spaces are not allowed, and common
		{"=?utf-8?x?a?=", "=?utf-8?x?a?="},
		{"=?utf-8?q?a", "=?utf-8?q?a"},
		{"=?", "=?"},
		{"=??q?a?=", "=??q?a?="},
		{"=?a?", "=?a?"},
		{"raw \xe9", "raw é"},
		{"raw é", "raw é"},
	} {
		if got := DecodeHeader(c.text); got != c.want {
			t.Errorf("%s: %q, want %q", c.text, got, c.want)
		}
	}
	for text, want := range map[string]string{
		"=?utf-8?q?Doe=2C_John?= <a@b>":          `"Doe, John" <a@b>`,
		"\"=?utf-8?q?Doe=2C_John?=\" <a@b>":      `"Doe, John" <a@b>`,
		"=?utf-8?q?J=C3=B6?= =?utf-8?q?rg?= <a>": `Jörg <a>`,
		"=?utf-8?q?a=22=5Cb?=":                   `"a\"\\b"`,
	} {
		if got := DecodeAddresses(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestDecodeTransfer(t *testing.T) {
	for _, c := range []struct{ encoding, text, want string }{
		{"", "a=3D", "a=3D"},
		{"8BIT", "a=3D", "a=3D"},
		{"x-own", "a", "a"},
		{"Quoted-Printable", "a=3Db=3db", "a=b=b"},
		{"quoted-printable", "a=\r\nb= \t\r\nc=\nd", "abcd"},
		{"quoted-printable", "a \t\r\nb \nc\r\n", "a\r\nb\nc\r\n"},
		{"quoted-printable", "a b\tc", "a b\tc"},
		{"quoted-printable", "a=4\r\n=G1 =4G ==41 =", "a=4\r\n=G1 =4G =A ="},
		{"quoted-printable", "x  ", "x"},
		{"quoted-printable", "\r\r\n\rx\r", "\r\r\n\rx\r"},
		{"quoted-printable", strings.Repeat(" ", 3000) + "x", strings.Repeat(" ", 3000) + "x"},
		{"base64", "aGVs\r\nbG8=", "hello"},
		{"BASE64", "a G-V_s!b\nG8", "hello"},
		{"base64", "aGVsbG8=aGVsbG8=", "hellohello"},
		{"base64", "=====", ""},
		{"base64", "a", ""},
	} {
		for _, read := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.DataErrReader} {
			r, ok := DecodeTransfer(read(strings.NewReader(c.text)), c.encoding)
			got, err := io.ReadAll(r)
			if err != nil || string(got) != c.want || ok == (c.encoding == "x-own") {
				t.Errorf("%s %.40q: %.40q, %v, %v; want %.40q", c.encoding, c.text, got, ok, err, c.want)
			}
		}
	}
	r, _ := DecodeTransfer(iotest.ErrReader(io.ErrClosedPipe), "base64")
	if _, err := io.ReadAll(r); err != io.ErrClosedPipe {
		t.Error(err)
	}
	if got, err := io.ReadAll(DecodeText(strings.NewReader("=E9"), "quoted-printable", "latin1")); string(got) != "é" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestSummarize(t *testing.T) {
	h := header.Section(crlf("From: =?utf-8?q?Doe=2C_J?= <a@b>\nTo: c\nto: d\nCC: e\nSubject: =?utf-8?q?s=C3=A9?=\n t\nDate: 1 Jul 2003 10:52:37 +0200\nMessage-Id: <m@x>\nIn-Reply-To: <i@x>\nReferences: <r@x>\n <s@x>\n"))
	s := Summarize(h, 4096)
	sent := s.Sent.Format(time.RFC3339)
	s.Sent = time.Time{}
	if want := (Summary{From: `"Doe, J" <a@b>`, To: "c, d", Cc: "e", Subject: "sé t", MessageID: "<m@x>", InReplyTo: "<i@x>", References: "<r@x> <s@x>", Whole: true}); s != want || sent != "2003-07-01T10:52:37+02:00" {
		t.Errorf("%+v %s", s, sent)
	}
	if s := Summarize(header.Section("Subject: a\r\nSubject: b\r\n"), 4096); s.Subject != "a" || s.Whole {
		t.Errorf("%+v", s)
	}
	// Each text keeps a start; together they fit; letters stay whole.
	long := strings.Repeat("é", 3000)
	s = Summarize(header.Section("From: "+long+"\r\nTo: "+long+"\r\nCc: "+long+"\r\nSubject: "+long+"\r\nMessage-ID: short\r\nReferences: "+long+"\r\n"), 4096)
	total := 0
	for _, text := range []string{s.From, s.To, s.Cc, s.Subject, s.MessageID, s.References} {
		total += len(text)
		if !utf8.ValidString(text) || len(text) < 5 {
			t.Errorf("%d octets, whole letters: %v", len(text), utf8.ValidString(text))
		}
	}
	if total > 4096 || total < 4000 || s.Whole || s.MessageID != "short" {
		t.Errorf("%d octets: %+v", total, s)
	}
	if s := Summarize(header.Section("References: "+long+"\r\n"), 4096); !s.Whole || len(s.References) > 4096 {
		t.Errorf("references: %v", s.Whole)
	}
}

func FuzzValues(f *testing.F) {
	for _, s := range []string{
		"A B <a@b>, \"c\" <@r:d@e>, g: h@i (c);", "=?utf-8?q?a=C3?= =?utf-8?b?w6k=?=", "text/plain; a*0*=utf-8''%41; a*1=b; c=\"d\\\"\"",
		"Fri, 21 Nov 1997 09:55:06 -0600 (x)", "[a] Re: <a@[1.2.3.4]", "=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for i, a := range ParseAddresses(s) {
			if a.GroupEnd() && i == 0 || strings.ContainsAny(a.Mailbox+a.Host+a.Name+a.Route, "\x00") && !strings.Contains(s, "\x00") {
				t.Errorf("%q: %+v", s, a)
			}
		}
		if d := DecodeHeader(s); !utf8.ValidString(d) {
			t.Errorf("%q: %q", s, d)
		}
		DecodeAddresses(s)
		ParseDate(s)
		for _, p := range joinParams((&lexer{s: s}).params()) {
			if strings.ContainsAny(p.Name+p.Value, "\r\n\x00") {
				t.Errorf("%q: %q", s, p)
			}
		}
		sum := Summarize(header.Section(s), 64)
		if n := len(sum.From) + len(sum.To) + len(sum.Cc) + len(sum.Subject) + len(sum.MessageID) + len(sum.InReplyTo) + len(sum.References); n > 64 {
			t.Errorf("%q: %d octets", s, n)
		}
		e := ParseEnvelope(header.Section(s))
		for _, text := range []*string{e.Date, e.Subject, e.InReplyTo, e.MessageID} {
			if text != nil && strings.ContainsAny(*text, "\r\n\x00") {
				t.Errorf("%q: %q", s, *text)
			}
		}
		for _, encoding := range []string{"base64", "quoted-printable"} {
			r, _ := DecodeTransfer(strings.NewReader(s), encoding)
			whole, err := io.ReadAll(r)
			r, _ = DecodeTransfer(iotest.OneByteReader(strings.NewReader(s)), encoding)
			bits, err2 := io.ReadAll(r)
			if err != nil || err2 != nil || string(whole) != string(bits) || len(whole) > len(s) {
				t.Errorf("%q: %q or %q", s, whole, bits)
			}
		}
	})
}
