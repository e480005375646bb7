package report

import (
	"fmt"

	"gonum.org/v1/plot/vg"
)

// bar is one server in a chart of bars.
type bar struct {
	name  string
	slot  int
	f     figure
	label string // behind the bar
	bad   string // behind the label
}

// bars gives the chart of one column in one scenario: a bar per server, with
// its name before it and its median and ratio behind, and a whisker from the
// lowest to the highest round.
func (s *scenario) bars(c column) (drawing, bool) {
	var all []bar
	for i := range s.servers {
		v := &s.servers[i]
		b := bar{name: v.mta, slot: v.slot, f: c.over(v.rounds)}
		if !b.f.ok {
			continue
		}
		b.label = c.format(b.f.value)
		if x, ok := s.ratio(c, v); ok {
			b.label += "   " + ratio(x)
		}
		if n := v.lost(); n > 0 && c.better == higher {
			b.bad = "lost " + whole(float64(n))
		}
		all = append(all, b)
	}
	if len(all) == 0 {
		return drawing{}, false
	}
	mark, caption := s.reference(c)
	d := drawing{
		name: fileName(s.name + "-" + c.key), title: fmt.Sprintf("%s, %s, by server", s.name, c.name()),
		width: chartWidth, height: vg.Length(46 + 24*len(all)),
	}
	if mark > 0 {
		d.height += 14
	}
	d.draw = func(p *pen) {
		top := p.heading(s.name, c.name()+c.better.says()+"; "+s.spreadNote(), d.height)
		drawBars(p, all, top, mark, caption)
	}
	return d, true
}

// says is the direction in words.
func (b better) says() string {
	return [...]string{"", ", more is better", ", less is better"}[b]
}

func (s *scenario) spreadNote() string {
	for _, v := range s.servers {
		if len(v.rounds) > 1 {
			return "whisker: lowest to highest round"
		}
	}
	return "a single round"
}

// reference is a value to compare the bars by: a message's own size among the
// octets written for it. 0: none.
func (s *scenario) reference(c column) (v float64, caption string) {
	if size, ok := parseSize(s.servers[0].rounds[0].Size); ok && (c.key == "disk" || c.key == "spool") {
		return size / 1024, "the message itself"
	}
	return 0, ""
}

func drawBars(p *pen, all []bar, top vg.Length, mark float64, caption string) {
	const (
		row   = vg.Length(24)
		thick = vg.Length(13)
		gap   = vg.Length(6)
		most  = vg.Length(110) // of a name
	)
	var names, labels vg.Length
	highest := mark
	for _, b := range all {
		names = max(names, min(most, p.width(b.name, textSize)))
		labels = max(labels, p.width(b.label+"  "+b.bad, textSize))
		highest = max(highest, b.f.max)
	}
	x := scale{min: 0, max: highest, from: names + gap, to: chartWidth - labels - 2*gap}
	for i, b := range all {
		y := top - row*vg.Length(i) - row/2
		p.text(names, y, p.fit(b.name, textSize, most), textSize, ink, right)
		p.box(x.from, y-thick/2, max(x.at(b.f.value), x.from+0.5), y+thick/2, slotPaint(b.slot))
		end := x.at(b.f.max)
		if b.f.max > b.f.min {
			p.whisker(x.at(b.f.min), end, y)
		}
		p.text(end+gap, y, b.label, textSize, ink, left)
		if b.bad != "" {
			p.text(end+gap+p.width(b.label+"  ", textSize), y, b.bad, textSize, bad, left)
		}
	}
	bottom := top - row*vg.Length(len(all))
	p.line(hair, soft, nil, vg.Point{X: x.from, Y: bottom}, vg.Point{X: x.from, Y: top})
	if mark > 0 {
		at := x.at(mark)
		p.line(hair, ink, []vg.Length{2, 2}, vg.Point{X: at, Y: bottom - 2}, vg.Point{X: at, Y: top})
		if at+3+p.width(caption, smallSize) > chartWidth {
			p.text(at-3, bottom-7, caption, smallSize, soft, right)
		} else {
			p.text(at+3, bottom-7, caption, smallSize, soft, left)
		}
	}
}

func (p *pen) whisker(from, to, y vg.Length) {
	const cap = vg.Length(3)
	p.line(3, page, nil, vg.Point{X: from, Y: y}, vg.Point{X: to, Y: y})
	p.line(1, ink, nil, vg.Point{X: from, Y: y}, vg.Point{X: to, Y: y})
	p.line(1, ink, nil, vg.Point{X: from, Y: y - cap}, vg.Point{X: from, Y: y + cap})
	p.line(1, ink, nil, vg.Point{X: to, Y: y - cap}, vg.Point{X: to, Y: y + cap})
}

// fileName keeps letters, digits, hyphens and points of a name.
func fileName(s string) string {
	out := []byte(s)
	for i, c := range out {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.' && i > 0:
		default:
			out[i] = '_'
		}
	}
	return string(out)
}
