package chart

import (
	"math"
	"unicode/utf8"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Sizes of the charts, in points. A chart is as wide as a phone, so that its
// texts can be read there; wider pages put several side by side.
const (
	wide      = vg.Length(360)
	textSize  = vg.Length(11)
	titleSize = vg.Length(13)
	smallSize = vg.Length(10)
	hair      = vg.Length(0.75)
	mostName  = vg.Length(110) // of the name of a server
)

// pen draws on a canvas whose origin is the lower left corner.
type pen struct {
	c      draw.Canvas
	colors []paint
	fonts  text.Handler
}

func newPen(c draw.Canvas) *pen {
	return &pen{c: c, colors: paints(), fonts: text.Plain{Fonts: font.NewCache(liberation.Collection())}}
}

// Where a text stands to its point.
const (
	left   = draw.XLeft
	middle = draw.XCenter
	right  = draw.XRight
)

const bold = 3 // as golang.org/x/image/font has it

func (p *pen) style(size vg.Length, paint int, at text.XAlignment) text.Style {
	return text.Style{
		Color: p.colors[paint].light, Font: font.Font{Typeface: "Liberation", Variant: "Sans", Size: size},
		XAlign: at, YAlign: draw.YCenter, Handler: p.fonts,
	}
}

// text writes at a point, centred on it vertically.
func (p *pen) text(x, y vg.Length, s string, size vg.Length, paint int, at text.XAlignment) {
	// The middle of a line with its descenders is lower than that of its letters.
	p.c.FillText(p.style(size, paint, at), vg.Point{X: x, Y: y + size/10}, s)
}

// heading writes the title of a chart and the line under it at the top, and
// gives the height that is left below them.
func (p *pen) heading(title, under string, height vg.Length) vg.Length {
	sty := p.style(titleSize, ink, left)
	sty.Font.Weight = bold
	p.c.FillText(sty, vg.Point{X: 0, Y: height - 11}, p.fit(title, titleSize, wide))
	p.text(0, height-27, p.fit(under, smallSize, wide), smallSize, soft, left)
	return height - 40
}

func (p *pen) width(s string, size vg.Length) vg.Length { return p.style(size, ink, left).Width(s) }

// fit cuts a text to a width.
func (p *pen) fit(s string, size, most vg.Length) string {
	if p.width(s, size) <= most {
		return s
	}
	for s != "" && p.width(s+"…", size) > most {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s + "…"
}

func (p *pen) box(x0, y0, x1, y1 vg.Length, paint int) {
	p.c.FillPolygon(p.colors[paint].light, []vg.Point{{X: x0, Y: y0}, {X: x1, Y: y0}, {X: x1, Y: y1}, {X: x0, Y: y1}})
}

func (p *pen) line(width vg.Length, paint int, points ...vg.Point) {
	p.c.StrokeLines(draw.LineStyle{Color: p.colors[paint].light, Width: width}, points)
}

func (p *pen) dashed(width vg.Length, paint int, points ...vg.Point) {
	p.c.StrokeLines(draw.LineStyle{Color: p.colors[paint].light, Width: width, Dashes: []vg.Length{2, 2}}, points)
}

func (p *pen) dot(at vg.Point, radius vg.Length, paint int) {
	p.c.DrawGlyphNoClip(draw.GlyphStyle{Color: p.colors[paint].light, Radius: radius, Shape: draw.CircleGlyph{}}, at)
}

// scale maps values to places.
type scale struct {
	min, max float64
	from, to vg.Length
	log      bool
}

func (s scale) at(v float64) vg.Length {
	a, b := s.min, s.max
	if s.log {
		v, a, b = math.Log10(max(v, s.min)), math.Log10(a), math.Log10(b)
	}
	if b <= a {
		return s.from
	}
	return s.from + (s.to-s.from)*vg.Length((v-a)/(b-a))
}

// logScale covers values by whole powers of ten.
func logScale(low, high float64, from, to vg.Length) scale {
	a := math.Pow(10, math.Floor(math.Log10(low)))
	b := math.Pow(10, math.Ceil(math.Log10(high)))
	if b <= a {
		b = a * 10
	}
	return scale{min: a, max: b, from: from, to: to, log: true}
}

// ticks of a logarithmic scale: its powers of ten, at most seven.
func (s scale) powers() []float64 {
	first, last := int(math.Round(math.Log10(s.min))), int(math.Round(math.Log10(s.max)))
	step := (last-first)/7 + 1
	var all []float64
	for e := first; e <= last; e += step {
		all = append(all, math.Pow(10, float64(e)))
	}
	return all
}

// spread moves places that are less than a distance apart, keeping their order,
// so that the texts at them do not cover each other, within low and high as far
// as there is room. The places must be sorted.
func spread(at []vg.Length, apart, low, high vg.Length) {
	for range 50 {
		moved := false
		for i := 1; i < len(at); i++ {
			if d := apart - (at[i] - at[i-1]); d > 0.01 {
				at[i-1] -= d / 2
				at[i] += d / 2
				moved = true
			}
		}
		if len(at) > 0 && at[0] < low {
			at[0], moved = low, true
		}
		if n := len(at) - 1; n >= 0 && at[n] > high {
			at[n], moved = high, true
		}
		if !moved {
			return
		}
	}
}
