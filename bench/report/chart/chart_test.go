package chart

import (
	"math"
	"strings"
	"testing"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

func TestSpread(t *testing.T) {
	for _, at := range [][]vg.Length{nil, {5}, {10, 10, 10, 10}, {0, 1, 50, 99, 100}, {95, 96, 97, 98}} {
		before := len(at)
		spread(at, 10, 0, 100)
		for i := range at {
			if i > 0 && at[i]-at[i-1] < 9.5 || at[i] < -0.5 || at[i] > 100.5 {
				t.Errorf("%d names stand at %v", before, at)
				break
			}
		}
	}
}

func TestLogScale(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		first     float64
		ticks     int
	}{{2, 800, 1, 4}, {5, 5, 1, 2}, {10, 10, 10, 2}, {0.03, 9, 0.01, 4}, {1e-9, 1e9, 1e-9, 7}} {
		s := logScale(c.low, c.high, 0, 100)
		p := s.powers()
		if math.Abs(p[0]/c.first-1) > 1e-9 || len(p) != c.ticks || s.at(c.low) < 0 || s.at(c.high) > 100.001 {
			t.Errorf("%v to %v: ticks %v, at %v and %v", c.low, c.high, p, s.at(c.low), s.at(c.high))
		}
	}
}

func TestFit(t *testing.T) {
	p := newPen(draw.NewCanvas(vgsvg.New(10, 10), 10, 10))
	long := strings.Repeat("tenma-", 40)
	got := p.fit(long, textSize, mostName)
	if !strings.HasSuffix(got, "…") || p.width(got, textSize) > mostName {
		t.Errorf("%q is %v wide", got, p.width(got, textSize))
	}
	if got := p.fit("tenma", textSize, mostName); got != "tenma" {
		t.Errorf("tenma became %q", got)
	}
}

// TestColours: each is told from the page that it stands on, as WCAG 2.2,
// 1.4.11 wants of graphics and 1.4.3 of texts.
func TestColours(t *testing.T) {
	all := paints()
	for i, p := range all {
		least := 3.0
		switch i {
		case page, rule:
			continue
		case ink, soft, bad:
			least = 4.5
		}
		if c := contrast(luminance(p.light.R, p.light.G, p.light.B), luminance(all[page].light.R, all[page].light.G, all[page].light.B)); c < least {
			t.Errorf("%s on light: contrast %.2f", p.name, c)
		}
		if c := contrast(luminance(p.dark.R, p.dark.G, p.dark.B), luminance(all[page].dark.R, all[page].dark.G, all[page].dark.B)); c < least {
			t.Errorf("%s on dark: contrast %.2f", p.name, c)
		}
	}
}

func contrast(a, b float64) float64 { return (max(a, b) + 0.05) / (min(a, b) + 0.05) }

func luminance(r, g, b uint8) float64 {
	linear := func(v uint8) float64 {
		x := float64(v) / 255
		if x <= 0.04045 {
			return x / 12.92
		}
		return math.Pow((x+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(r) + 0.7152*linear(g) + 0.0722*linear(b)
}

// TestStrange: names of strangers and values at the edges give documents that
// can be read.
func TestStrange(t *testing.T) {
	same := func(float64) string { return `<&">` }
	for name, d := range map[string]Drawing{
		"bars":   Bars(`<a> & "b"`, "", []Bar{{Name: "</svg>", Label: "0"}, {Name: "", Color: 99, Value: 1e18, Max: 1e18}}, 1, "<mark>"),
		"curves": Curves("x", "", []string{"a"}, []Curve{{Name: "<", At: []int{0}, Value: []float64{1e-300}}}, same),
		"strips": Strips("x", "", 0, []float64{0, 1}, "<", ">", []Strip{{Title: "&", Format: same, Lines: []Line{{Value: []float64{0, 0}}, {Gaps: true, Value: []float64{0, 1}}}}}),
	} {
		sheet := Sheet([]Drawing{d, d, d})
		sheet.Title = "<title>"
		text, err := sheet.File()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(text, "&lt;title&gt;</title>") || !strings.Contains(text, ":var(--ink)") || strings.Contains(text, "fill:#1B1F24\"") {
			t.Errorf("%s: title or colours are not as they should be", name)
		}
		for _, banned := range []string{"NaN", "Inf", "</svg></text>", "<a>", "<mark>"} {
			if strings.Contains(text, banned) {
				t.Errorf("%s: %q in the document", name, banned)
			}
		}
	}
}

// TestGaps: a line is interrupted where there is nothing, and a second between
// two gaps is a dot.
func TestGaps(t *testing.T) {
	number := func(float64) string { return "" }
	times := []float64{0, 1, 2, 3, 4, 5, 6}
	values := []float64{5, 6, 0, 7, 0, 8, 9}
	paths := func(gaps bool) int {
		text, err := Strips("", "", 1, times, "", "", []Strip{{Format: number, Lines: []Line{{Gaps: gaps, Value: values}}}}).SVG()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(text, "var(--s1)")
	}
	if with, without := paths(true), paths(false); with != 3 || without != 1 {
		t.Errorf("%d pieces with gaps, %d without", with, without)
	}
}
