package blob

import (
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// canonical is the form in which a message is kept, worked out otherwise.
func canonical(text string) string {
	if text == "" {
		return ""
	}
	if !strings.HasSuffix(text, "\n") {
		text = strings.TrimSuffix(text, "\r") + "\n"
	}
	return strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n")
}

// through passes text through in pieces that cut cuts, saying that it has so many
// octets.
func through(text string, said int, cut func(left int) int) (string, error) {
	body := &Body{}
	l := &lines{w: &writer{body: body, buf: make([]byte, 0, 16)}, said: int64(said)}
	for rest := text; rest != ""; {
		n := cut(len(rest))
		if _, err := io.WriteString(l, rest[:n]); err != nil {
			return "", err
		}
		rest = rest[n:]
	}
	if err := l.end(); err != nil {
		return "", err
	}
	if int64(len(l.w.buf)) != body.Size {
		return "", errors.New("the size is not that of what is kept")
	}
	return string(l.w.buf), nil
}

func FuzzLines(f *testing.F) {
	for _, s := range []string{"", "\n", "\r", "\r\n", "\n\n", "\r\r\n", "a\nb", "a\r\nb\r", "\r\n\n\r\n", "a\rb\n\r", "Subject: x\n\nbody\n"} {
		f.Add(s, uint64(1))
	}
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		if len(text) > 10_000 {
			return
		}
		r := rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // a test
		got, err := through(text, len(text), func(left int) int { return 1 + r.IntN(left) })
		if want := canonical(text); err != nil || got != want {
			t.Fatalf("%q gives %q, %v, want %q", text, got, err, want)
		}
	})
}

func TestLinesSize(t *testing.T) {
	all := func(left int) int { return left }
	for _, said := range []int{4, 6} {
		if _, err := through("a\nb\r\n", said, all); !errors.Is(err, ErrSize) {
			t.Errorf("%d octets instead of 5: %v", said, err)
		}
	}
}
