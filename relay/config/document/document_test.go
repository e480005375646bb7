package document

import (
	"slices"
	"strings"
	"testing"
	"time"
)

const example = `name = "x"
count = 3
wait = "5m"

[inner]
size = "2KiB"
odd = true

[[thing]]
a = 1
[[thing]]
a = "two"
`

func read(t *testing.T, text string) (*Reader, *Section) {
	t.Helper()
	root, p := Parse("f.toml", []byte(text))
	if p != nil {
		t.Fatal(p)
	}
	r := NewReader("f.toml")
	return r, r.Section("", root)
}

// What fits is read, what does not is told at its place, and reading goes on.
func TestSection(t *testing.T) {
	r, s := read(t, example)
	var name, missing string
	var count int
	var wait time.Duration
	var size int64
	s.String("name", &name)
	s.Integer("count", &count, 4, 9)
	s.Duration("wait", &wait, time.Second, time.Hour)
	if v := s.String("missing", &missing); v != nil {
		t.Error("a key that is not there has a value")
	}
	in := s.Sub("inner")
	in.Size("size", &size, 1, 1<<20)
	in.Close()
	var as []int
	s.Each("thing", func(s *Section) {
		var a int
		if s.Integer("a", &a, 0, 9) != nil {
			as = append(as, a)
		}
	})
	s.Close()
	if name != "x" || count != 0 || wait != 5*time.Minute || size != 2048 || !slices.Equal(as, []int{1}) {
		t.Errorf("%q %d %v %d %v", name, count, wait, size, as)
	}
	slices.SortFunc(r.Errs, ByPlace)
	want := []string{
		"f.toml:2:9: count must be from 4 to 9, not 3",
		`f.toml:7:1: unknown key "odd" in [inner]; known here: size`,
		`f.toml:12:5: a must be a whole number, not the string "two"`,
	}
	if got := strings.Split(r.Errs.Error(), "\n"); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// A key that is nearly right is named; one that Explain knows is explained.
func TestUnknownKeys(t *testing.T) {
	for text, want := range map[string]string{
		"hostnmae = 1":  `unknown key "hostnmae"; did you mean "hostname"?`,
		"somewhere = 1": `unknown key "somewhere": not here`,
		"quite = 1":     `unknown key "quite"`,
	} {
		r, s := read(t, text)
		r.Explain = func(_, key string) string {
			if key == "somewhere" {
				return ": not here"
			}
			return ""
		}
		s.Find("hostname")
		s.Close()
		if len(r.Errs) != 1 || r.Errs[0].Text != want {
			t.Errorf("%s: %v", text, r.Errs)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"a = 1\nb = = 2\n": "f.toml:2:",
		"a = 1\na = 2\n":   "a",
		"\xff":             "f.toml:1:1: the file is not UTF-8 text",
	} {
		_, p := Parse("f.toml", []byte(text))
		if p == nil || !strings.Contains(p.Error(), want) {
			t.Errorf("%q: %v", text, p)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte("a = [{b = 1}, {c = [1, 2]}]\n[a.b]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		root, p := Parse("f", text)
		if (root == nil) == (p == nil) {
			t.Fatal("neither a document nor a problem, or both")
		}
		if root == nil {
			return
		}
		r := NewReader("f")
		r.Section("", root).Close()
		if len(r.Errs) != len(root.Keys) {
			t.Errorf("%d keys, %d are unknown", len(root.Keys), len(r.Errs))
		}
	})
}
