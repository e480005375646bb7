package imap_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	imap "tenma/relay/wire/imap"
)

func TestNames(t *testing.T) {
	for _, c := range []struct{ utf8, wire string }{
		{"INBOX", "INBOX"},
		{"R&D", "R&-D"},
		{"Entwürfe", "Entw&APw-rfe"},
		{"台北/日本語", "&U,BTFw-/&ZeVnLIqe-"},
		{"😀", "&2D3eAA-"},
		{"~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"}, // RFC 3501 section 5.1.3
	} {
		if got := imap.EncodeName(c.utf8); got != c.wire {
			t.Errorf("%q is written %q, want %q", c.utf8, got, c.wire)
		}
		if got, err := imap.DecodeName(c.wire); got != c.utf8 || err != nil {
			t.Errorf("%q is read %q, %v, want %q", c.wire, got, err, c.utf8)
		}
	}
	for _, bad := range []string{"a&b", "&", "&&-", "&AGE-", "&2D0-", "&AP-x", "&A/A-", "&APw=-"} {
		if got, err := imap.DecodeName(bad); err == nil {
			t.Errorf("%q is taken for %q", bad, got)
		}
	}
}

func FuzzName(f *testing.F) {
	f.Add("Entw&APw-rfe &- mehr")
	f.Fuzz(func(t *testing.T, s string) {
		if u, err := imap.DecodeName(s); err == nil && utf8.ValidString(u) {
			if again, err := imap.DecodeName(imap.EncodeName(u)); err != nil || again != u {
				t.Errorf("%q, %q, %q, %v", s, u, again, err)
			}
		}
	})
}

func TestSets(t *testing.T) {
	for _, c := range []struct {
		set  string
		star uint32
		want string
	}{
		{"1", 9, "1"},
		{"*", 9, "9"},
		{"5:*", 9, "5:9"},
		{"*:5", 9, "5:9"},
		{"12:*", 9, "9"},
		{"3:1,2,7,8:9", 9, "1:3,7:9"},
		{"1:4294967295", 9, "1:9"},
		{"10:20", 9, ""},
		{"1:*", 0, ""},
		{"2,1,3", 9, "1:3"},
	} {
		p := imap.NewParser(c.set)
		set := p.Set()
		if err := p.End(); err != nil {
			t.Errorf("%s: %v", c.set, err)
			continue
		}
		if got := string(imap.AppendRanges(nil, set.Clip(c.star))); got != c.want {
			t.Errorf("%s of %d is %q, want %q", c.set, c.star, got, c.want)
		}
		if set.String() != c.set {
			t.Errorf("%s is written %s", c.set, set)
		}
	}
	for _, bad := range []string{"", "0", "1:0", "1,", ",1", "1:", "a", "1:2:3", "4294967296", "-1", "$,1", "1 ,2"} {
		p := imap.NewParser(bad)
		set := p.Set()
		if err := p.End(); err == nil {
			t.Errorf("%q is taken for %s", bad, set)
		}
	}
	p := imap.NewParser(strings.Repeat("1,", 20_000) + "1")
	if p.Set(); p.End() == nil {
		t.Error("a set has no bound")
	}
}

func TestFetchItems(t *testing.T) {
	for _, c := range []struct {
		text string
		want []imap.Item
	}{
		{"ALL", []imap.Item{{Kind: imap.Flags}, {Kind: imap.InternalDate}, {Kind: imap.Size}, {Kind: imap.Envelope}}},
		{"(uid flags)", []imap.Item{{Kind: imap.UID}, {Kind: imap.Flags}}},
		{"BODY", []imap.Item{{Kind: imap.Body}}},
		{"body[]", []imap.Item{{Kind: imap.BodySection}}},
		{"BODY.PEEK[1.2.header.fields (from \"to\")]<5.6>", []imap.Item{{Kind: imap.BodySection, Section: imap.Section{
			Part: []int{1, 2}, Text: imap.HeaderFields, Fields: []string{"from", "to"}, Peek: true, Partial: true, Offset: 5, Count: 6,
		}}}},
		{"BINARY.SIZE[1]", []imap.Item{{Kind: imap.BinarySize, Section: imap.Section{Part: []int{1}, Peek: true}}}},
	} {
		p := imap.NewParser(c.text)
		items, _ := p.Fetch()
		if err := p.End(); err != nil || !reflect.DeepEqual(items, c.want) {
			t.Errorf("%s: %+v, %v", c.text, items, err)
		}
	}
	many := "(" + strings.TrimSpace(strings.Repeat("FLAGS ", 101)) + ")"
	fields := "BODY[HEADER.FIELDS (" + strings.TrimSpace(strings.Repeat("x ", 201)) + ")]"
	deep := "BODY[" + strings.Repeat("1.", 60) + "1]"
	for _, bad := range []string{
		"", "(", "()", "(FLAGS", "FLAGS FLAGS", "(FLAGS  UID)", "BODY[", "BODY[]<", "BODY[]<1>", "BODY[]<1.0>", "BODY[1.]", "BODY[.1]", "BODY[00]",
		"BODY[MIME]", "BODY[1.FOO]", "BODY[HEADER.FIELDS]", "BODY[HEADER.FIELDS ()]", "BINARY[HEADER]", "BINARY[1.MIME]", "BINARY.SIZE[1]<0.1>",
		"RFC822[1]", "(ALL)", "BODY[99999999999]", "UID (CHANGEDSINCE 0)", "UID (VANISHED)", "UID (CHANGEDSINCE 1 VANISHED)", many, fields, deep,
	} {
		p := imap.NewParser(bad)
		items, opts := p.Fetch()
		if err := p.End(); err == nil {
			t.Errorf("%.60q is taken for %+v, %+v", bad, items, opts)
		}
	}
}

