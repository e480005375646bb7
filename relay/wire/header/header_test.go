package header

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSplit(t *testing.T) {
	for _, c := range []struct{ name, msg, header, body string }{
		{"usual", "A: 1\r\nB: 2\r\n\r\nbody\r\n", "A: 1\r\nB: 2\r\n", "body\r\n"},
		{"bare line feeds", "A: 1\n\nbody", "A: 1\n", "body"},
		{"header only", "A: 1\r\nB: 2\r\n", "A: 1\r\nB: 2\r\n", ""},
		{"no header", "\r\nbody", "", "body"},
		{"a line of blanks is a continuation", "A: 1\r\n \r\nB: 2\r\n\r\nx", "A: 1\r\n \r\nB: 2\r\n", "x"},
		{"two empty lines", "A: 1\r\n\r\n\r\nx", "A: 1\r\n", "\r\nx"},
		{"nothing", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, body := Split([]byte(c.msg))
			if string(h) != c.header || string(body) != c.body {
				t.Errorf("header %q, body %q", h, body)
			}
		})
	}
}

// A message that arrives in pieces ends its header at the same place wherever
// it is cut.
func TestEndOfGrowingMessage(t *testing.T) {
	for _, msg := range []string{"A: 1\r\nB: 2\r\n\r\nbody\r\n\r\nmore", "A: 1\n\nx\n\n", "\r\nx", "A: 1\r\n\r\n"} {
		end, body, _ := End([]byte(msg), 0)
		for cut := range msg {
			e, b, ok := End([]byte(msg[:cut]), 0)
			if !ok {
				e, b, ok = End([]byte(msg), cut)
			}
			if !ok || e != end || b != body {
				t.Errorf("%q cut at %d: %d, %d, %v; whole: %d, %d", msg, cut, e, b, ok, end, body)
			}
		}
	}
}

func TestFields(t *testing.T) {
	s := Section("From x@y Mon\r\nSubject : folded\r\n\tover \t \r\n three  lines\r\nsubject: again\r\nno colon here\r\n: nameless\r\nTo: a\x80b\r\nX:")
	var names, texts []string
	var joined []byte
	for f := range s.Fields() {
		names, texts = append(names, string(f.Name())), append(texts, f.Text())
		joined = append(joined, f.Raw...)
	}
	if want := []string{"", "Subject", "subject", "", "", "To", "X"}; !slices.Equal(names, want) {
		t.Errorf("names %q, want %q", names, want)
	}
	if want := []string{"", "folded over three  lines", "again", "", "", "a\x80b", ""}; !slices.Equal(texts, want) {
		t.Errorf("texts %q, want %q", texts, want)
	}
	if !bytes.Equal(joined, s) {
		t.Errorf("fields joined give %q", joined)
	}
	if n := s.Count("SUBJECT"); n != 2 {
		t.Errorf("%d subjects", n)
	}
	if got := s.Text("subject"); got != "folded over three  lines" {
		t.Errorf("first subject %q", got)
	}
	if _, ok := s.Get("Sub"); ok {
		t.Error("part of a name was taken for the name")
	}
	if got := string(s.Without("Subject")); got != "From x@y Mon\r\nno colon here\r\n: nameless\r\nTo: a\x80b\r\nX:" {
		t.Errorf("without subject: %q", got)
	}
	if got := s.Without("Absent"); !bytes.Equal(got, s) {
		t.Errorf("removing nothing changed the section: %q", got)
	}
}

// A continuation line at the very start belongs to no field.
func TestLeadingContinuation(t *testing.T) {
	s := Section(" Bcc: x\r\nA: 1\r\n")
	if s.Count("Bcc") != 0 || s.Count("A") != 1 {
		t.Error("a leading continuation line was read as a field")
	}
}

func TestDecode(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain", "plain"},
		{"=?utf-8?q?gr=C3=BC=C3=9Fe?= =?iso-8859-1?b?/A==?=", "grüßeü"},
		{"=?no-such-charset?q?x?=", "=?no-such-charset?q?x?="},
		{"=?utf-8?q?a=0D=0AEvil:_b?=", "a  Evil: b"},
		{"tab\tand\x7f", "tab and "},
		{"bad\xff", "bad\ufffd"},
	} {
		if got := Decode(c.in, 256); got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
	if got := Decode(strings.Repeat("ü", 200), 255); len(got) != 254 || !utf8.ValidString(got) {
		t.Errorf("cut to %d octets, valid %v", len(got), utf8.ValidString(got))
	}
}

