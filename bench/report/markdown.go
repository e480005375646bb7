package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tenma/bench/load"
)

// Markdown is the report as Markdown: warnings, a table per scenario with all
// columns, how to read it, and what it was measured on.
func (r *Report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", plain(r.options.Title))
	r.markdownWarnings(&b)
	r.markdownGlance(&b)
	for i := range r.scenarios {
		fmt.Fprintf(&b, "## %s\n\n", plain(r.scenarios[i].name))
		r.scenarios[i].markdown(&b)
	}
	fmt.Fprintf(&b, "## How to read this\n\n%s\n\n", r.howToRead())
	fmt.Fprintf(&b, "## What was measured\n\n")
	r.markdownSetting(&b)
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func (r *Report) markdownWarnings(b *strings.Builder) {
	for _, w := range r.warnings {
		if w.grave {
			fmt.Fprintf(b, "- **%s**\n", plain(w.text))
		} else {
			fmt.Fprintf(b, "- %s\n", plain(w.text))
		}
	}
	if len(r.warnings) > 0 {
		b.WriteByte('\n')
	}
}

// markdown is the table of a scenario: a row per figure, a column per server,
// the ratio behind the median.
func (s *scenario) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "%s.\n\n|", plain(upper(s.describe())))
	for _, v := range s.servers {
		fmt.Fprintf(b, " | %s", plain(v.mta))
	}
	fmt.Fprintf(b, " |\n|---|%s\n", strings.Repeat("---:|", len(s.servers)))
	for _, c := range s.columns {
		fmt.Fprintf(b, "| %s%s |", plain(c.name()), c.better.arrow())
		for i := range s.servers {
			v := &s.servers[i]
			fmt.Fprintf(b, " %s%s |", s.cell(c, v), v.spread(c))
		}
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	s.missing(b)
}

// missing names the servers that gave no figures, and why.
func (s *scenario) missing(b *strings.Builder) {
	for _, x := range s.failed {
		fmt.Fprintf(b, "%s has no figures: %s.\n\n", plain(upper(x.MTA)), plain(strings.TrimRight(x.Problem, ".")))
	}
}

// cell is a median with its ratio; what must not be is bold.
func (s *scenario) cell(c column, v *server) string {
	text := c.over(v.rounds).text(c)
	if c.key == "lost" && v.lost() > 0 {
		return "**" + text + " lost**"
	}
	if x, ok := s.ratio(c, v); ok {
		text += " (" + ratio(x) + ")"
	}
	return text
}

// spread is the lowest and the highest round, where they differ.
func (v *server) spread(c column) string {
	f := c.over(v.rounds)
	low, high := c.format(f.min), c.format(f.max)
	if !f.ok || low == high {
		return ""
	}
	return " " + low + "…" + high
}

