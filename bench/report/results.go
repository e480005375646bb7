package report

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tenma/bench/report/chart"
)

// A Page is the results page that is kept beside its raw data: a Markdown file
// with the folder "results" next to it, which has the raw data (*.jsonl), the
// targets (targets.txt) and the charts (charts/*.svg). Page and charts are made
// of raw data and targets alone, so that making them again changes nothing.
type Page struct {
	File    string   // the Markdown file
	Raw     []string // raw data; none: results/*.jsonl
	Against string   // as in Options; empty: what the targets are over
}

// command is what makes the page again, from the folder above its own: the page
// must not tell where on a disk it was made.
func (p Page) command() string {
	file := filepath.Base(p.File)
	if full, err := filepath.Abs(p.File); err == nil {
		file = filepath.Base(filepath.Dir(full)) + "/" + file
	}
	return "go run ./cmd/tenma bench report --results-page " + file
}

func (p Page) folder() string { return filepath.Join(filepath.Dir(p.File), "results") }

// Write makes the page and its charts, and takes away charts that are no
// longer part of it.
func (p Page) Write() error {
	raw := p.Raw
	if len(raw) == 0 {
		var err error
		if raw, err = Folder(p.folder()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	results, err := LoadFiles(raw...)
	if err != nil {
		return err
	}
	targets, err := loadTargets(filepath.Join(p.folder(), "targets.txt"))
	if err != nil {
		return err
	}
	against := p.Against
	if against == "" && len(targets) > 0 {
		against = targets[0].Against
	}
	r := New(results, Options{Against: against, Title: "Results"})
	sheets, err := r.sheets()
	if err != nil {
		return err
	}
	charts := filepath.Join(p.folder(), "charts")
	if err := replaceCharts(charts, sheets); err != nil {
		return err
	}
	return os.WriteFile(p.File, []byte(p.text(r, targets, sheets, raw)), 0o644)
}

// Folder gives the files of raw data in a folder, in order.
func Folder(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return nil, err
	}
	var all []string
	for _, e := range entries {
		if !e.IsDir() && filepath.Ext(e.Name()) == ".jsonl" {
			all = append(all, filepath.Join(dir, e.Name()))
		}
	}
	return all, nil
}

func loadTargets(name string) ([]Target, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := ParseTargets(f)
	var line *LineError
	if errors.As(err, &line) {
		line.File = name
	}
	return all, err
}

func replaceCharts(dir string, sheets []sheet) error {
	old, err := filepath.Glob(filepath.Join(dir, "*.svg"))
	if err != nil {
		return err
	}
	if len(sheets) > 0 {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for _, s := range sheets {
		name := filepath.Join(dir, s.Name+".svg")
		text, err := s.File()
		if err == nil {
			err = os.WriteFile(name, []byte(text), 0o644)
		}
		if err != nil {
			return err
		}
		old = slices.DeleteFunc(old, func(o string) bool { return o == name })
	}
	for _, o := range old {
		if err := os.Remove(o); err != nil {
			return err
		}
	}
	return nil
}

// sheet is the charts of a group in one drawing.
type sheet struct {
	chart.Drawing
	group group
}

// sheets gives one drawing per group of charts, two charts side by side.
func (r *Report) sheets() ([]sheet, error) {
	groups, err := r.groups()
	if err != nil {
		return nil, err
	}
	var all []sheet
	for _, g := range groups {
		d := chart.Sheet(g.charts)
		d.Name = fileName(strings.ToLower(strings.ReplaceAll(g.title, " ", "-")))
		d.Title = g.title + ". " + g.note
		all = append(all, sheet{d, g})
	}
	return all, nil
}

// text is the page.
func (p Page) text(r *Report, targets []Target, sheets []sheet, raw []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Results\n\nMade from the raw data by\n\n    %s\n\nand not edited by hand: measure, put the raw data into `results/`, and run it again.\n\n", p.command())
	r.markdownWarnings(&b)
	r.markdownTargets(&b, targets)
	b.WriteString("## At a glance\n\n")
	if len(r.scenarios) == 0 {
		b.WriteString("No measurements are kept yet.\n")
		return b.String()
	}
	r.markdownGlance(&b)
	for _, s := range sheets {
		if s.group.closed {
			continue
		}
		fmt.Fprintf(&b, "### %s\n\n%s\n\n![%s](results/charts/%s.svg)\n\n", plain(s.group.title), s.group.note, plain(s.group.title), url.PathEscape(s.Name))
	}
	b.WriteString("## All figures\n\n")
	for i := range r.scenarios {
		s := &r.scenarios[i]
		fmt.Fprintf(&b, "### %s\n\n", plain(s.name))
		s.markdown(&b)
		for _, sh := range sheets {
			if sh.group.closed && sh.group.title == "Course of "+s.name {
				fmt.Fprintf(&b, "[A run of each by the second](results/charts/%s.svg)\n\n", url.PathEscape(sh.Name))
			}
		}
	}
	fmt.Fprintf(&b, "## How to read this\n\n%s\n\n## What was measured\n\n", r.howToRead())
	r.markdownSetting(&b)
	b.WriteString("## Raw data\n\nJSON lines, one run each.\n\n")
	for _, name := range raw {
		rel, err := filepath.Rel(filepath.Dir(p.File), name)
		if err != nil {
			rel = filepath.Base(name)
		}
		rel = filepath.ToSlash(rel)
		fmt.Fprintf(&b, "- [%s](%s)\n", plain(filepath.Base(name)), (&url.URL{Path: rel}).EscapedPath())
	}
	return b.String()
}

// markdownTargets puts the targets beside what was measured.
func (r *Report) markdownTargets(b *strings.Builder, targets []Target) {
	if len(targets) == 0 {
		return
	}
	b.WriteString("## Targets\n\n| scenario | figure | at least | reach for | measured | |\n|---|---|---:|---:|---|---|\n")
	for _, t := range targets {
		v := r.judge(t)
		word := v.word
		if v.word == fellShort || v.word == void {
			word = "**" + word + "**"
		}
		if v.why != "" {
			word += ": " + plain(v.why)
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", plain(t.Scenario), plain(t.figure()), t.atLeast, t.reach, plain(cmp.Or(v.measured, "–")), word)
	}
	b.WriteByte('\n')
}

// figure says what a target is about.
func (t Target) figure() string {
	c, err := columnOf(t.Column)
	if err != nil {
		return t.Column
	}
	text := cmp.Or(t.Words, c.name())
	switch {
	case t.Unit == Ratio && t.Of != "":
		text += ", over its own in " + t.Of
	case t.Unit == Ratio:
		text += ", over " + t.Against
	}
	return text + t.better.arrow()
}
