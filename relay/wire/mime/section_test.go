package mime

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
)

func crlf(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

// sections is the example of RFC 9051 section 6.4.5.1 in short: a multipart
// with a text, a message that is a multipart, and a message that is a text.
var sections = crlf(`From: outer
Content-Type: multipart/mixed; boundary="a b"

preamble
--a b
X: text

one
--a b
Content-Type: message/rfc822

Subject: inner
Content-Type: multipart/alternative; boundary=c

--c 

two-one
--c
Content-Type: multipart/mixed; boundary=d

--d
X: deep

two-two-one
--c--
inner epilogue
--a b
Content-Type: MESSAGE/RFC822

Subject: plain

three
--a b--
epilogue
`)

func TestSections(t *testing.T) {
	p := parse(t, sections)
	for _, c := range []struct {
		path string
		what What
		want string // "-": no such thing
	}{
		{"", All, strings.ReplaceAll(string(sections), "\r", "")},
		{"", Header, "From: outer\nContent-Type: multipart/mixed; boundary=\"a b\"\n\n"},
		{"", MIME, "-"},
		{"1", All, "one"},
		{"1", MIME, "X: text\n\n"},
		{"1", Header, "-"},
		{"1", Text, "-"},
		{"1.1", All, "-"},
		{"0", All, "-"},
		{"2", MIME, "Content-Type: message/rfc822\n\n"},
		{"2", Header, "Subject: inner\nContent-Type: multipart/alternative; boundary=c\n\n"},
		{"2", Text, "--c \n\ntwo-one\n--c\nContent-Type: multipart/mixed; boundary=d\n\n--d\nX: deep\n\ntwo-two-one\n--c--\ninner epilogue"},
		{"2.1", All, "two-one"},
		{"2.1", MIME, "\n"},
		{"2.2", All, "--d\nX: deep\n\ntwo-two-one"},
		{"2.2.1", All, "two-two-one"},
		{"2.2.1", MIME, "X: deep\n\n"},
		{"2.2.2", All, "-"},
		{"2.3", All, "-"},
		{"3", All, "Subject: plain\n\nthree"},
		{"3", Text, "three"},
		{"3.1", All, "three"},
		{"3.1", MIME, "Subject: plain\n\n"},
		{"3.2", All, "-"},
		{"3.1.1", All, "-"},
		{"4", All, "-"},
	} {
		var path []int
		for n := range strings.SplitSeq(c.path, ".") {
			if n != "" {
				v, _ := strconv.Atoi(n)
				path = append(path, v)
			}
		}
		got := "-"
		if r, ok := p.Section(path, c.what); ok {
			got = strings.ReplaceAll(string(sections[r.Start:r.End]), "\r", "")
		}
		if got != c.want {
			t.Errorf("%s %d: %q, want %q", c.path, c.what, got, c.want)
		}
	}
	if n := p.Find([]int{2, 2, 1}).Lines; n != 0 {
		t.Errorf("%d lines", n)
	}
	if n := p.Find([]int{2}).Lines; n != 14 {
		t.Errorf("%d lines in the message", n)
	}
}

// A message that is no multipart has a part 1, itself; if it is a message
// itself, that one's parts are counted below it.
func TestSectionOfOnePart(t *testing.T) {
	msg := crlf("Subject: a\n\nbody\n")
	p := parse(t, msg)
	for _, what := range []What{All, MIME} {
		r, ok := p.Section([]int{1}, what)
		if want := map[What]string{All: "body\r\n", MIME: "Subject: a\r\n\r\n"}[what]; !ok || string(msg[r.Start:r.End]) != want {
			t.Errorf("%q", msg[r.Start:r.End])
		}
	}
	msg = crlf("Content-Type: message/rfc822\n\nSubject: b\n\ninner\n")
	p = parse(t, msg)
	for what, want := range map[What]string{All: "Subject: b\r\n\r\ninner\r\n", Header: "Subject: b\r\n\r\n", Text: "inner\r\n"} {
		if r, ok := p.Section([]int{1}, what); !ok || string(msg[r.Start:r.End]) != want {
			t.Errorf("%q", msg[r.Start:r.End])
		}
	}
	if r, ok := p.Section([]int{1, 1}, All); !ok || string(msg[r.Start:r.End]) != "inner\r\n" {
		t.Errorf("%q", msg[r.Start:r.End])
	}
}

func TestWriteFields(t *testing.T) {
	const head = "From: a\r\nX-From: b\r\nto : c\r\n d\r\nFrom:e\r\nrubbish\r\nFromage: f\r\n"
	for _, c := range []struct {
		head, names string
		not         bool
		want        string
	}{
		{head + "\r\nFrom: body\r\n", "from", false, "From: a\r\nFrom:e\r\n\r\n"},
		{head + "\r\n", "TO,from", false, "From: a\r\nto : c\r\n d\r\nFrom:e\r\n\r\n"},
		{head + "\r\n", "to,from", true, "X-From: b\r\nrubbish\r\nFromage: f\r\n\r\n"},
		{head, "fro", false, "\r\n"},
		{"X-\xc0: a\r\nFrOm \t: b\r\n: c\r\n\r\n", "fRoM", false, "FrOm \t: b\r\n\r\n"},
		{"X-\xc0: a\r\n: c\r\n\r\n", ",x-\xc0", true, ": c\r\n\r\n"},
		{"\r\n", "from", true, "\r\n"},
		{"", "from", true, "\r\n"},
		{"From: cut", "from", false, "From: cut\r\n\r\n"},
		{"A: b\nC: d\n\nE: f\n", "c", true, "A: b\n\r\n"},
		{"A: " + strings.Repeat("a", 100_000) + "\r\n\r\n", "a", false, "A: " + strings.Repeat("a", 100_000) + "\r\n\r\n"},
	} {
		var b strings.Builder
		n, err := WriteFields(&b, strings.NewReader("0123"+c.head), Range{4, int64(4 + len(c.head))}, strings.Split(c.names, ","), c.not)
		if err != nil || b.String() != c.want || n != int64(len(c.want)) {
			t.Errorf("%.40q %s: %.40q, %v; want %.40q", c.head, c.names, b.String(), err, c.want)
		}
	}
}

func TestReadHeader(t *testing.T) {
	long := []byte("A: " + strings.Repeat("a", 20_000) + "\r\n")
	for _, c := range []struct {
		msg   string
		limit int
		want  string
		whole bool
	}{
		{"A: b\r\n\r\nbody", 0, "A: b\r\n", true},
		{"A: b\r\n", 0, "A: b\r\n", true},
		{"", 0, "", true},
		{"\r\nbody", 0, "", true},
		{string(long) + "\r\nbody", 0, string(long), true},
		{string(long) + "\r\nbody", 100, string(long[:100]), false},
	} {
		h, whole, err := ReadHeader(strings.NewReader(c.msg), int64(len(c.msg)), c.limit)
		if err != nil || string(h) != c.want || whole != c.whole {
			t.Errorf("%.30q: %.30q, %v, %v", c.msg, h, whole, err)
		}
	}
}

// Delimiters that are not as they ought to be.
func TestBrokenMultiparts(t *testing.T) {
	const head = "Content-Type: multipart/mixed; boundary=b\n\n"
	for _, c := range []struct{ name, msg, want string }{
		{"no end", head + "--b\n\none\n--b\n\ntwo\n", "[one] [two\n]"},
		{"no delimiter", head + "text\n", "[]"},
		{"no body", head, "[]"},
		{"none but the end", head + "--b--\n", "[]"},
		{"an empty part", head + "--b\n--b--\n", "[]"},
		{"header without end", head + "--b\nX: y\n--b--\n", "[]"},
		{"a part behind the end", head + "--b\n\none\n--b--\n--b\n\ntwo\n", "[one]"},
		{"longer boundary", head + "--b\n\none\n--bc\n--b--\n", "[one\n--bc]"},
		{"hyphens", head + "--b\n\none\n--b-\n---b\n--b--\n", "[one\n--b-\n---b]"},
		{"white space", head + "--b \t\n\none\n--b-- \n", "[one]"},
		{"inner without end", head + "--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\none\n--b\n\ntwo\n--b--\n", "([one]) [two]"},
		{"inner of the same boundary", head + "--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n--b\n\ntwo\n--b--\n", "([one]) [two]"},
		{"message without end of header", head + "--b\nContent-Type: message/rfc822\n\nSubject: x\n--b--\n", "<[]>"},
		{"message of nothing", head + "--b\nContent-Type: message/rfc822\n--b--\n", "<[]>"},
		{"boundary that ends like an end", "Content-Type: multipart/mixed; boundary=\"b--\"\n\n--b--\n\none\n--b----\n", "[one]"},
		{"digest", "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\none\n--b\nContent-Type: text/plain\n\ntwo\n--b--", "<[one]> [two]"},
		{"no boundary", "Content-Type: multipart/mixed\n\n--b\n", "text/plain"},
		{"text first, last, none", "\n--b\n", "text/plain"},
	} {
		t.Run(c.name, func(t *testing.T) {
			msg := crlf(c.msg)
			p := parse(t, msg)
			check(t, p, Range{0, int64(len(msg))}, 0)
			got := shape(p, msg)
			if !p.Multipart() {
				got = p.Type + "/" + p.Subtype
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// shape writes the parts of a multipart: (...) is one within, <...> a message,
// [...] another.
func shape(p *Part, msg []byte) string {
	var all []string
	for _, c := range p.Children {
		switch {
		case c.Multipart():
			all = append(all, "("+shape(c, msg)+")")
		case c.Message():
			all = append(all, "<"+shape(c, msg)+">")
		default:
			all = append(all, "["+string(bytes.ReplaceAll(msg[c.Body.Start:c.Body.End], []byte("\r"), nil))+"]")
		}
	}
	return strings.Join(all, " ")
}

func TestLimits(t *testing.T) {
	msg := crlf("Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nSubject: deep\n\n--b--\n--a\n\ntwo\n--a\n\nthree\n--a--\n")
	limited := func(l Limits) *Part {
		p, err := Parse(bytes.NewReader(msg), int64(len(msg)), l)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := limited(Limits{Depth: 2}); len(p.Children) != 3 || !p.Find([]int{1, 1}).Is("application", "octet-stream") {
		t.Errorf("depth: %+v", p)
	}
	if p := limited(Limits{Parts: 5}); len(p.Children) != 2 || p.Find([]int{1, 1, 1}) == nil {
		t.Errorf("parts: %+v", p)
	}
	if p := limited(Limits{Header: 20}); !p.Is("text", "plain") {
		t.Errorf("header: %+v", p)
	}
	if p := limited(Limits{Texts: 45}); len(p.Params) != 1 || len(p.Find([]int{1}).Params) != 0 || len(p.Find([]int{1}).Children) != 1 {
		t.Errorf("texts: %+v", p)
	}
}
