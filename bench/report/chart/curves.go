package chart

import (
	"cmp"
	"slices"

	"gonum.org/v1/plot/vg"
)

// A Curve is values above 0 at some of the places of the axis.
type Curve struct {
	Name  string
	Color int
	At    []int // which place, ascending
	Value []float64
}

// Curves draws curves over places that are named, on a logarithmic axis whose
// ticks are written by format. Every curve has a value.
func Curves(title, under string, places []string, all []Curve, format func(float64) string) Drawing {
	d := Drawing{width: wide, height: 230}
	d.draw = func(p *pen) { p.curves(places, all, p.heading(title, under, d.height), format) }
	return d
}

func (p *pen) curves(places []string, all []Curve, top vg.Length, format func(float64) string) {
	const bottom = vg.Length(22)
	low, high := all[0].Value[0], all[0].Value[0]
	var names, ticks vg.Length
	for _, c := range all {
		low, high = min(low, slices.Min(c.Value)), max(high, slices.Max(c.Value))
		names = max(names, min(mostName, p.width(c.Name, textSize)))
	}
	y := logScale(low, high, bottom, top-6)
	for _, v := range y.powers() {
		ticks = max(ticks, p.width(format(v), smallSize))
	}
	x := scale{min: 0, max: float64(len(places) - 1), from: ticks + 18, to: wide - names - 14}
	for _, v := range y.powers() {
		p.line(hair, rule, vg.Point{X: ticks + 6, Y: y.at(v)}, vg.Point{X: x.to + 6, Y: y.at(v)})
		p.text(ticks, y.at(v), format(v), smallSize, soft, right)
	}
	for i, t := range places {
		p.text(x.at(float64(i)), bottom-12, t, smallSize, soft, middle)
	}
	var ends []end
	for _, c := range all {
		var points []vg.Point
		for i, v := range c.Value {
			points = append(points, vg.Point{X: x.at(float64(c.At[i])), Y: y.at(v)})
		}
		p.line(1.75, colorOf(c.Color), points...)
		for _, pt := range points {
			p.dot(pt, 2.75, colorOf(c.Color))
		}
		ends = append(ends, end{c.Name, points[len(points)-1].Y})
	}
	p.names(ends, x.to+10, bottom, top)
}

// end is where a curve ends.
type end struct {
	name string
	at   vg.Length
}

// names writes the names of curves where they end, apart from each other.
func (p *pen) names(ends []end, x, low, high vg.Length) {
	slices.SortStableFunc(ends, func(a, b end) int { return cmp.Compare(a.at, b.at) })
	at := make([]vg.Length, len(ends))
	for i := range ends {
		at[i] = ends[i].at
	}
	spread(at, textSize+2, low, high)
	for i, e := range ends {
		p.text(x, at[i], p.fit(e.name, textSize, mostName), textSize, ink, left)
	}
}
