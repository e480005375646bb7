package report

import (
	"cmp"
	"fmt"
	"slices"

	"gonum.org/v1/plot/vg"

	"tenma/bench/load"
)

// latency gives the chart of one latency in one scenario: a line per server
// over the quantiles, on a logarithmic axis.
func (s *scenario) latency(key, title string) (drawing, bool) {
	var all []curve
	for i := range s.servers {
		v := &s.servers[i]
		c := curve{name: v.mta, slot: v.slot}
		for _, col := range columns() {
			for at, q := range quantileKeys() {
				if f := col.over(v.rounds); col.key == key+"-"+q && f.ok {
					c.at = append(c.at, at)
					c.value = append(c.value, f.value)
				}
			}
		}
		if len(c.value) > 0 {
			all = append(all, c)
		}
	}
	if len(all) == 0 {
		return drawing{}, false
	}
	d := drawing{
		name: fileName(s.name + "-" + key), title: fmt.Sprintf("%s, %s: quantiles by server", s.name, title),
		width: chartWidth, height: 230,
	}
	d.draw = func(p *pen) {
		top := p.heading(s.name, title+", less is better; logarithmic", d.height)
		drawCurves(p, all, top)
	}
	return d, true
}

func quantileKeys() []string   { return []string{"p50", "p90", "p99", "p999", "max"} }
func quantileTitles() []string { return []string{"p50", "p90", "p99", "p99.9", "max"} }

// curve is one server's quantiles.
type curve struct {
	name  string
	slot  int
	at    []int // which quantile
	value []float64
}

func drawCurves(p *pen, all []curve, top vg.Length) {
	const bottom = vg.Length(22)
	low, high := all[0].value[0], all[0].value[0]
	var names vg.Length
	for _, c := range all {
		low, high = min(low, slices.Min(c.value)), max(high, slices.Max(c.value))
		names = max(names, min(110, p.width(c.name, textSize)))
	}
	y := logScale(low, high, bottom, top-6)
	var ticks vg.Length
	for _, v := range y.powers() {
		ticks = max(ticks, p.width(milliseconds(v), smallSize))
	}
	x := scale{min: 0, max: 4, from: ticks + 18, to: chartWidth - names - 14}
	for _, v := range y.powers() {
		p.line(hair, rule, nil, vg.Point{X: ticks + 6, Y: y.at(v)}, vg.Point{X: x.to + 6, Y: y.at(v)})
		p.text(ticks, y.at(v), milliseconds(v), smallSize, soft, right)
	}
	for i, t := range quantileTitles() {
		p.text(x.at(float64(i)), bottom-12, t, smallSize, soft, middle)
	}
	type end struct {
		c  curve
		at vg.Length
	}
	var ends []end
	for _, c := range all {
		var points []vg.Point
		for i, v := range c.value {
			points = append(points, vg.Point{X: x.at(float64(c.at[i])), Y: y.at(v)})
		}
		p.line(1.75, slotPaint(c.slot), nil, points...)
		for _, pt := range points {
			p.dot(pt, 2.75, slotPaint(c.slot))
		}
		ends = append(ends, end{c, points[len(points)-1].Y})
	}
	slices.SortStableFunc(ends, func(a, b end) int { return cmp.Compare(a.at, b.at) })
	at := make([]vg.Length, len(ends))
	for i := range ends {
		at[i] = ends[i].at
	}
	spread(at, textSize+2, bottom, top)
	for i, e := range ends {
		p.text(x.to+10, at[i], p.fit(e.c.name, textSize, 110), textSize, ink, left)
	}
}

// strip is one of the small charts that stand on one time axis.
type strip struct {
	title  string
	format func(float64) string
	lines  []stripLine
}

type stripLine struct {
	name  string // empty if the strip has only one
	paint int
	value []float64
}

