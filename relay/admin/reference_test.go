package admin

import (
	"os"
	"strings"
	"testing"
)

// The reference page has every call and every parameter.
func TestReference(t *testing.T) {
	page, err := os.ReadFile("../../deploy/reference/http.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range calls() {
		if !strings.Contains(string(page), "| `"+c.method+" "+c.path+"` | yes |") {
			t.Errorf("%s %s is not in the reference", c.method, c.path)
		}
		for _, p := range c.query {
			if !strings.Contains(string(page), "`"+p.name+"`") {
				t.Errorf("parameter %s is not in the reference", p.name)
			}
		}
	}
}
