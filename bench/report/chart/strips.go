package chart

import (
	"slices"

	"gonum.org/v1/plot/vg"
)

// A Strip is one of the small charts that stand on one time axis.
type Strip struct {
	Title  string
	Format func(float64) string // of its highest value
	Lines  []Line
}

// A Line of a strip has a value for each time.
type Line struct {
	Name  string // empty if the strip has only one
	Thin  bool   // in ink, not in the colour of the chart
	Gaps  bool   // zero means that there is none, not zero
	Value []float64
}

// Strips draws strips one below the other, each from zero to its own highest
// value. There are at least two times, ascending; first and last are how they
// are written.
func Strips(title, under string, color int, times []float64, first, last string, all []Strip) Drawing {
	const one = vg.Length(62)
	d := Drawing{width: wide, height: 62 + one*vg.Length(len(all))}
	d.draw = func(p *pen) {
		top := p.heading(title, under, d.height)
		x := scale{min: times[0], max: times[len(times)-1], from: 0, to: wide}
		for i, s := range all {
			p.strip(s, color, times, x, top-one*vg.Length(i), one)
		}
		p.text(x.from, 9, first, smallSize, soft, left)
		p.text(x.to, 9, last, smallSize, soft, right)
	}
	return d
}

// strip draws one strip down from top: its title, the names of its lines and
// its highest value above, the lines below.
func (p *pen) strip(s Strip, color int, times []float64, x scale, top, height vg.Length) {
	var highest float64
	for _, l := range s.Lines {
		highest = max(highest, slices.Max(l.Value))
	}
	y := scale{min: 0, max: highest, from: top - height + 8, to: top - 18}
	at := x.from
	p.text(at, top-8, s.Title, smallSize, ink, left)
	at += p.width(s.Title, smallSize) + 12
	for _, l := range s.Lines {
		if l.Name == "" {
			continue
		}
		p.course(l, color, vg.Point{X: at, Y: top - 8}, vg.Point{X: at + 12, Y: top - 8})
		p.text(at+15, top-8, l.Name, smallSize, soft, left)
		at += 25 + p.width(l.Name, smallSize)
	}
	p.text(x.to, top-8, "up to "+s.Format(highest), smallSize, soft, right)
	p.line(hair, rule, vg.Point{X: x.from, Y: y.to}, vg.Point{X: x.to, Y: y.to})
	p.line(hair, soft, vg.Point{X: x.from, Y: y.from}, vg.Point{X: x.to, Y: y.from})
	for _, l := range s.Lines {
		var points []vg.Point
		for i, v := range l.Value {
			if v == 0 && l.Gaps {
				p.course(l, color, points...)
				points = nil
				continue
			}
			points = append(points, vg.Point{X: x.at(times[i]), Y: y.at(v)})
		}
		p.course(l, color, points...)
	}
}

func (p *pen) course(l Line, color int, points ...vg.Point) {
	switch {
	case len(points) == 1: // between gaps
		p.dot(points[0], 1, colorOf(color))
	case len(points) > 1 && l.Thin:
		p.line(hair, ink, points...)
	case len(points) > 1:
		p.line(1.75, colorOf(color), points...)
	}
}
