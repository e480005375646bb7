package report

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNamesOfStrangers: what a file calls a server is shown, and is neither
// Markdown nor HTML.
func TestNamesOfStrangers(t *testing.T) {
	r := New(rounds("<i>|[x](y)", "*b*&<script>", 1, 2), Options{Title: "# <h1>"})
	text := r.Markdown()
	for _, want := range []string{`\<i\>\|\[x\](y)`, `\*b\*\&\<script\>`, `# \# \<h1\>`} {
		if !strings.Contains(text, want) {
			t.Errorf("the Markdown lacks %q", want)
		}
	}
	page, err := r.HTML()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(page, "<script") || strings.Contains(page, "<i>") || strings.Contains(page, "<h1></h1>") {
		t.Error("a name became an element of the page")
	}
	for _, svg := range svgElement.FindAllString(page, -1) {
		texts(t, svg)
	}
}

// TestChartNamesDiffer: what a file name cannot have is taken out, and charts
// do not overwrite each other for it.
func TestChartNamesDiffer(t *testing.T) {
	dir := t.TempDir()
	all := append(rounds("a/b", "x", 1), append(rounds("a?b", "x", 1), rounds("A_b", "x", 1)...)...)
	names, err := New(all, Options{}).WriteCharts(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(names) || len(names) != 3 {
		t.Errorf("%q became %d files: %v", names, len(entries), err)
	}
	for _, n := range names {
		if filepath.Base(n) != n {
			t.Errorf("%q leads elsewhere", n)
		}
	}
}

func TestBoundsOfCharts(t *testing.T) {
	scenarios := rounds("s", "x", 1)
	servers := rounds("s", "x", 1)
	for i := range max(maxScenarios, maxServers) {
		scenarios = append(scenarios, rounds(fmt.Sprint("s", i), "x", 1)...)
		servers = append(servers, rounds("s", fmt.Sprint("x", i), 1)...)
	}
	if _, err := New(scenarios, Options{}).HTML(); err == nil || !strings.Contains(err.Error(), "101 scenarios") {
		t.Errorf("101 scenarios: %v", err)
	}
	if _, err := New(servers, Options{}).HTML(); err == nil || !strings.Contains(err.Error(), "101 servers") {
		t.Errorf("101 servers: %v", err)
	}
}
