package load

import (
	"strings"
	"testing"
)

func FuzzParseTag(f *testing.F) {
	for _, s := range []string{"r1 0", " r1 7 ", "r1", "r1 -1", "r1 99999999999", " 1", strings.Repeat("r", 65) + " 1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tag, ok := ParseTag(s)
		if !ok {
			return
		}
		value := strings.TrimPrefix(string(tag.Append(nil)), Field+": ")
		if again, ok := ParseTag(value); !ok || again != tag {
			t.Errorf("%q became %q, %v", s, value, again)
		}
	})
}
