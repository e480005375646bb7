package sevenbit_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"tenma/relay/wire/mime"
	"tenma/relay/wire/mime/sevenbit"
)

// convert gives the new form of a message.
func convert(t testing.TB, need sevenbit.Need, msg []byte) (out []byte, plan *sevenbit.Plan, err error) {
	t.Helper()
	plan, err = sevenbit.NewPlan(int64(len(msg)), need, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(msg)), nil })
	if err != nil {
		return nil, nil, err
	}
	out, err = io.ReadAll(plan.Reader(bytes.NewReader(msg)))
	if err != nil {
		t.Fatal(err)
	}
	again, err := io.ReadAll(iotest.OneByteReader(plan.Reader(iotest.OneByteReader(bytes.NewReader(msg)))))
	if err != nil || !bytes.Equal(out, again) {
		t.Fatalf("octet by octet it is another text (%v)", err)
	}
	return out, plan, nil
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

var long = strings.Repeat("all work and no play ", 60)

func TestConvert(t *testing.T) {
	for _, c := range []struct{ why, in, want string }{
		{
			"text becomes quoted-printable, and its label follows",
			"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\nSubject: x\n\nViele Grüße =\nund auf Wiedersehen \n",
			"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\nSubject: x\n\nViele Gr=C3=BC=C3=9Fe =3D\nund auf Wiedersehen=20\n",
		},
		{
			"what was no MIME becomes it, so that the text can be decoded",
			"Subject: x\n\nThe street is called Straße\n",
			"Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nThe street is called Stra=C3=9Fe\n",
		},
		{
			"and nobody claims to know what charset it was",
			"Subject: x\n\nThe street is called Stra\xdfe\n",
			"Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\nContent-Transfer-Encoding: quoted-printable\n\nThe street is called Stra=DFe\n",
		},
		{
			"base64 where that is shorter",
			"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\nさくら\n",
			"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n44GV44GP44KJDQo=\n",
		},
		{
			"what is no text is base64",
			"MIME-Version: 1.0\nContent-Type: image/png\nContent-Transfer-Encoding: binary\n\nabcdefgh\xff\n",
			"MIME-Version: 1.0\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\nYWJjZGVmZ2j/DQo=\n",
		},
		{
			"only the parts that need it, and the label around them",
			"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\n--b\n\nplain = stays\n--b\nContent-Type: text/plain\nContent-Transfer-Encoding: 8bit\n\nganz schön\n--b--\n",
			"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 7bit\n\n--b\n\nplain = stays\n--b\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\nganz sch=C3=B6n\n--b--\n",
		},
		{
			"a message within, to the last layer",
			"MIME-Version: 1.0\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nSubject: grün\nX: y\n\nweiß und rot\n",
			"MIME-Version: 1.0\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 7bit\n\nSubject: =?utf-8?q?gr=C3=BCn?=\nX: y\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nwei=C3=9F und rot\n",
		},
		{
			"a message in UTF-8 may be encoded as a whole (RFC 6532 section 3.7)",
			"MIME-Version: 1.0\nContent-Type: message/global\n\nSubject: grün und gut\n\ntext\n",
			"MIME-Version: 1.0\nContent-Type: message/global\nContent-Transfer-Encoding: quoted-printable\n\nSubject: gr=C3=BCn und gut\n\ntext\n",
		},
		{
			"text around the parts is for nobody",
			"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\nnö\n--b\n\nx\n--b--\nnä",
			"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\nn??\n--b\n\nx\n--b--\nn??",
		},
		{
			"a text that was encoded badly is decoded as readers do, and encoded well",
			"MIME-Version: 1.0\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n=41ä\n",
			"MIME-Version: 1.0\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\nQcOkDQo=\n",
		},
		{
			"a label that nobody knows is a misspelt one",
			"MIME-Version: 1.0\nContent-Type: text/plain\nContent-Transfer-Encoding: 8-bit\n\nabcdefghijklä\n",
			"MIME-Version: 1.0\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\nabcdefghijkl=C3=A4\n",
		},
		{
			"two labels become one",
			"MIME-Version: 1.0\nContent-Type: text/plain\nContent-Transfer-Encoding: 8bit\nX: y\nContent-Transfer-Encoding: 7bit\n\nabcdefghijklä\n",
			"MIME-Version: 1.0\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\nX: y\n\nabcdefghijkl=C3=A4\n",
		},
		{
			"header fields by their kinds; those that pass keep every octet",
			"From: Jörg Müller <j@b.test>, \"Ärzte, neue\" <a@b.test> (früh)\nto :  a@b.test,\n\tb@b.test\nSubject: Re: Grüße  aus Köln jetzt\nReceived: from ü\nMessage-ID: <1@b.test>\n\nx\n",
			"From: =?utf-8?b?SsO2cmcgTcO8bGxlcg==?= <j@b.test>,\n =?utf-8?b?w4RyenRlLCBuZXVl?= <a@b.test> (=?utf-8?b?ZnLDvGg=?=)\nto :  a@b.test,\n\tb@b.test\nSubject: Re: =?utf-8?q?Gr=C3=BC=C3=9Fe__aus_K=C3=B6ln?= jetzt\nReceived: from ??\nMessage-ID: <1@b.test>\n\nx\n",
		},
		{
			"parameters (RFC 2231)",
			"MIME-Version: 1.0\nContent-Type: application/pdf; name=\"Übersicht 1.pdf\"\nContent-Disposition: attachment;\n filename=Übersicht.pdf; size=3\n\nx\n",
			"MIME-Version: 1.0\nContent-Type: application/pdf; name*=utf-8''%C3%9Cbersicht%201.pdf\nContent-Disposition: attachment; filename*=utf-8''%C3%9Cbersicht.pdf; size=3\n\nx\n",
		},
		{
			"long lines, which a reader joins again",
			"MIME-Version: 1.0\nContent-Type: text/plain\n\n" + strings.Repeat("0123456789", 100) + "\n",
			"MIME-Version: 1.0\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n" + wrap(strings.Repeat("0123456789", 100)) + "\n",
		},
		{
			"no break where the hyphens of a delimiter would begin a line",
			"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n" + strings.Repeat("x", 1050) + "--b\n--b--\n",
			"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: quoted-printable\n\n" + strings.Repeat(strings.Repeat("x", 75)+"=\n", 14) + "=2D-b\n--b--\n",
		},
		{
			"an encoding stays what it is",
			"MIME-Version: 1.0\nContent-Type: image/png\nContent-Transfer-Encoding: BASE64\n\nQcOkDQo=\n",
			"MIME-Version: 1.0\nContent-Type: image/png\nContent-Transfer-Encoding: BASE64\n\nQcOkDQo=\n",
		},
		{"no body", "Subject: grün\n", "Subject: =?utf-8?q?gr=C3=BCn?=\n"},
		{"no final line end", "MIME-Version: 1.0\nContent-Type: text/plain\n\nabcdefghijklä", "MIME-Version: 1.0\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\nabcdefghijkl=C3=A4"},
	} {
		got, _, err := convert(t, sevenbit.SevenBits, []byte(crlf(c.in)))
		if err != nil {
			t.Errorf("%s: %v", c.why, err)
			continue
		}
		if d := cmp.Diff(crlf(c.want), string(got)); d != "" {
			t.Errorf("%s:\n%s", c.why, d)
		}
	}
}

