package flag

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	var none Table
	table, ok := none.With([]string{`\seen`, "$Work", `\RECENT`, "$work", "Junk"})
	if !ok || !slices.Equal(table, []string{"$Work", "Junk"}) {
		t.Fatal(table, ok)
	}
	f := table.Bits([]string{"junk", `\FLAGGED`, "unknown"})
	if got := table.Names(f); !slices.Equal(got, []string{`\Flagged`, "Junk"}) || table.Keyword(`\Seen`) != 0 {
		t.Error(got)
	}
	if got := table.Used(f); !slices.Equal(got, []string{"Junk"}) {
		t.Error(got)
	}
	other, _ := none.With([]string{"x", "Junk"})
	if got := other.Names(table.Translate(f, other)); !slices.Equal(got, []string{`\Flagged`, "Junk"}) {
		t.Error(got)
	}
	for _, bad := range []string{"", "a b", "a\r", "(", `\Own`, "ü", strings.Repeat("k", 101), "]", `"`} {
		if _, ok := none.With([]string{bad}); ok {
			t.Errorf("%q is a keyword", bad)
		}
	}
}

func TestKeywordsAreBounded(t *testing.T) {
	var table Table
	for i := range MaxKeywords {
		next, ok := table.With([]string{fmt.Sprint("k", i)})
		if !ok || next.Keyword(fmt.Sprint("k", i)) == 0 {
			t.Fatal(i)
		}
		table = next
	}
	if _, ok := table.With([]string{"one-more"}); ok {
		t.Error("there is no bit for it")
	}
	if n := len(table.Names(^Flags(0))); n != 64 {
		t.Error(n)
	}
}
