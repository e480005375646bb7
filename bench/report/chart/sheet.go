package chart

import (
	"slices"

	"gonum.org/v1/plot/vg"
)

// Sheet puts charts into one drawing, two side by side. There is at least one.
func Sheet(all []Drawing) Drawing {
	const margin, between = vg.Length(16), vg.Length(28)
	across := min(2, len(all))
	d := Drawing{width: 2*margin + vg.Length(across)*wide + vg.Length(across-1)*between, height: margin}
	type place struct{ x, top vg.Length }
	var at []place
	for row := range slices.Chunk(all, across) {
		var tall vg.Length
		for i, c := range row {
			at = append(at, place{margin + vg.Length(i)*(wide+between), d.height})
			tall = max(tall, c.height)
		}
		d.height += tall + between
	}
	d.height += margin - between
	d.draw = func(p *pen) {
		for i, c := range all {
			p.c.Push()
			p.c.Translate(vg.Point{X: at[i].x, Y: d.height - at[i].top - c.height})
			c.draw(p)
			p.c.Pop()
		}
	}
	return d
}
