package report

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tenma/bench/load"
)

var update = flag.Bool("update", false, "write the golden files, and the results page, anew")

// example is made-up raw data: four scenarios, three servers, five rounds, of
// which one lost mail; one scenario has a single round.
func example(t testing.TB) []load.Result {
	t.Helper()
	files, err := Folder("testdata")
	if err != nil {
		t.Fatal(err)
	}
	all, err := LoadFiles(files...)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got; go test -update writes it anew):\n%s", name, d)
	}
}

func TestGolden(t *testing.T) {
	r := New(example(t), Options{Title: "Four scenarios"})
	golden(t, "table.txt", r.Table())
	golden(t, "report.md", r.Markdown())
	page, err := r.HTML()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "report.html", svgElement.ReplaceAllString(page, "<!-- $1 -->"))
	summary, err := json.MarshalIndent(r.Summary().Scenarios[1], "", " ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "summary.json", string(summary)+"\n")
}

var svgElement = regexp.MustCompile(`(?s)<svg[^>]*><title>([^<]*)</title>.*?</svg>`)

// TestPageIsWhole: the page needs nothing from elsewhere and runs no script.
func TestPageIsWhole(t *testing.T) {
	page, err := New(example(t), Options{}).HTML()
	if err != nil {
		t.Fatal(err)
	}
	for _, banned := range []string{"<script", "src=", "href=", "url(", "@import", "NaN", "Inf"} {
		if strings.Contains(page, banned) {
			t.Errorf("the page has %q", banned)
		}
	}
	for _, want := range []string{"prefers-color-scheme:dark", `name="viewport"`, "How to read this", "Example CPU", "Postfix 3.7.11", `<li class="grave">`, "lost 3"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// texts are the character data of a well-formed XML document.
func texts(t *testing.T, document string) []string {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(document))
	var all []string
	for {
		token, err := d.Token()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatalf("not well-formed: %v in\n%s", err, document)
		}
		if c, ok := token.(xml.CharData); ok {
			all = append(all, strings.TrimSpace(string(c)))
		}
	}
}

func TestCharts(t *testing.T) {
	dir := t.TempDir()
	names, err := New(example(t), Options{}).WriteCharts(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	for name, labels := range map[string][]string{
		"relay-delivered":    {"relay", "postfix", "tenma", "opensmtpd", "690", "8,371   12.1x", "lost 3"},
		"relay-cpu":          {"0.113   1/18.3"},
		"relay-transit":      {"p50", "p99.9", "max", "1 ms", "10 s", "tenma", "postfix"},
		"relay-disk":         {"the message itself"},
		"relay-tenma-course": {"accepted", "delivered", "accepted and not arrived", "RSS", "CPU seconds in each second"},
		"mx-1k-delivered":    {"delivered/s, more is better; a single round"},
	} {
		if !slices.Contains(names, name) {
			t.Errorf("no chart %s among %q", name, names)
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, name+".svg"))
		if err != nil {
			t.Fatal(err)
		}
		found := texts(t, string(text))
		for _, l := range labels {
			if !slices.Contains(found, l) {
				t.Errorf("%s lacks %q: %q", name, l, found)
			}
		}
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(dir, name+".svg"))
		if err != nil {
			t.Fatal(err)
		}
		texts(t, string(text))
		if strings.Contains(string(text), "NaN") || strings.Contains(string(text), "Inf") {
			t.Errorf("%s has a place that is no number", name)
		}
	}
}

func TestPNG(t *testing.T) {
	dir := t.TempDir()
	names, err := New(rounds("A", "x", 1, 2), Options{}).WriteCharts(dir, true)
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	if png, err := os.ReadFile(filepath.Join(dir, names[0]+".png")); err != nil || !strings.HasPrefix(string(png), "\x89PNG") {
		t.Errorf("%s.png is no PNG: %v", names[0], err)
	}
}

// result is one round that needs nothing said.
func result(scenario, mta string, round int, rate float64) load.Result {
	return load.Result{
		Scenario: scenario, MTA: mta, Round: round, Run: mta, Started: time.Date(2026, 1, 1, 0, round, 0, 0, time.UTC),
		Machine: load.Machine{CPU: "x", Cores: 2}, Sessions: 50, PerSession: 20, Size: "4096", Domains: 1,
		Accepted: 1000, Delivered: 1000, DeliverRate: rate, AcceptRate: rate,
	}
}

func rounds(scenario, mta string, rates ...float64) []load.Result {
	var all []load.Result
	for i, v := range rates {
		all = append(all, result(scenario, mta, i+1, v))
	}
	return all
}

