package listing

import (
	"fmt"
	"strings"
	"testing"

	"tenma/relay/mailbox"
	wire "tenma/relay/wire/imap"
)

// As many folders as there may be, with names as long as they may be, and patterns
// that are as bad as they may be: each name is compared once, not once for each
// folder above it, which would take minutes.
func TestRecursiveMatchOfManyFolders(t *testing.T) {
	var folders []mailbox.Folder
	for i := range 200 {
		name := fmt.Sprintf("%s%03d", strings.Repeat("a", 40), i)
		for range 10 {
			folders = append(folders, mailbox.Folder{Name: name, Subscribed: true})
			name += "/" + strings.Repeat("a", 90)
		}
	}
	var patterns []string
	for i := range maxPatterns {
		patterns = append(patterns, fmt.Sprintf(`"%sb%d"`, strings.Repeat("*a", 480), i))
	}
	l, err := Parse(wire.NewParser(`(SUBSCRIBED RECURSIVEMATCH) "" (* `+strings.Join(patterns[1:], " ")+`)`), false)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(l.Find(folders, true)); got != len(folders) {
		t.Errorf("%d folders", got)
	}
	l, err = Parse(wire.NewParser(`(SUBSCRIBED RECURSIVEMATCH) "" (`+strings.Join(patterns, " ")+`)`), false)
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Find(folders, true); len(got) != 0 {
		t.Errorf("%d folders", len(got))
	}
	if len(l.matched) != len(folders) {
		t.Errorf("%d names were compared, of %d", len(l.matched), len(folders))
	}
}
