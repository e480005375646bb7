package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
)

const golden = "../grafana/tenma.json"

var update = flag.Bool("update", false, "write "+golden)

// The file is what the program makes.
func TestGolden(t *testing.T) {
	got, err := render()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what the program makes (%v); \"go run ./deploy/dashboard\" writes it", golden, err)
	}
}

// everything is the dashboard read back from its JSON, with rows and the panels
// inside closed ones in one list.
func everything(t *testing.T) (dashboard, []panel) {
	t.Helper()
	text, err := render()
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		t.Fatal(err)
	}
	var all []panel
	for _, p := range d.Panels {
		all = append(append(all, p), p.Panels...)
	}
	return d, all
}

// Each panel has a number and a place of its own, within the width.
func TestPlaces(t *testing.T) {
	_, all := everything(t)
	ids := map[int]string{}
	taken := map[[2]int]string{}
	for _, p := range all {
		if other, used := ids[p.ID]; used || p.ID < 1 {
			t.Errorf("%q and %q have the number %d", p.Title, other, p.ID)
		}
		ids[p.ID] = p.Title
		g := p.GridPos
		if g.X < 0 || g.Y < 0 || g.W < 1 || g.H < 1 || g.X+g.W > columns {
			t.Errorf("%q stands outside: %+v", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other, used := taken[[2]int{x, y}]; used {
					t.Fatalf("%q lies over %q", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
	if len(all) < 60 {
		t.Errorf("only %d panels", len(all))
	}
}

// Panels say what they show and what to do; their expressions are whole, look at
// the selected relays only, and name what they draw.
func TestPanels(t *testing.T) {
	d, all := everything(t)
	if d.SchemaVersion < 39 || d.UID == "" || len(d.Templating.List) != 3 {
		t.Errorf("schema %d, uid %q, %d variables", d.SchemaVersion, d.UID, len(d.Templating.List))
	}
	titles := map[string]bool{}
	for _, p := range all {
		if p.Type == "row" {
			if p.Collapsed == nil || *p.Collapsed != (len(p.Panels) > 0) {
				t.Errorf("row %q is closed without panels, or open with some", p.Title)
			}
			continue
		}
		if len(p.Description) < 10 || !strings.HasSuffix(p.Description, ".") {
			t.Errorf("%q: its description %q is no sentence", p.Title, p.Description)
		}
		if p.Datasource == nil || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 || len(p.Targets) > 26 {
			t.Errorf("%q has no data", p.Title)
		}
		titles[p.Title] = true
		refs := map[string]bool{}
		for _, q := range p.Targets {
			if refs[q.RefID] {
				t.Errorf("%q: two queries %s", p.Title, q.RefID)
			}
			refs[q.RefID] = true
			if why := broken(q.Expr); why != "" {
				t.Errorf("%q: %s: %s", p.Title, why, q.Expr)
			}
			if p.Type == "timeseries" && q.LegendFormat == "" {
				t.Errorf("%q: %s has no name", p.Title, q.RefID)
			}
		}
	}
	if len(titles) < 55 {
		t.Errorf("only %d titles", len(titles))
	}
}

// broken says what is wrong with an expression, as far as that can be seen
// without Prometheus; the interop test asks Prometheus itself.
func broken(expr string) string {
	var open []rune
	quoted := false
	for _, c := range expr {
		switch {
		case c == '"':
			quoted = !quoted
		case quoted:
		case strings.ContainsRune("([{", c):
			open = append(open, c)
		case strings.ContainsRune(")]}", c):
			if len(open) == 0 || string(open[len(open)-1])+string(c) != map[rune]string{')': "()", ']': "[]", '}': "{}"}[c] {
				return "brackets do not match"
			}
			open = open[:len(open)-1]
		}
	}
	switch {
	case quoted || len(open) > 0:
		return "something is not closed"
	case strings.Count(expr, "{") != strings.Count(expr, selected) && !strings.Contains(expr, "ALERTS"):
		return "a selector does not look at the variables"
	}
	return ""
}

// The check of expressions finds what it is for.
func TestBroken(t *testing.T) {
	good := rate(metric("x_total"))
	for expr, bad := range map[string]bool{good: false, good + ")": true, "(" + good: true, "sum(x{a=\"b\"})": true, good + `"`: true, "(" + good + "]": true} {
		if (broken(expr) != "") != bad {
			t.Errorf("%s: %q", expr, broken(expr))
		}
	}
}
