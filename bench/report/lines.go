package report

import (
	"fmt"
	"slices"

	"tenma/bench/load"
	"tenma/bench/report/chart"
)

// latency gives the chart of one latency in one scenario: a line per server
// over the quantiles, on a logarithmic axis.
func (s *scenario) latency(key, title string) (chart.Drawing, bool) {
	keys := []string{"p50", "p90", "p99", "p999", "max"}
	var all []chart.Curve
	for i := range s.servers {
		v := &s.servers[i]
		c := chart.Curve{Name: v.mta, Color: v.color}
		for at, q := range keys {
			if f := s.figure(key+"-"+q, v); f.ok {
				c.At = append(c.At, at)
				c.Value = append(c.Value, f.value)
			}
		}
		if len(c.Value) > 0 {
			all = append(all, c)
		}
	}
	if len(all) == 0 {
		return chart.Drawing{}, false
	}
	d := chart.Curves(s.name, title+", less is better; logarithmic", []string{"p50", "p90", "p99", "p99.9", "max"}, all, milliseconds)
	d.Name = fileName(s.name + "-" + key)
	d.Title = fmt.Sprintf("%s, %s: quantiles by server", s.name, title)
	return d, true
}

// figure is a column of a server by its key.
func (s *scenario) figure(key string, v *server) figure {
	i := slices.IndexFunc(s.columns, func(c column) bool { return c.key == key })
	if i < 0 {
		return figure{}
	}
	return s.columns[i].over(v.rounds)
}

// timeline gives the course of a server's typical round, second by second.
func (s *scenario) timeline(v *server) (chart.Drawing, bool) {
	run := v.typical()
	if len(run.Series) < 2 {
		return chart.Drawing{}, false
	}
	seconds, strips := course(run)
	under := fmt.Sprintf("round %d, the nearest to the median of %d; each strip has its own scale", run.Round, len(v.rounds))
	if len(v.rounds) == 1 {
		under = "a single round; each strip has its own scale"
	}
	d := chart.Strips(s.name+", "+v.mta, under, v.color, seconds, clock(seconds[0]), clock(seconds[len(seconds)-1]), strips)
	d.Name = fileName(s.name + "-" + v.mta + "-course")
	d.Title = fmt.Sprintf("%s, %s: the course of round %d by the second", s.name, v.mta, run.Round)
	return d, true
}

func clock(seconds float64) string { return trim0(significant(seconds)) + " s" }

// mostPoints is how many places a line has at most: more cannot be seen.
const mostPoints = 300

// course gives the strips of a run, of what it has. Where there are more points
// than can be seen, each is the mean of several.
func course(run *load.Result) (seconds []float64, strips []chart.Strip) {
	n := len(run.Series)
	each := max(1, n/mostPoints)
	pick := func(get func(p load.Point) float64) []float64 {
		var all []float64
		for some := range slices.Chunk(run.Series, each) {
			var sum float64
			for _, p := range some {
				sum += get(p)
			}
			all = append(all, sum/float64(len(some)))
		}
		return all
	}
	seconds = pick(func(p load.Point) float64 { return p.Second })
	add := func(title string, format func(float64) string, lines ...chart.Line) {
		if slices.ContainsFunc(lines, func(l chart.Line) bool { return slices.Max(l.Value) > 0 }) {
			strips = append(strips, chart.Strip{Title: title, Format: format, Lines: lines})
		}
	}
	one := func(get func(p load.Point) float64) chart.Line { return chart.Line{Value: pick(get)} }
	add("messages/s", significant,
		chart.Line{Name: "accepted", Thin: true, Value: pick(func(p load.Point) float64 { return float64(p.Accepted) })},
		chart.Line{Name: "delivered", Value: pick(func(p load.Point) float64 { return float64(p.Delivered) })})
	add("accepted and not arrived", significant, one(func(p load.Point) float64 { return max(0, float64(p.Backlog)) }))
	add("CPU seconds in each second", significant, one(func(p load.Point) float64 { return p.CPU }))
	add("RSS", octets, one(func(p load.Point) float64 { return float64(p.RSS) }))
	add("written to disk each second", octets, one(func(p load.Point) float64 { return float64(p.Disk) }))
	ack := one(func(p load.Point) float64 { return p.AckP99 })
	ack.Gaps = true // seconds in which nothing was accepted
	add("ack p99", milliseconds, ack)
	return seconds, strips
}