// Where only the lines are too long, only those parts change that have such, and
// fields are folded, not encoded.
func TestShortLines(t *testing.T) {
	for _, c := range []struct{ why, in, want string }{
		{"8-bit text passes", "Subject: grün\n\nschön\n", "Subject: grün\n\nschön\n"},
		{
			"one part of two",
			"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nschön\n--b\n\n" + strings.Repeat("0123456789", 100) + "\n--b--\n",
			"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nschön\n--b\nContent-Transfer-Encoding: quoted-printable\n\n" + wrap(strings.Repeat("0123456789", 100)) + "\n--b--\n",
		},
		{
			"what is around it may have 8 bits still",
			"Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\n--b\n\nschön\n--b\n\n" + strings.Repeat("0123456789", 100) + "\n--b--\n",
			"Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\n--b\n\nschön\n--b\nContent-Transfer-Encoding: quoted-printable\n\n" + wrap(strings.Repeat("0123456789", 100)) + "\n--b--\n",
		},
		{
			"also one for machines, between its words",
			"References:" + strings.Repeat(" <123456789@b.test>", 60) + "\n\nx\n",
			"References:" + strings.Repeat(" <123456789@b.test>", 3) + "\n" + strings.Repeat(strings.Repeat(" <123456789@b.test>", 4)+"\n", 14) + " <123456789@b.test>\n\nx\n",
		},
		{"a field is folded", "Subject: grün" + strings.Repeat(" 123456789", 100) + "\n\nx\n", "Subject: grün" + strings.Repeat(" 123456789", 6) + "\n" + strings.Repeat(strings.Repeat(" 123456789", 7)+"\n", 13) + strings.Repeat(" 123456789", 3) + "\n\nx\n"},
	} {
		got, _, err := convert(t, sevenbit.ShortLines, []byte(crlf(c.in)))
		if err != nil {
			t.Errorf("%s: %v", c.why, err)
			continue
		}
		if d := cmp.Diff(crlf(c.want), string(got)); d != "" {
			t.Errorf("%s:\n%s", c.why, d)
		}
	}
}

