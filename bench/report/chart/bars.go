package chart

import "gonum.org/v1/plot/vg"

// A Bar is one value with a name.
type Bar struct {
	Name            string
	Color           int // the same for the same name in all charts
	Value, Min, Max float64
	Label           string // behind the bar: the value, as text
	Bad             string // behind the label: what is wrong with it
}

// Bars draws values that start at zero, a whisker from the lowest to the
// highest. A mark above 0 is a value to compare them by, with its caption.
func Bars(title, under string, all []Bar, mark float64, caption string) Drawing {
	d := Drawing{width: wide, height: vg.Length(46 + 24*len(all))}
	if mark > 0 {
		d.height += 14
	}
	d.draw = func(p *pen) { p.bars(all, p.heading(title, under, d.height), mark, caption) }
	return d
}

func (p *pen) bars(all []Bar, top vg.Length, mark float64, caption string) {
	const (
		row   = vg.Length(24)
		thick = vg.Length(13)
		gap   = vg.Length(6)
	)
	var names, labels vg.Length
	highest := mark
	for _, b := range all {
		names = max(names, min(mostName, p.width(b.Name, textSize)))
		labels = max(labels, p.width(b.Label+"  "+b.Bad, textSize))
		highest = max(highest, b.Max)
	}
	x := scale{min: 0, max: highest, from: names + gap, to: wide - labels - 2*gap}
	for i, b := range all {
		y := top - row*vg.Length(i) - row/2
		p.text(names, y, p.fit(b.Name, textSize, mostName), textSize, ink, right)
		p.box(x.from, y-thick/2, max(x.at(b.Value), x.from+0.5), y+thick/2, colorOf(b.Color))
		end := x.at(b.Max)
		if b.Max > b.Min {
			p.whisker(x.at(b.Min), end, y)
		}
		p.text(end+gap, y, b.Label, textSize, ink, left)
		if b.Bad != "" {
			p.text(end+gap+p.width(b.Label+"  ", textSize), y, b.Bad, textSize, bad, left)
		}
	}
	bottom := top - row*vg.Length(len(all))
	p.line(hair, soft, vg.Point{X: x.from, Y: bottom}, vg.Point{X: x.from, Y: top})
	if mark > 0 {
		p.mark(x.at(mark), bottom, top, caption)
	}
}

// mark is a dashed line down through the bars with its caption below them, on
// the side where there is room.
func (p *pen) mark(at, bottom, top vg.Length, caption string) {
	p.dashed(hair, ink, vg.Point{X: at, Y: bottom - 2}, vg.Point{X: at, Y: top})
	if at+3+p.width(caption, smallSize) > wide {
		p.text(at-3, bottom-7, caption, smallSize, soft, right)
	} else {
		p.text(at+3, bottom-7, caption, smallSize, soft, left)
	}
}

func (p *pen) whisker(from, to, y vg.Length) {
	const tip = vg.Length(3)
	p.line(2.2, page, vg.Point{X: from, Y: y}, vg.Point{X: to, Y: y})
	p.line(1, ink, vg.Point{X: from, Y: y}, vg.Point{X: to, Y: y})
	p.line(1, ink, vg.Point{X: from, Y: y - tip}, vg.Point{X: from, Y: y + tip})
	p.line(1, ink, vg.Point{X: to, Y: y - tip}, vg.Point{X: to, Y: y + tip})
}