func TestMedianAndRatio(t *testing.T) {
	all := slices.Concat(rounds("A", none, 5, 5, 5), rounds("A", "a", 10, 30, 20), rounds("A", "b", 100, 120, 80), rounds("A10", "a", 1, 1, 1), rounds("A9", "a", 1, 1, 1))
	r := New(all, Options{})
	if got := r.mtas(); !slices.Equal(got, []string{"a", none, "b"}) {
		t.Errorf("servers in the order %q: the ceiling is nothing to compare against", got)
	}
	s := &r.scenarios[0]
	c, _ := s.rate()
	if f := c.over(r.find("A", "a").rounds); f != (figure{20, 10, 30, true}) {
		t.Errorf("a: %+v", f)
	}
	if x, ok := s.ratio(c, r.find("A", "b")); !ok || x != 5 {
		t.Errorf("b over a: %v, %v", x, ok)
	}
	turned := New(all, Options{Against: "b"})
	if x, ok := turned.scenarios[0].ratio(c, turned.find("A", "a")); !ok || x != 0.2 {
		t.Errorf("a over b: %v, %v", x, ok)
	}
	if r.scenarios[1].name != "A9" || r.scenarios[2].name != "A10" {
		t.Errorf("A9 does not stand before A10")
	}
	if m := median([]float64{1, 2, 4, 8}); m != 3 {
		t.Errorf("median of an even number: %v", m)
	}
}

// TestWarnings: what must be said, is; and where a comparison would mean
// nothing, there is no ratio.
func TestWarnings(t *testing.T) {
	a, b := rounds("A", "a", 10, 10, 10), rounds("A", "b", 20, 20, 20)
	change := func(f func(r *load.Result)) []load.Result {
		all := slices.Concat(a, b)
		f(&all[4])
		return all
	}
	for _, c := range []struct {
		name    string
		results []load.Result
		want    string
		grave   bool
		ratio   bool
	}{
		{"nothing", slices.Concat(a, b), "", false, true},
		{"lost", change(func(r *load.Result) { r.Lost = 7 }), "b lost 7 of 1,000 messages accepted in round 2", true, true},
		{"signatures", change(func(r *load.Result) { r.Extra = map[string]float64{badSignatures: 3} }), "b delivered 3 messages without a DKIM signature that holds in round 2", true, true},
		{"duplicates", change(func(r *load.Result) { r.Duplicates = 2 }), "delivered 2 messages twice", false, true},
		{"errors", change(func(r *load.Result) { r.HardErrors, r.FirstError = 1, "554\nno" }), "refused 1 message and dropped 0 connections in round 2 (first: 554 no)", false, true},
		{"machine", change(func(r *load.Result) { r.Machine.Cores = 4 }), "another machine", true, false},
		{"load", change(func(r *load.Result) { r.Size = "65536" }), "another load", true, false},
		{"version", change(func(r *load.Result) { r.Version = "2" }), "different versions or settings", true, true},
		{"spread", change(func(r *load.Result) { r.DeliverRate = 50 }), "2.5x as fast as its worst", false, true},
		{"days", change(func(r *load.Result) { r.Started = r.Started.Add(48 * time.Hour) }), "48h0m0s apart", false, true},
		{"rounds", slices.Concat(a, b[:2]), "a ran 3 rounds, b 2", false, true},
		{"single", slices.Concat(a[:1], b[:1]), "a single round", false, true},
		{"twice", slices.Concat(a, b, b), "3 runs given twice", false, true},
		{"no base", slices.Concat(rounds("0", "c", 1, 1), a, b), "A: c did not run", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := New(c.results, Options{})
			all := strings.Join(r.Warnings(), "\n")
			switch {
			case c.want == "" && all != "":
				t.Errorf("warns of %q", all)
			case !strings.Contains(all, c.want):
				t.Errorf("lacks %q: %q", c.want, all)
			case c.want != "" && r.warnings[0].grave != c.grave:
				t.Errorf("%q: grave is %v", all, r.warnings[0].grave)
			}
			s := &r.scenarios[len(r.scenarios)-1]
			rate, _ := s.rate()
			if _, ok := s.ratio(rate, r.find("A", "b")); ok != c.ratio {
				t.Errorf("has a ratio: %v", ok)
			}
		})
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.1234: "0.123", 0.00012: "1.2e-04", 1: "1", 2.5: "2.5", 9.994: "9.99", 9.996: "10.0", 99.94: "99.9", 99.96: "100", 1234.5: "1,234", 1234567: "1,234,567"} {
		if got := significant(v); got != want {
			t.Errorf("%v is %s, not %s", v, got, want)
		}
	}
	for v, want := range map[float64]string{9.61: "9.61x", 0.87: "0.87x", 1.0 / 500: "1/500", 0: "–"} {
		if got := ratio(v); got != want {
			t.Errorf("%v is %s, not %s", v, got, want)
		}
	}
	for s, want := range map[string]float64{"4096": 4096, "4KiB": 4096, "1 MiB": 1 << 20, "1KiB:3,2KiB:1": 0, "": 0, "-1": 0, "1XiB": 0} {
		if got, ok := parseSize(s); ok != (want > 0) || ok && got != want {
			t.Errorf("%q is %v, %v", s, got, ok)
		}
	}
}

