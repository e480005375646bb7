package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The reference page has every key, under its table, and no others.
func TestReference(t *testing.T) {
	text, err := os.ReadFile("../../deploy/reference/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	section := ""
	row := regexp.MustCompile("^\\| `(\\w+)` \\|")
	for line := range strings.Lines(string(text)) {
		if h, ok := strings.CutPrefix(line, "## "); ok {
			section = strings.Trim(h, "[]\n")
			if section != "Top" {
				told = append(told, section)
			}
		}
		if m := row.FindStringSubmatch(line); m != nil {
			told = append(told, strings.TrimPrefix(section+"."+m[1], "Top."))
		}
	}
	known := Keys()
	for _, k := range known {
		if !slices.Contains(told, k) {
			t.Errorf("%s is not in the reference", k)
		}
	}
	for _, k := range told {
		if !slices.Contains(known, k) {
			t.Errorf("the reference has %s, which is no key", k)
		}
	}
}
