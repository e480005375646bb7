package classify

import (
	"os"
	"strings"
	"testing"
)

// A server that says the title of a status without its number, or with one that
// tells nothing, means what the number means.
func TestRegistry(t *testing.T) {
	text, err := os.ReadFile("testdata/registry.txt")
	if err != nil {
		t.Fatal(err)
	}
	c := New()
	for line := range strings.Lines(string(text)) {
		if line[0] == '#' {
			continue
		}
		parts := strings.Split(strings.TrimSpace(line), " | ")
		if len(parts) < 3 {
			t.Fatalf("%q has %d parts", line, len(parts))
		}
		number, title, want := strings.Replace(parts[0], "x", "5", 1), parts[1], parts[2]
		for reply, want := range map[string]string{
			"550 " + title: want,
			"550 5.0.0 <a@b.test>: Recipient address rejected: " + title + ". See https://mx.test/help": want,
			"550 " + number + " " + title: want,
			"550 " + number:               parts[len(parts)-1],
		} {
			d := c.Outcome(outcome("RCPT", reply))
			if got := d.Class.String() + " " + d.Severity.String(); got != want {
				t.Errorf("%s: %s by rule %q, want %s", reply, got, d.Rule, want)
			}
		}
	}
}
