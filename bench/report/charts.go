package report

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tenma/bench/report/chart"
)

// Bounds of what is drawn: beyond them a page is no help.
const (
	maxScenarios = 100
	maxServers   = 24
)

// group is charts that show one figure, scenario by scenario.
type group struct {
	title, note string
	closed      bool // folded away in the page
	charts      []chart.Drawing
}

// groups gives all charts of the report, in the order of the page.
func (r *Report) groups() ([]group, error) {
	if len(r.scenarios) > maxScenarios {
		return nil, fmt.Errorf("charts of %d scenarios: at most %d in one report", len(r.scenarios), maxScenarios)
	}
	for _, s := range r.scenarios {
		if len(s.servers) > maxServers {
			return nil, fmt.Errorf("charts of %d servers in %s: at most %d", len(s.servers), s.name, maxServers)
		}
	}
	var all []group
	add := func(g group) {
		if len(g.charts) > 0 {
			all = append(all, g)
		}
	}
	bars := func(title, note string, keys ...string) {
		g := group{title: title, note: note}
		for i := range r.scenarios {
			g.charts = append(g.charts, r.scenarios[i].barsOf(keys)...)
		}
		add(g)
	}
	bars("Rate", "Messages delivered per second, up to the last one; accepted where nothing is delivered.", "delivered|accepted")
	bars("CPU", "Seconds of user and system time of all the server's processes, per 1,000 messages.", "cpu")
	for _, q := range []struct{ key, title, note string }{
		{"ack", "Final dot to 250", "What a client waits for; in an open loop, from when the message was due."},
		{"transit", "250 to sink", "The time in the server's queue, which a client cannot see."},
	} {
		g := group{title: q.title, note: q.note}
		for i := range r.scenarios {
			if d, ok := r.scenarios[i].latency(q.key, strings.ToLower(q.title[:1])+q.title[1:]); ok {
				g.charts = append(g.charts, d)
			}
		}
		add(g)
	}
	bars("Disk", "Octets written to the whole device per message, and what a message takes while it waits.", "disk", "spool")
	bars("Restart", "From the start to the greeting, with a full queue.", "restart")
	for i := range r.scenarios {
		s := &r.scenarios[i]
		g := group{title: "Course of " + s.name, note: "One run by the second.", closed: true}
		for j := range s.servers {
			if d, ok := s.timeline(&s.servers[j]); ok {
				g.charts = append(g.charts, d)
			}
		}
		add(g)
	}
	unique(all)
	return all, nil
}

// barsOf draws columns; of a key with alternatives the first that applies.
func (s *scenario) barsOf(keys []string) []chart.Drawing {
	var all []chart.Drawing
	for _, key := range keys {
		for alternative := range strings.SplitSeq(key, "|") {
			i := slices.IndexFunc(s.columns, func(c column) bool { return c.key == alternative })
			if i < 0 {
				continue
			}
			if d, ok := s.bars(s.columns[i]); ok {
				all = append(all, d)
			}
			break
		}
	}
	return all
}

// unique makes the names differ, which they might not do once what a file name
// cannot have is taken out of them.
func unique(all []group) {
	seen := map[string]int{}
	for i := range all {
		for j := range all[i].charts {
			d := &all[i].charts[j]
			id := strings.ToLower(d.Name) // some file systems do not tell them apart
			if seen[id]++; seen[id] > 1 {
				d.Name = fmt.Sprintf("%s.%d", d.Name, seen[id])
			}
		}
	}
}

// WriteCharts writes every chart into a folder as NAME.svg, which shows itself
// light or dark as the reader has it, and with png also as NAME.png. It gives
// the names without endings.
func (r *Report) WriteCharts(dir string, png bool) ([]string, error) {
	groups, err := r.groups()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	var names []string
	for _, g := range groups {
		for _, d := range g.charts {
			text, err := d.File()
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, d.Name+".svg"), []byte(text), 0o644)
			}
			if err == nil && png {
				err = writePNG(d, filepath.Join(dir, d.Name+".png"))
			}
			if err != nil {
				return names, err
			}
			names = append(names, d.Name)
		}
	}
	return names, nil
}

func writePNG(d chart.Drawing, name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	err = d.PNG(f)
	return cmp.Or(err, f.Close())
}