// wrap breaks quoted-printable text softly.
func wrap(s string) string {
	var b strings.Builder
	for len(s) > 75 {
		b.WriteString(s[:75] + "=\n")
		s = s[75:]
	}
	return b.String() + s
}

// What cannot be said in 7 bits without changing what it says is an error.
func TestUnfit(t *testing.T) {
	for why, in := range map[string]string{
		"a part of a message that was split": "Content-Type: message/partial; id=x; number=1\n\nä\n",
		"a text elsewhere":                   "Content-Type: message/external-body; access-type=x\n\nä\n",
		"a multipart without parts":          "Content-Type: multipart/mixed; boundary=b\n\nä\n",
		"a delimiter beyond ASCII":           "Content-Type: multipart/mixed; boundary=\"ä\"\n\n--ä\n\nx\n--ä--\n",
		"an address beyond ASCII":            "From: <jörg@b.test>\n\nx\n",
		"one without brackets":               "From: jörg@b.test\n\nx\n",
		"a media type beyond ASCII":          "Content-Type: text/plän\n\nx\n",
		"too many layers":                    strings.Repeat("Content-Type: message/rfc822\n\n", 200) + "\nä\n",
	} {
		if _, _, err := convert(t, sevenbit.SevenBits, []byte(crlf(in))); !errors.Is(err, sevenbit.ErrUnfit) {
			t.Errorf("%s: %v", why, err)
		}
	}
}

func TestBreaks(t *testing.T) {
	signed := "Content-Type: multipart/signed; boundary=b\n\n--b\nContent-Type: text/plain\n\n%\n--b\nContent-Type: application/pgp-signature\n\nx\n--b--\n"
	beside := "Content-Type: multipart/mixed; boundary=a\n\n--a\n\nschön\n--a\n" + strings.ReplaceAll(signed, "%", "plain") + "--a--\n"
	for _, c := range []struct{ why, in, breaks string }{
		{"nobody signed it", "Subject: x\n\nschön\n", ""},
		{"DKIM", "DKIM-Signature: v=1\nSubject: x\n\nschön\n", "DKIM-Signature"},
		{"ARC", "ARC-Message-Signature: i=1\nSubject: x\n\nschön\n", "ARC-Message-Signature"},
		{"DKIM, but nothing changes", "DKIM-Signature: v=1\nSubject: x\n\nok\n", ""},
		{"S/MIME or PGP", strings.ReplaceAll(signed, "%", "schön"), "multipart/signed"},
		{"signed, but nothing changes there", beside, ""},
		{"a long line in what is signed", strings.ReplaceAll(signed, "%", long), "multipart/signed"},
	} {
		_, plan, err := convert(t, sevenbit.SevenBits, []byte(crlf(c.in)))
		if err != nil || plan.Breaks != c.breaks {
			t.Errorf("%s: breaks %q, %v", c.why, plan.Breaks, err)
		}
	}
}

// leaves gives what a reader is shown of a message: types and texts.
func leaves(t testing.TB, msg []byte) (all []string) {
	t.Helper()
	root, err := mime.Parse(bytes.NewReader(msg), int64(len(msg)), mime.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var walk func(p *mime.Part)
	walk = func(p *mime.Part) {
		global := p.Message() && !p.Is("message", "rfc822")
		encoded := strings.EqualFold(p.Encoding, "base64") || strings.EqualFold(p.Encoding, "quoted-printable")
		if len(p.Children) > 0 && !global && (p.Multipart() || !encoded) {
			all = append(all, p.Type+"/"+p.Subtype+" of")
			for _, c := range p.Children {
				walk(c)
			}
			return
		}
		r, _ := mime.DecodeTransfer(bytes.NewReader(msg[p.Body.Start:p.Body.End]), p.Encoding)
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p.Type+"/"+p.Subtype+" "+string(bytes.TrimRight(text, "\r\n")))
	}
	walk(root)
	return all
}

