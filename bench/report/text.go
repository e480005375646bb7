package report

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"tenma/bench/load"
)

// Table is the report for a terminal: what [Report.Table] gives, with ratios
// over the first server of the results.
func Table(results []load.Result) string { return New(results, Options{}).Table() }

// Table is the report for a terminal: per scenario a row per server with the
// medians of its rounds, under it the ratios over the server compared against,
// then the warnings. Empty for no results.
func (r *Report) Table() string {
	var b strings.Builder
	for i := range r.scenarios {
		if i > 0 {
			b.WriteByte('\n')
		}
		r.scenarios[i].table(&b)
	}
	if len(r.scenarios) > 0 {
		b.WriteString("\nMedians of the rounds; lost and duplicates of the worst round. ↑ more is better, ↓ less is better.\n")
	}
	for _, w := range r.warnings {
		mark := "note: "
		if w.grave {
			mark = "WARNING: "
		}
		b.WriteString(mark + w.text + "\n")
	}
	return b.String()
}

func (s *scenario) table(b *strings.Builder) {
	shown := slices.DeleteFunc(slices.Clone(s.columns), func(c column) bool { return !c.brief })
	rows := make([][]string, 2, 2+2*len(s.servers))
	rows[0], rows[1] = []string{""}, []string{""}
	for _, c := range shown {
		rows[0] = append(rows[0], c.head[0])
		rows[1] = append(rows[1], strings.TrimSpace(c.head[1]+c.better.arrow()))
	}
	for i := range s.servers {
		v := &s.servers[i]
		row := []string{v.mta}
		for _, c := range shown {
			text := c.over(v.rounds).text(c)
			if c.key == "lost" && v.lost() > 0 {
				text = "!" + text
			}
			row = append(row, text)
		}
		rows = append(rows, row)
		if ratios, any := s.ratios(shown, v); any {
			rows = append(rows, append([]string{"  against " + s.servers[0].mta}, ratios...))
		}
	}
	fmt.Fprintf(b, "%s: %s\n", s.name, s.describe())
	align(b, rows)
}

// ratios of a server's row, empty where there is none.
func (s *scenario) ratios(shown []column, v *server) (row []string, any bool) {
	for _, c := range shown {
		text := ""
		if x, ok := s.ratio(c, v); ok {
			text, any = ratio(x), true
		}
		row = append(row, text)
	}
	return row, any
}

// describe says what the load was and how many rounds there are.
func (s *scenario) describe() string {
	first := s.servers[0].rounds[0]
	var parts []string
	add := func(show bool, format string, args ...any) {
		if show {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	if size, ok := parseSize(first.Size); ok {
		add(true, "%s", octets(size))
	} else {
		add(first.Size != "", "sizes %s", short(first.Size))
	}
	add(first.Sessions > 0, "%s", plural(first.Sessions, "session"))
	add(first.PerSession > 0, "%s each", plural(first.PerSession, "message"))
	add(first.Domains > 1, "%s", plural(first.Domains, "domain"))
	least, most := len(s.servers[0].rounds), 0
	for _, v := range s.servers {
		least, most = min(least, len(v.rounds)), max(most, len(v.rounds))
	}
	if least == most {
		add(true, "%s", plural(most, "round"))
	} else {
		add(true, "%d to %s", least, plural(most, "round"))
	}
	return strings.Join(parts, ", ")
}

// align writes rows as columns: the first to the left, the others to the right.
func align(b *strings.Builder, rows [][]string) {
	var width []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				line.WriteString(cell + pad)
			} else {
				line.WriteString("  " + pad + cell)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}
