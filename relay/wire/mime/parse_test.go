package mime

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// check verifies what Part promises of the places in a tree.
func check(t *testing.T, p *Part, within Range, depth int) (parts int) {
	t.Helper()
	if p.Header.Start < within.Start || p.Header.End < p.Header.Start || p.Body.Start != p.Header.End || p.Body.End < p.Body.Start || p.Body.End > within.End {
		t.Fatalf("part %+v lies wrong within %+v", p, within)
	}
	if p.Type == "" || p.Subtype == "" || p.Encoding == "" || p.Lines < 0 {
		t.Fatalf("part says nothing: %+v", p)
	}
	if p.Is("multipart", "*") != p.Multipart() {
		t.Fatalf("multipart without parts: %+v", p)
	}
	if m := p.Is("message", "rfc822") || p.Is("message", "global"); m != p.Message() || m && len(p.Children) != 1 {
		t.Fatalf("message without message: %+v", p)
	}
	if depth > DefaultLimits().Depth {
		t.Fatal("too deep")
	}
	inside := p.Body
	for _, c := range p.Children {
		parts += check(t, c, inside, depth+1)
		inside.Start = c.Body.End
	}
	return parts + 1
}

func parse(t testing.TB, msg []byte) *Part {
	t.Helper()
	p, err := Parse(bytes.NewReader(msg), int64(len(msg)), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func messages(t testing.TB) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	files, _ := filepath.Glob("../../testdata/messages/*.*")
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(f)] = b
	}
	if len(all) < 20 {
		t.Fatalf("%d messages", len(all))
	}
	return all
}

func TestMessages(t *testing.T) {
	for name, msg := range messages(t) {
		t.Run(name, func(t *testing.T) {
			p := parse(t, msg)
			check(t, p, Range{0, int64(len(msg))}, 0)
			if p.Body.End != int64(len(msg)) || p.Lines != int64(bytes.Count(msg[p.Body.Start:], []byte("\n"))) {
				t.Errorf("%+v", p)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, msg := range messages(f) {
		f.Add(msg)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		p := parse(t, msg)
		check(t, p, Range{0, int64(len(msg))}, 0)
		checkBuilder(t, msg, p)
	})
}

// checkBuilder verifies that a Builder finds the same, however the message comes.
func checkBuilder(t *testing.T, msg []byte, want *Part) {
	t.Helper()
	for _, step := range []int{1, 7, 1000, len(msg)} {
		b := NewBuilder()
		for at := 0; at < len(msg); at += step {
			_, _ = b.Write(msg[at:min(at+step, len(msg))])
		}
		if got, ok := b.Tree(); !ok || !reflect.DeepEqual(got, want) {
			t.Fatalf("in steps of %d: %v, %+v, not %+v", step, ok, got, want)
		}
	}
}

func TestBuilder(t *testing.T) {
	for _, msg := range messages(t) {
		checkBuilder(t, msg, parse(t, msg))
	}
	for _, n := range []int{scanBuffer - 1, scanBuffer} { // of a line, without its end
		for _, step := range []int{1000, 1 << 20} {
			msg := []byte("A: b\r\n\r\n" + strings.Repeat("x", n) + "\ny\n")
			b := NewBuilder()
			for at := 0; at < len(msg); at += step {
				_, _ = b.Write(msg[at:min(at+step, len(msg))])
			}
			if got, ok := b.Tree(); ok != (n < scanBuffer) || ok && !reflect.DeepEqual(got, parse(t, msg)) {
				t.Errorf("a line of %d: %v, %+v", n, ok, got)
			}
		}
	}
}
