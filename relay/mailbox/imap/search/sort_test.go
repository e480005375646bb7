package search

import (
	"context"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestBaseSubject(t *testing.T) {
	for _, c := range []struct {
		subject, base string
		reply         bool
	}{
		{"a  b\tc", "a b c", false},
		{"Re: a", "a", true},
		{"RE : fwd: Fw: a", "a", true},
		{"Re[2]: a", "a", true},
		{"[list] Re: a", "a", true},
		{"[list] a", "a", false},
		{"[x] [y] re: [z] a", "a", true},
		{"[list]", "[list]", false},
		{"[a] [b]", "[b]", false},
		{"a (fwd) (FWD)", "a", true},
		{"a (fwd) b", "a (fwd) b", false},
		{"[Fwd: re: [fwd: a (fwd)]]", "a", true},
		{"[fwd: a", "[fwd: a", false},
		{"Re:", "", true},
		{"(fwd)", "", true},
		{"regards", "regards", false},
		{"re a", "re a", false},
		{"[a[b] re: c", "[a[b] re: c", false},
		{"", "", false},
		{strings.Repeat("[", 5000), strings.Repeat("[", 5000), false},
		{strings.Repeat("re:[x]", 5000), "[x]", true},
	} {
		if base, reply := BaseSubject(c.subject); base != c.base || reply != c.reply {
			t.Errorf("%.40q: %.40q, %v", c.subject, base, reply)
		}
	}
}

func sorted(t testing.TB, v View, args string) string {
	t.Helper()
	c, err := ParseSort(args)
	if err != nil {
		t.Fatal(err)
	}
	found, err := c.Query.Run(context.Background(), v, nil)
	if err != nil {
		t.Fatal(err)
	}
	found, err = Sort(context.Background(), v, found, c.Sort)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Trim(fmt.Sprint(found), "[]")
}

func TestSort(t *testing.T) {
	v := &memory{}
	v.add("From: zoe@a\nTo: x@y\nCc: c@d\nSubject: Re: b\nDate: 2 May 2024 00:00:00 +0000\n\n" + strings.Repeat("x", 50))
	v.add("From: Adam <y@a>\nTo: B <b@y>\nSubject: [l] B\nDate: 2 May 2024 01:00:00 +0200\n\n")
	v.add("From: =?utf-8?q?=C3=84=2C_x?= <X@a>\nTo: g: h@y;\nCc: b@d\nSubject: a\n\n" + strings.Repeat("x", 90)) // no date: it came on 3 May
	v.add("Subject: _\nDate: 1 Jan 1990 00:00:00 +0000\n\n")
	v.list[3].Date = v.list[0].Date.AddDate(-1, 0, 0)
	for _, c := range []struct{ args, want string }{
		{"(ARRIVAL) UTF-8 ALL", "4 1 2 3"},
		{"(REVERSE ARRIVAL) UTF-8 ALL", "3 2 1 4"},
		{"(DATE) UTF-8 ALL", "4 2 1 3"},
		{"(FROM) UTF-8 ALL", "4 3 2 1"},
		{"(DISPLAYFROM) UTF-8 ALL", "4 2 3 1"},
		{"(TO) UTF-8 ALL", "4 2 3 1"},
		{"(DISPLAYTO) UTF-8 ALL", "4 2 3 1"},
		{"(CC) UTF-8 ALL", "2 4 3 1"},
		{"(SIZE) UTF-8 ALL", "4 2 1 3"},
		{"(SUBJECT) UTF-8 ALL", "3 1 2 4"},
		{"(SUBJECT REVERSE DATE) UTF-8 ALL", "3 1 2 4"},
		{"(SUBJECT DATE) UTF-8 ALL", "3 2 1 4"},
		{"(SUBJECT REVERSE SUBJECT) UTF-8 1:3", "3 1 2"},
		{"(DATE) UTF-8 SUBJECT b", "2 1"},
	} {
		if got := sorted(t, v, c.args); got != c.want {
			t.Errorf("%s: %s, want %s", c.args, got, c.want)
		}
	}
	if c, err := ParseSort("RETURN (COUNT) (REVERSE DATE FROM) UTF-8 ALL"); err != nil || !c.Extended || !c.Return.ReturnCount || !slices.Equal(c.Sort, []Key{{Date, true}, {From, false}}) {
		t.Errorf("%+v, %v", c, err)
	}
}

func threads(t testing.TB, v View, args string) string {
	t.Helper()
	c, err := ParseThread(args)
	if err != nil {
		t.Fatal(err)
	}
	found, err := c.Query.Run(context.Background(), v, nil)
	if err != nil {
		t.Fatal(err)
	}
	list, err := Threads(context.Background(), v, found, c.Thread)
	if err != nil {
		t.Fatal(err)
	}
	return string(AppendThreads(nil, list, func(seq uint32) uint32 { return seq }))
}

// mail makes a message of id:day:refs:subject.
func (v *memory) thread(messages ...string) *memory {
	for _, m := range messages {
		f := strings.SplitN(m, ":", 4)
		text := fmt.Sprintf("Date: %s May 2024 10:00:00 +0000\n", f[1])
		if f[0] != "" {
			text += "Message-ID: <" + f[0] + "@x>\n"
		}
		if f[2] != "" {
			text += "References: <" + strings.ReplaceAll(f[2], " ", "@x>\n <") + "@x>\n"
		}
		v.add(text + "Subject: " + f[3] + "\n\n")
	}
	return v
}

func TestThreads(t *testing.T) {
	for _, c := range []struct {
		name, args string
		messages   []string
		want       string
	}{
		{"by subject", "ORDEREDSUBJECT UTF-8 ALL", []string{"a:3::one", "b:1::two", "c:2::Re: one", "d:4::one", "e:5::two"}, "(2 5)(3 (1)(4))"},
		{"a line", "REFERENCES UTF-8 ALL", []string{"a:1::s", "b:2:a:Re: s", "c:3:a b:Re: s"}, "(1 2 3)"},
		{"a fork", "REFERENCES UTF-8 ALL", []string{"a:1::s", "c:3:a:Re: s", "b:2:a:Re: s", "d:4:a b:Re: s"}, "(1 (3 4)(2))"},
		{"first missing", "REFERENCES UTF-8 ALL", []string{"b:2:a:x", "c:1:a:y"}, "((2)(1))"},
		{"one below a missing one", "REFERENCES UTF-8 ALL", []string{"b:2:a:x", "c:1::y"}, "(2)(1)"},
		{"missing in the middle", "REFERENCES UTF-8 ALL", []string{"a:1::s", "c:3:a b:t", "d:4:a b:u"}, "(1 (2)(3))"},
		{"loop", "REFERENCES UTF-8 ALL", []string{"a:1:b:s", "b:2:a:t"}, "(2 1)"},
		{"to itself", "REFERENCES UTF-8 ALL", []string{"a:1:a:s"}, "(1)"},
		{"two of one id", "REFERENCES UTF-8 ALL", []string{"a:1::s", "a:2::t", "b:3:a:u"}, "(1 3)(2)"},
		{"without ids", "REFERENCES UTF-8 ALL", []string{":1::s", ":2::t"}, "(1)(2)"},
		{"joined by subject: an answer", "REFERENCES UTF-8 ALL", []string{"a:1::s", "b:2::Re: s"}, "(1 2)"},
		{"joined by subject: the answer comes first", "REFERENCES UTF-8 ALL", []string{"a:1::Re: s", "b:2::s"}, "(2 1)"},
		{"joined by subject: equals", "REFERENCES UTF-8 ALL", []string{"a:1::s", "b:2::s", "c:3::s"}, "((1)(2)(3))"},
		{"joined by subject: missing first", "REFERENCES UTF-8 ALL", []string{"b:1:a:s", "c:2:a:s", "d:3::Re: s", "f:4:e:s", "g:5:e:s"}, "((1)(2)(3)(4)(5))"},
		{"no subject joins nothing", "REFERENCES UTF-8 ALL", []string{"a:1::", "b:2::"}, "(1)(2)"},
		{"only what was found", "REFERENCES UTF-8 NOT 1", []string{"a:1::s", "b:2:a:t", "c:3:a:u"}, "((2)(3))"},
	} {
		if got := threads(t, (&memory{}).thread(c.messages...), c.args); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	v := &memory{}
	v.add("Message-ID: <a@x>\n\n")
	v.add("Message-ID: <b@x>\nIn-Reply-To: Your message <a@x>\n\n")
	v.add("Message-ID: <c@x>\nReferences: <r@x> <s@x>\nIn-Reply-To: <b@x>\n\n")
	v.list[2].Digest.References = "<a@x> <s@" // as cut
	if got := threads(t, v, "REFERENCES UTF-8 ALL"); got != "(1 2 3)" {
		t.Error(got)
	}
}

// Each message is in the threads once, whatever refers to what.
func TestThreadsOfAnything(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		v := &memory{}
		const n = 60
		for range n {
			refs := make([]string, random.IntN(4))
			for i := range refs {
				refs[i] = fmt.Sprint(random.IntN(n * 5 / 4))
			}
			v.thread(fmt.Sprintf("%d:%d:%s:%s", random.IntN(n), 1+random.IntN(30), strings.Join(refs, " "), []string{"", "a", "b", "Re: a", "Re: b", "c"}[random.IntN(6)]))
		}
		for _, by := range []string{"REFERENCES", "ORDEREDSUBJECT"} {
			seen := map[string]int{}
			for _, s := range strings.FieldsFunc(threads(t, v, by+" UTF-8 ALL"), func(r rune) bool { return r < '0' || r > '9' }) {
				seen[s]++
			}
			if len(seen) != n {
				t.Fatalf("%s: %d of %d messages", by, len(seen), n)
			}
			for s, k := range seen {
				if k != 1 {
					t.Fatalf("%s: message %s is there %d times", by, s, k)
				}
			}
		}
	}
}

// What a message refers to is bounded, and so is what refers to nothing that is
// there; what a text is sorted by too.
func TestThreadBounds(t *testing.T) {
	var refs strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&refs, "<%d@x> ", i)
	}
	h := threader{byID: map[uint64]int32{}, seed: maphash.MakeSeed(), nodes: make([]threadNode, 1), limit: 10}
	ids := h.identifiers(refs.String())
	if n := len(ids); n != maxReferences || ids[0] != h.identifiers("<0@x>")[0] || ids[n-1] != h.identifiers("<999@x>")[0] {
		t.Errorf("%d references", n)
	}
	h.link([]uint64{0}, [][]uint64{ids})
	if n := len(h.nodes); n != 10 {
		t.Errorf("%d nodes", n)
	}
	var scratch []byte
	if n := len(text(strings.Repeat("ä", 5000), &scratch).s); n != maxValue {
		t.Errorf("a text of %d octets", n)
	}
}

// Messages that each answer the one after them make the deepest tree.
func TestThreadsDeep(t *testing.T) {
	v := &memory{}
	const n = 20_000
	for i := range n {
		v.thread(fmt.Sprintf("%d:1:%d %d:", i, i+2, i+1))
	}
	if got := threads(t, v, "REFERENCES UTF-8 ALL"); strings.Count(got, " ") < n/2 {
		t.Errorf("%d octets", len(got))
	}
}