// check holds a new form against the message that it was made of.
func check(t testing.TB, need sevenbit.Need, msg []byte) {
	t.Helper()
	out, plan, err := convert(t, need, msg)
	if err != nil {
		if !errors.Is(err, sevenbit.ErrUnfit) {
			t.Fatal(err)
		}
		return
	}
	for line := range bytes.Lines(out) {
		if len(bytes.TrimSuffix(line, []byte("\r\n"))) > sevenbit.MaxLine {
			t.Errorf("a line of %d octets", len(line))
		}
	}
	if bytes.IndexByte(out, 0) >= 0 || need == sevenbit.SevenBits && bytes.ContainsFunc(out, func(c rune) bool { return c >= 0x80 }) {
		t.Errorf("not in ASCII: %q", out)
	}
	if plan.Unchanged() != bytes.Equal(msg, out) {
		t.Errorf("unchanged is %v", plan.Unchanged())
	}
	if d := cmp.Diff(leaves(t, msg), leaves(t, out)); d != "" {
		t.Errorf("it says something else (- was, + is):\n%s\nfrom %q\nto %q", d, msg, out)
	}
	second, plan, err := convert(t, need, out)
	if err != nil || !plan.Unchanged() || !bytes.Equal(second, out) {
		t.Errorf("the new form has one itself: %v", err)
	}
}

func corpus(t testing.TB) map[string][]byte {
	all := map[string][]byte{}
	files, err := filepath.Glob("../../../testdata/messages/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no messages: %v", err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(f)] = canonical(text)
	}
	return all
}

// canonical is text as the spool has it: CRLF line ends, no other CR or LF.
func canonical(b []byte) []byte {
	b = bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\r"), nil)
	return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))
}

// Every message keeps its parts and what they say, as it is and with texts that do
// not pass.
func TestCorpus(t *testing.T) {
	for name, msg := range corpus(t) {
		t.Run(name, func(t *testing.T) {
			for _, need := range []sevenbit.Need{sevenbit.SevenBits, sevenbit.ShortLines} {
				check(t, need, msg)
				check(t, need, bytes.ReplaceAll(msg, []byte(" the "), []byte(" thé ")))
				check(t, need, bytes.ReplaceAll(msg, []byte("\r\n\r\n"), []byte("\r\n\r\n"+long+"\xfc\r\n")))
			}
		})
	}
}

func FuzzConvert(f *testing.F) {
	for _, msg := range corpus(f) {
		if len(msg) < 10_000 {
			f.Add(msg)
		}
	}
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\n\nä\n--b\nContent-Type: message/rfc822\n\nFrom: \"ä\" <a@b>\n\nä\n--b--\nä"))
	f.Add([]byte("Content-Type: text/plain; a=\"ä\"\nContent-Disposition: x; y=ä; z*=utf-8''ä\n\n\x00" + long))
	f.Fuzz(func(t *testing.T, msg []byte) {
		check(t, sevenbit.SevenBits, canonical(msg))
		check(t, sevenbit.ShortLines, canonical(msg))
	})
}

// A message that is cut short while it is read is never taken for a whole one.
func TestShort(t *testing.T) {
	msg := []byte(crlf("MIME-Version: 1.0\nContent-Type: text/plain\n\nschön und gut\n"))
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(msg)), nil }
	plan, err := sevenbit.NewPlan(int64(len(msg)), sevenbit.SevenBits, open)
	if err != nil {
		t.Fatal(err)
	}
	for n := range msg {
		if _, err := io.ReadAll(plan.Reader(bytes.NewReader(msg[:n]))); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("%d of %d octets: %v", n, len(msg), err)
		}
	}
	if _, err := sevenbit.NewPlan(int64(len(msg))+1, sevenbit.SevenBits, open); err == nil {
		t.Error("a message shorter than announced has a plan")
	}
}
