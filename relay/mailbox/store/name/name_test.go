package name

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"inbox": "INBOX", "InBox/a": "INBOX/a", "a/inbox": "a/inbox", "inboxes": "inboxes",
		"Entwu\u0308rfe": "Entw\u00fcrfe", "日本": "日本", "a.b\\c": "a.b\\c", "%*": "%*", " a ": " a ",
		strings.Repeat("a", 255): strings.Repeat("a", 255),
	} {
		if got, ok := Clean(in); !ok || got != want {
			t.Errorf("%q: %q, %v; want %q", in, got, ok, want)
		}
	}
	for _, bad := range []string{
		"", "/", "a/", "/a", "a//b", "a\x00b", "a\nb", "\x7f", "\xff", "a\u2028b", "\ufeffa", "\u0085",
		strings.Repeat("a", 256), strings.Repeat("abcd/", 210) + "a", strings.Repeat("a/", 20) + "a",
	} {
		if got, ok := Clean(bad); ok {
			t.Errorf("%q is %q", bad, got)
		}
	}
}

func TestLevels(t *testing.T) {
	if Parent("a/b/c") != "a/b" || Parent("a") != "" || !Below("a/b", "a") || Below("ab", "a") || Below("a", "a") {
		t.Error("levels")
	}
}

// FuzzClean: what is a name is within the bounds, and clean already.
func FuzzClean(f *testing.F) {
	for _, s := range []string{"inbox/a", "\x00", "a\u0308", "..", "a//", "\xf0\x28"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, ok := Clean(s)
		if !ok {
			return
		}
		again, ok := Clean(c)
		if !ok || again != c || !utf8.ValidString(c) || len(c) > MaxName || c == "" || strings.ContainsAny(c, "\x00\r\n") ||
			strings.Contains("/"+c+"/", "//") || strings.Count(c, "/") >= MaxDepth {
			t.Errorf("%q is %q, and that %q", s, c, again)
		}
	})
}