// markdownGlance is one row per scenario: the rate that it is about, by server.
func (r *Report) markdownGlance(b *strings.Builder) {
	mtas := r.mtas()
	fmt.Fprintf(b, "Delivered/s ↑, with the ratio over %s; *accepted/s* where nothing is delivered.\n\n| |", plain(orNone(r.options.Against)))
	for _, m := range mtas {
		fmt.Fprintf(b, " %s |", plain(m))
	}
	fmt.Fprintf(b, "\n|---|%s\n", strings.Repeat("---:|", len(mtas)))
	for i := range r.scenarios {
		s := &r.scenarios[i]
		fmt.Fprintf(b, "| %s |", plain(s.name))
		c, ok := s.rate()
		for _, m := range mtas {
			switch v := r.find(s.name, m); {
			case v == nil || !ok:
				b.WriteString(" |")
			case v.lost() > 0:
				fmt.Fprintf(b, " %s, **%s lost** |", s.cell(c, v), whole(float64(v.lost())))
			case c.key != "delivered":
				fmt.Fprintf(b, " *%s* |", s.cell(c, v))
			default:
				fmt.Fprintf(b, " %s |", s.cell(c, v))
			}
		}
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
}

// howToRead is the paragraph that every page has.
func (r *Report) howToRead() string {
	return "Every figure is the median of its rounds, with the lowest and the highest of them behind it (low…high); lost and duplicates are those of the worst round. " +
		"↑ marks columns where more is better, ↓ those where less is. " +
		"A ratio is the median over that of " + plain(orNone(r.options.Against)) + " in the same scenario: 9.6x is 9.6 times as much, 1/12 a twelfth. " +
		"Ratios are all that another machine, or the same on another day, can be compared by. " +
		"*Delivered/s* counts all messages over the time until the last one arrived, *95 % delivered* leaves out the stragglers. " +
		"*Ack* is the time from the final dot to its 250, in an open loop from when the message was due, so that a stalled server cannot hide the messages it kept waiting. " +
		"*250 to sink* is the time in the server's queue, which a sender cannot see. " +
		"CPU is user and system time of all the server's processes, per 1,000 messages. " +
		"RSS counts pages shared by processes once per process, PSS once. " +
		"Written by the *whole device* and flushes are counted by the kernel: mail log, file system and everybody else's writes included. Written by the *spool alone* is what the server itself counts of its spool's files, log and tables; only tenma tells it. A dash means: does not apply, or was not measured."
}

func orNone(s string) string {
	if s == "" {
		return "the first server"
	}
	return s
}

// setting is what was measured, on what, when.
type setting struct {
	machines []string   // usually one
	date     string     // of the first and the last round
	servers  [][]string // name, version, settings; each pair once
	rounds   int
}

func (r *Report) setting() setting {
	var t setting
	machines := map[string]bool{}
	known := map[string]bool{}
	var first, last string
	for _, x := range r.results {
		if x.Problem != "" {
			continue
		}
		machines[describeMachine(x)] = true
		if id := strings.Join([]string{x.MTA, x.Version, x.Settings}, "\x00"); !known[id] {
			known[id] = true
			t.servers = append(t.servers, []string{x.MTA, x.Version, x.Settings})
		}
		if x.Started.IsZero() {
			continue
		}
		day := x.Started.UTC().Format("2006-01-02")
		if first == "" || day < first {
			first = day
		}
		last = max(last, day)
	}
	t.machines, t.rounds, t.date = slices.Sorted(maps.Keys(machines)), len(r.results), first
	if last != first {
		t.date = first + " to " + last
	}
	return t
}

func describeMachine(x load.Result) string {
	m := machine(x)
	var parts []string
	for _, p := range []string{
		m.CPU,
		map[bool]string{true: plural(m.Cores, "core")}[m.Cores > 0],
		map[bool]string{true: significant(m.MemoryGB) + " GB of memory"}[m.MemoryGB > 0],
		m.Kernel, m.System,
		map[bool]string{true: "spool on " + m.Disk}[m.Disk != ""],
	} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	if len(parts) == 0 {
		return "a machine that was not noted"
	}
	return strings.Join(parts, "; ")
}

func (r *Report) markdownSetting(b *strings.Builder) {
	t := r.setting()
	for _, m := range t.machines {
		fmt.Fprintf(b, "- Machine: %s\n", plain(m))
	}
	if t.date != "" {
		fmt.Fprintf(b, "- Date: %s; %s in all\n", t.date, plural(t.rounds, "run"))
	}
	b.WriteString("\n| server | version | settings |\n|---|---|---|\n")
	for _, s := range t.servers {
		fmt.Fprintf(b, "| %s | %s | %s |\n", plain(s[0]), plain(s[1]), plain(s[2]))
	}
	b.WriteByte('\n')
}

func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// plain keeps a text from being taken for Markdown or HTML, and on one line.
func plain(s string) string {
	var b strings.Builder
	for _, c := range s {
		switch c {
		case '\n', '\t', '\r':
			b.WriteByte(' ')
		case '\\', '`', '*', '_', '[', ']', '<', '>', '|', '#', '&', '~':
			b.WriteByte('\\')
			b.WriteRune(c)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}
