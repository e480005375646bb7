package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"tenma/relay/config"
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

// What README says is there, is there: folders, commands, a configuration that
// can be read.
func TestReadme(t *testing.T) {
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(b)
	_, table, _ := strings.Cut(readme, "| folder | what it is |")
	paths := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) != 4 || strings.HasPrefix(cells[1], "--") {
			continue
		}
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1) {
			paths++
			if found, _ := filepath.Glob("../../" + m[1]); len(found) == 0 {
				t.Errorf("there is no %s", m[1])
			}
		}
	}
	if paths < 15 {
		t.Errorf("%d folders in the table", paths)
	}

	parser, err := kong.New(&commands{}, kong.Name("tenma"))
	if err != nil {
		t.Fatal(err)
	}
	var known []string
	for _, leaf := range parser.Model.Leaves(false) {
		known = append(known, leaf.FullPath())
	}
	for _, m := range regexp.MustCompile(`(?:\./cmd/tenma|# tenma|\x60tenma)((?: [a-z]+)+)`).FindAllStringSubmatch(readme, -1) {
		words := strings.Fields(m[1])
		if !slices.ContainsFunc(known, func(k string) bool {
			want := strings.Fields(k)[1:]
			return len(words) >= len(want) && slices.Equal(words[:len(want)], want)
		}) {
			t.Errorf("there is no command tenma%s", m[1])
		}
	}

	_, example, _ := strings.Cut(readme, "```toml\n")
	example, _, ok := strings.Cut(example, "```")
	path := filepath.Join(t.TempDir(), "tenma.toml")
	if err := os.WriteFile(path, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Peek(path); err != nil || !ok {
		t.Errorf("the example configuration: %v", err)
	}
}

// The configurations in the guides can be read, and the commands there are.
func TestGuides(t *testing.T) {
	pages, err := filepath.Glob("../../deploy/guide/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no guides: %v", err)
	}
	parser, err := kong.New(&commands{}, kong.Name("tenma"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllSubmatch(text, -1) {
			part := string(m[1])
			if !strings.Contains(part, "[[listen]]") {
				part += "[[listen]]\nprotocol = \"http\"\naddress = \"127.0.0.1:1\"\n"
			}
			path := filepath.Join(t.TempDir(), "tenma.toml")
			if err := os.WriteFile(path, []byte(part), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := config.Peek(path); err != nil {
				t.Errorf("%s, configuration %d: %v", page, i+1, err)
			}
		}
		for _, m := range regexp.MustCompile(`(?m)^    tenma (.*)$`).FindAllSubmatch(text, -1) {
			args := strings.Fields(strings.ReplaceAll(string(m[1]), " --help", " --subject=x"))
			if _, err := parser.Parse(args); err != nil {
				t.Errorf("%s: tenma %s: %v", page, m[1], err)
			}
		}
	}
}
