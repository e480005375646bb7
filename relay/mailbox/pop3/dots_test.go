package pop3

import (
	"bytes"
	"strings"
	"testing"
)

// through gives what dots makes of a message that comes in pieces of so many
// octets.
func through(t testing.TB, d *dots, text string, piece int) string {
	var out bytes.Buffer
	d.emit = func(p []byte) error { out.Write(p); return nil }
	for len(text) > 0 {
		n := min(piece, len(text))
		if _, err := d.Write([]byte(text[:n])); err == errEnough {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		text = text[n:]
	}
	if err := d.end(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestDots(t *testing.T) {
	all := func() *dots { return &dots{} }
	top := func(n int) func() *dots { return func() *dots { return &dots{limited: true, top: n} } }
	for _, tt := range []struct {
		form     func() *dots
		in, want string
	}{
		{all, "", ".\r\n"},
		{all, "a\r\n", "a\r\n.\r\n"},
		{all, ".\r\n..\r\n...\r\na.\r\n", "..\r\n...\r\n....\r\na.\r\n.\r\n"},
		{all, "no end", "no end\r\n.\r\n"},
		{all, "half an end\r", "half an end\r\n.\r\n"},
		{all, ".", "..\r\n.\r\n"},
		{all, "a\n.\nb\n\n", "a\r\n..\r\nb\r\n\r\n.\r\n"},
		{all, "a\r\r\n\r\n", "a\r\r\n\r\n.\r\n"},
		{all, "a\rb\r\n", "a\rb\r\n.\r\n"},
		{top(0), "a: b\r\n\r\n1\r\n2\r\n", "a: b\r\n\r\n.\r\n"},
		{top(1), "a: b\r\n\r\n.1\r\n2\r\n", "a: b\r\n\r\n..1\r\n.\r\n"},
		{top(1), "a: b\r\n\r\n\r\n2\r\n", "a: b\r\n\r\n\r\n.\r\n"},
		{top(2), "a: b\n\n1\n2\n3\n", "a: b\r\n\r\n1\r\n2\r\n.\r\n"},
		{top(9), "a: b\r\n\r\n1\r\n2", "a: b\r\n\r\n1\r\n2\r\n.\r\n"},
		{top(0), "no\r\nbody\r\n", "no\r\nbody\r\n.\r\n"},
		{top(0), "\r\nbody\r\n", "\r\n.\r\n"},
		{top(0), "a\r\n\r\r\nb\r\n\r\nc", "a\r\n\r\r\nb\r\n\r\n.\r\n"}, // a lone CR is no empty line
	} {
		for piece := 1; piece <= len(tt.in)+1; piece++ {
			if got := through(t, tt.form(), tt.in, piece); got != tt.want {
				t.Errorf("%q in pieces of %d: %q, want %q", tt.in, piece, got, tt.want)
			}
		}
	}
}

// FuzzDots sends any message: however it is cut, it ends once, at its end, and
// the client has back what was stored, with proper line ends.
func FuzzDots(f *testing.F) {
	for _, s := range []string{"", ".\r\n", "a: b\r\n\r\n.\n..\r\n\r", "\n.\n", "\r.\r\n", "x\r\r\n"} {
		f.Add(s, uint8(1), uint8(0))
		f.Add(s, uint8(200), uint8(3))
	}
	f.Fuzz(func(t *testing.T, text string, piece, lines uint8) {
		out := through(t, &dots{}, text, int(piece)+1)
		body, ok := strings.CutSuffix(out, ".\r\n")
		if !ok || strings.Contains("\r\n"+body, "\r\n.\r\n") || body != "" && !strings.HasSuffix(body, "\r\n") {
			t.Fatalf("%q became %q", text, out)
		}
		for i, l := range strings.SplitAfter(body, "\n") {
			if l != "" && !strings.HasSuffix(l, "\r\n") || strings.HasPrefix(l, ".") && !strings.HasPrefix(l, "..") {
				t.Fatalf("line %d of %q is %q", i, out, l)
			}
		}
		back := strings.TrimPrefix(strings.ReplaceAll("\n"+body, "\n.", "\n"), "\n")
		if want := canonical(text); back != want {
			t.Fatalf("%q came as %q, want %q", text, back, want)
		}
		head := through(t, &dots{limited: true, top: int(lines)}, text, int(piece)+1)
		if !strings.HasPrefix(out, strings.TrimSuffix(head, ".\r\n")) {
			t.Fatalf("TOP gives %q of %q", head, out)
		}
	})
}

// canonical is a text with CRLF at the end of each line.
func canonical(text string) string {
	var b strings.Builder
	for _, l := range strings.SplitAfter(text, "\n") {
		if l == "" {
			continue
		}
		l = strings.TrimSuffix(strings.TrimSuffix(l, "\n"), "\r")
		b.WriteString(l + "\r\n")
	}
	return b.String()
}