// What was read and written again is read as the same.
func FuzzFetch(f *testing.F) {
	for _, s := range []string{"ALL", "(UID FLAGS)", `BODY.PEEK[1.2.HEADER.FIELDS (from "a\"b" x)]<5.6>`, "BINARY.SIZE[1]", "UID (CHANGEDSINCE 5)", "(BODY[]<0.1> RFC822.TEXT)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p := imap.NewParser(s)
		items, _ := p.Fetch()
		if p.End() != nil {
			return
		}
		for _, it := range items {
			if it.Section.Peek || it.Section.Partial || strings.ContainsFunc(strings.Join(it.Section.Fields, ""), func(r rune) bool { return r < ' ' || r > '~' }) {
				continue // not written, or as a literal
			}
			var b bytes.Buffer
			w := imap.NewWriter(&b)
			w.ItemName(&it)
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			p := imap.NewParser(b.String())
			again, _ := p.Fetch()
			if err := p.End(); err != nil || len(again) != 1 || !reflect.DeepEqual(again[0], it) {
				t.Errorf("%q: %+v is written %q, read %+v, %v", s, it, b.String(), again, err)
			}
		}
	})
}

func TestStrings(t *testing.T) {
	for _, c := range []struct {
		text string
		utf8 bool
		want string
	}{
		{"", false, `""`},
		{`a "b" \c`, false, `"a \"b\" \\c"`},
		{"ü", false, "{2}\r\nü"},
		{"ü", true, `"ü"`},
		{"\xff", true, "{1}\r\n\xff"},
		{"a\r\nb", true, "{4}\r\na\r\nb"},
		{"a\x00b", false, `"a?b"`},
		{strings.Repeat("x", 1001), false, "{1001}\r\n" + strings.Repeat("x", 1001)},
	} {
		var b bytes.Buffer
		w := imap.NewWriter(&b)
		w.UTF8 = c.utf8
		w.String(c.text)
		if err := w.Flush(); err != nil || b.String() != c.want {
			t.Errorf("%q is written %q, %v", c.text, b.String(), err)
		}
	}
}

// A pattern that is made to be slow is not: this is 100,000 steps, not 2 to the
// power of 20.
func TestMatchIsBounded(t *testing.T) {
	name := strings.Repeat("a", 200)
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{strings.Repeat("*a", 20) + "b", name, false},
		{strings.Repeat("%*", 300), name, true},
		{"%", "a/b", false},
		{"*", "a/b", true},
		{"a/%", "a/b", true},
		{"%/%", "a/b", true},
		{"a%", "a/b", false},
		{"inbox", "INBOX", true},
		{"InBox/%", "INBOX/x", true},
		{"INBOX/X", "INBOX/x", false},
		{"ARCHIVE", "Archive", false},
		{"", "a", false},
		{"i%", "INBOX", true},
		{"*", "", true},
	} {
		if got := imap.Match(c.pattern, c.name); got != c.want {
			t.Errorf("%.20q matches %.20q: %v", c.pattern, c.name, got)
		}
	}
}

// slowMatch is Match as one would write it down.
func slowMatch(pattern, name string) bool {
	if pattern == "" {
		return name == ""
	}
	if c := pattern[0]; c == '*' || c == '%' {
		return slowMatch(pattern[1:], name) || name != "" && (c == '*' || name[0] != '/') && slowMatch(pattern, name[1:])
	}
	return name != "" && name[0] == pattern[0] && slowMatch(pattern[1:], name[1:])
}

func FuzzMatch(f *testing.F) {
	for _, s := range [][2]string{{"", ""}, {"%", "a/b"}, {"*%", "a/b"}, {"a%/%b", "a/xb"}, {"%/%", "/"}, {"a*b%c", "aXb/bYc"}, {"*a%", strings.Repeat("a", 130)}, {"%%/%a", strings.Repeat("b", 63) + "/" + strings.Repeat("a", 64)}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 12 || len(name) > 140 || strings.HasPrefix(name, "INBOX") || strings.Count(pattern, "*")+strings.Count(pattern, "%") > 3 {
			return
		}
		if got := imap.Match(pattern, name); got != slowMatch(pattern, name) {
			t.Errorf("%q, %q: %v", pattern, name, got)
		}
	})
}

// One LIST may do this: it takes a tenth of a second, and octet by octet half a minute.
func TestMatchHostile(t *testing.T) {
	name := strings.Repeat("a", 1000)
	for _, pattern := range []string{strings.Repeat("*a", 499) + "b", strings.Repeat("%*", 499) + "b", strings.Repeat("a%", 499) + "b"} {
		for range 5000 {
			if imap.Match(pattern, name) {
				t.Fatal("there is no b")
			}
		}
	}
}