// timeline gives the course of a server's typical round, second by second.
func (s *scenario) timeline(v *server) (drawing, bool) {
	run := v.typical()
	if len(run.Series) < 2 {
		return drawing{}, false
	}
	seconds, strips := course(run, slotPaint(v.slot))
	const one = vg.Length(62)
	d := drawing{
		name: fileName(s.name + "-" + v.mta + "-course"), title: fmt.Sprintf("%s, %s: the course of round %d by the second", s.name, v.mta, run.Round),
		width: chartWidth, height: 62 + one*vg.Length(len(strips)),
	}
	d.draw = func(p *pen) {
		top := p.heading(s.name+", "+v.mta, fmt.Sprintf("round %d of %d, the one nearest to the median; each strip has its own scale", run.Round, len(v.rounds)), d.height)
		x := scale{min: seconds[0], max: seconds[len(seconds)-1], from: 0, to: chartWidth}
		for i, st := range strips {
			drawStrip(p, st, seconds, x, top-one*vg.Length(i), one)
		}
		p.text(x.from, 9, "0 s", smallSize, soft, left)
		p.text(x.to, 9, trim0(significant(x.max))+" s", smallSize, soft, right)
	}
	return d, true
}

// mostPoints is how many places a line has at most: more cannot be seen.
const mostPoints = 300

// course gives the strips of a run. Where there are more points than can be
// seen, each is the mean of several.
func course(run *load.Result, paint int) (seconds []float64, strips []strip) {
	n := len(run.Series)
	each := (n + mostPoints - 1) / mostPoints
	pick := func(get func(p load.Point) float64) []float64 {
		var all []float64
		for i := 0; i < n; i += each {
			var sum float64
			some := run.Series[i:min(i+each, n)]
			for _, p := range some {
				sum += get(p)
			}
			all = append(all, sum/float64(len(some)))
		}
		return all
	}
	seconds = pick(func(p load.Point) float64 { return p.Second })
	add := func(title string, format func(float64) string, lines ...stripLine) {
		for _, l := range lines {
			if slices.Max(l.value) > 0 {
				strips = append(strips, strip{title, format, lines})
				return
			}
		}
	}
	add("messages/s", significant,
		stripLine{"accepted", soft, pick(func(p load.Point) float64 { return float64(p.Accepted) })},
		stripLine{"delivered", paint, pick(func(p load.Point) float64 { return float64(p.Delivered) })})
	add("accepted and not arrived", significant, stripLine{"", paint, pick(func(p load.Point) float64 { return max(0, float64(p.Backlog)) })})
	add("CPU seconds in each second", significant, stripLine{"", paint, pick(func(p load.Point) float64 { return p.CPU })})
	add("RSS", octets, stripLine{"", paint, pick(func(p load.Point) float64 { return float64(p.RSS) })})
	add("written to disk each second", octets, stripLine{"", paint, pick(func(p load.Point) float64 { return float64(p.Disk) })})
	add("ack p99", milliseconds, stripLine{"", paint, pick(func(p load.Point) float64 { return p.AckP99 })})
	return seconds, strips
}

// drawStrip draws one strip down from y: its title and its highest value above,
// its lines below.
func drawStrip(p *pen, st strip, seconds []float64, x scale, top, height vg.Length) {
	var highest float64
	for _, l := range st.lines {
		highest = max(highest, slices.Max(l.value))
	}
	y := scale{min: 0, max: highest, from: top - height + 8, to: top - 18}
	at := x.from
	p.text(at, top-8, st.title, smallSize, ink, left)
	at += p.width(st.title, smallSize) + 12
	for _, l := range st.lines {
		if l.name == "" {
			continue
		}
		p.line(1.75, l.paint, nil, vg.Point{X: at, Y: top - 8}, vg.Point{X: at + 12, Y: top - 8})
		p.text(at+15, top-8, l.name, smallSize, soft, left)
		at += 15 + p.width(l.name, smallSize) + 10
	}
	p.text(x.to, top-8, "up to "+st.format(highest), smallSize, soft, right)
	p.line(hair, rule, nil, vg.Point{X: x.from, Y: y.to}, vg.Point{X: x.to, Y: y.to})
	p.line(hair, soft, nil, vg.Point{X: x.from, Y: y.from}, vg.Point{X: x.to, Y: y.from})
	for _, l := range st.lines {
		points := make([]vg.Point, len(l.value))
		for i, v := range l.value {
			points[i] = vg.Point{X: x.at(seconds[i]), Y: y.at(v)}
		}
		p.line(1.5, l.paint, nil, points...)
	}
}
