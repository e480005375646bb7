package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// Each command has a page that names it and all its flags, but for those that
// the commands share.
func TestReference(t *testing.T) {
	parser, err := kong.New(&commands{}, kong.Name("tenma"))
	if err != nil {
		t.Fatal(err)
	}
	shared := []string{"help", "config", "json", "url", "token-file"}
	for _, leaf := range parser.Model.Leaves(false) {
		path := leaf.FullPath() // "tenma queue list"
		words := strings.Fields(path)
		if words[1] == "help" {
			continue
		}
		page, err := os.ReadFile("../../deploy/reference/" + words[1] + ".md")
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if !strings.Contains(string(page), "    "+path) {
			t.Errorf("%s.md does not have %q", words[1], path)
		}
		for _, group := range leaf.AllFlags(true) {
			for _, f := range group {
				if !slices.Contains(shared, f.Name) && !strings.Contains(string(page), "--"+f.Name) {
					t.Errorf("%s.md does not tell of --%s of %s", words[1], f.Name, path)
				}
			}
		}
	}
}