// TestResultsPage: the page that is committed is what the command makes of the
// raw data and targets beside it. go test -update makes it anew.
func TestResultsPage(t *testing.T) {
	page := filepath.Join("..", "RESULTS.md")
	if *update {
		if err := (Page{File: page}).Write(); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	fresh := filepath.Join(dir, "bench", "RESULTS.md")
	if err := os.CopyFS(filepath.Join(dir, "bench", "results"), os.DirFS(filepath.Join("..", "results"))); err != nil {
		t.Fatal(err)
	}
	if err := (Page{File: fresh}).Write(); err != nil {
		t.Fatal(err)
	}
	same(t, page, fresh)
	charts, err := filepath.Glob(filepath.Join("..", "results", "charts", "*"))
	if err != nil {
		t.Fatal(err)
	}
	made, err := filepath.Glob(filepath.Join(dir, "bench", "results", "charts", "*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(charts) != len(made) {
		t.Errorf("%d charts are kept, %d are made", len(charts), len(made))
	}
	for _, c := range made {
		// Other processors round the places of a line differently.
		if runtime.GOARCH == "amd64" {
			same(t, filepath.Join("..", "results", "charts", filepath.Base(c)), c)
		}
	}
}

func same(t *testing.T, kept, made string) {
	t.Helper()
	a, err := os.ReadFile(kept)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	b, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	if string(a) != string(b) {
		t.Errorf("%s is not what its raw data gives: run go run ./cmd/tenma bench report --results-page bench/RESULTS.md", kept)
	}
}

// TestPageOfExample: a page of raw data with targets, made twice, charts that
// are no longer part of it gone.
func TestPageOfExample(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "example")
	if err := os.CopyFS(filepath.Join(dir, "results"), os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	p := Page{File: filepath.Join(dir, "RESULTS.md")}
	old := filepath.Join(dir, "results", "charts", "old.svg")
	if err := errors.Join(os.Mkdir(filepath.Dir(old), 0o755), os.WriteFile(old, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := p.Write(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an old chart is still there: %v", err)
	}
	text, err := os.ReadFile(p.File)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "RESULTS.md", string(text))
	for _, link := range regexp.MustCompile(`\]\(([^)]*)\)`).FindAllStringSubmatch(string(text), -1) {
		file, err := os.ReadFile(filepath.Join(dir, link[1]))
		if err != nil {
			t.Errorf("a link to nothing: %v", err)
		}
		if strings.HasSuffix(link[1], ".svg") {
			texts(t, string(file))
		}
	}
}

// A server that could not do a scenario stands there with the reason, and is no
// round of it.
func TestProblem(t *testing.T) {
	good := load.Result{Scenario: "a", MTA: "good", Round: 1, DeliverRate: 100, Accepted: 1, Delivered: 1}
	bad := load.Result{Scenario: "a", MTA: "bad", Round: 1, Problem: "cannot: no way"}
	alone := load.Result{Scenario: "b", MTA: "bad", Round: 1, Problem: "cannot: not at all"}
	r := New([]load.Result{bad, good, alone}, Options{})
	if len(r.scenarios) != 1 || len(r.scenarios[0].servers) != 1 || r.options.Against != "good" {
		t.Errorf("%+v", r.scenarios)
	}
	page, table := r.Markdown(), r.Table()
	for _, want := range []string{"a: bad gave no figures: cannot: no way.", "b: bad gave no figures: cannot: not at all."} {
		if !strings.Contains(page, want) || !strings.Contains(table, want) {
			t.Errorf("%q is not told", want)
		}
	}
	again := New([]load.Result{bad, {Scenario: "a", MTA: "bad", Round: 2, DeliverRate: 50}}, Options{})
	if len(again.scenarios[0].failed) != 0 {
		t.Error("a server that ran in another round is told to have given nothing")
	}
}