func TestFirstMailbox(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"a@b.test", "a@b.test"},
		{"A B <a@B.test>", "a@b.test"},
		{`"x <evil@e.test>, y" <a@b.test>`, "a@b.test"},
		{`(evil@e.test) a@b.test (more (nested) <x@y.test>)`, "a@b.test"},
		{`a@b.test, c@d.test`, "a@b.test"},
		{`, ,a@b.test`, "a@b.test"},
		{`Team: a@b.test, c@d.test;`, "a@b.test"},
		{`X <@r.test,@s.test:a@b.test>`, "a@b.test"},
		{`"q\"@x"@b.test`, `"q\"@x"@b.test`},
		{`a @ b . test`, "a@b.test"},
		{`=?utf-8?q?J=C3=BC?= <j@bücher.test>`, "j@xn--bcher-kva.test"},
		{"undisclosed:;", ""},
		{"", ""},
		{"<>", ""},
		{"nobody", ""},
		{"postmaster", ""},
		{`"open`, ""},
		{"(open", ""},
		{`\`, ""},
	} {
		a, ok := FirstMailbox(c.in)
		if ok != (c.want != "") || ok && a.String() != c.want {
			t.Errorf("%q: %q, %v; want %q", c.in, a, ok, c.want)
		}
	}
}

func FuzzSection(f *testing.F) {
	f.Add([]byte("From: a\r\n b\r\nSubject: =?utf-8?q?x?=\r\n\r\nbody"), 7)
	f.Add([]byte("\n\n"), 1)
	f.Add([]byte(" :\r\n:\n\r\n"), 0)
	f.Fuzz(func(t *testing.T, msg []byte, cut int) {
		h, body := Split(msg)
		if len(h)+len(body) > len(msg) || !bytes.HasPrefix(msg, h) || !bytes.HasSuffix(msg, body) {
			t.Fatal("Split made something up")
		}
		cut = min(max(cut, 0), len(msg))
		e1, b1, ok1 := End(msg, 0)
		e2, b2, ok2 := End(msg[:cut], 0)
		if !ok2 {
			e2, b2, ok2 = End(msg, cut)
		}
		if e1 != e2 || b1 != b2 || ok1 != ok2 {
			t.Fatalf("cut at %d: %d %d %v, whole %d %d %v", cut, e2, b2, ok2, e1, b1, ok1)
		}
		var joined []byte
		for f := range h.Fields() {
			joined = append(joined, f.Raw...)
			if name := f.Name(); len(name) > 0 && !f.Is(strings.ToUpper(string(name))) && isPlain(string(name)) {
				t.Fatalf("field %q is not %q", f.Raw, name)
			}
			if text := f.Text(); strings.ContainsRune(text, '\n') {
				t.Fatalf("%q unfolds to %q", f.Raw, text)
			}
			if d := Decode(f.Text(), 256); len(d) > 256 || !utf8.ValidString(d) {
				t.Fatalf("decoded to %q", d)
			}
		}
		if !bytes.Equal(joined, h) {
			t.Fatal("the fields are not the section")
		}
		if rest := h.Without("from"); rest.Count("From") != 0 && h.Count("From") != 0 {
			t.Fatal("a field is still there")
		}
	})
}

func TestMailboxes(t *testing.T) {
	for _, c := range []struct {
		in    string
		want  []string
		whole bool
	}{
		{"", nil, true},
		{"a@a.test", []string{"a@a.test"}, true},
		{`A <a@a.test> (x@y.test), "b, c" <b@b.test>`, []string{"a@a.test", "b@b.test"}, true},
		{"us: a@a.test, <b@b.test>;, c@c.test", []string{"a@a.test", "b@b.test", "c@c.test"}, true},
		{"undisclosed-recipients:;", nil, true},
		{"<a@a.test> <b@b.test>", []string{"a@a.test", "b@b.test"}, true},
		{"a@a.test, nobody, c@c.test", []string{"a@a.test", "c@c.test"}, false},
		{"a@a.test, b@b.test, c@c.test, d@d.test", []string{"a@a.test", "b@b.test", "c@c.test"}, false},
	} {
		all, whole := Mailboxes(c.in, 3)
		var got []string
		for _, a := range all {
			got = append(got, a.String())
		}
		if !slices.Equal(got, c.want) || whole != c.whole {
			t.Errorf("%q: %q, %v", c.in, got, whole)
		}
	}
}

func FuzzFirstMailbox(f *testing.F) {
	f.Add("A <a@b.test>")
	f.Add(`"\"`)
	f.Fuzz(func(t *testing.T, list string) {
		if a, ok := FirstMailbox(list); ok && a.Domain == "" {
			t.Fatal("an address without a domain")
		}
		if a, ok := OnlyMailbox(list); ok {
			if all, _ := Mailboxes(list, 1); len(all) != 1 || all[0] != a {
				t.Fatalf("%v, and among all %v", a, all)
			}
		}
	})
}
