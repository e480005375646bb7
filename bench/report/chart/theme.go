package chart

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"image/color"
	"io"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// paint is a colour of the charts, for light and for dark pages. In an SVG it
// becomes a variable, so that one drawing serves both.
type paint struct {
	name        string
	light, dark color.NRGBA
}

func rgb(hex uint32) color.NRGBA {
	return color.NRGBA{R: uint8(hex >> 16), G: uint8(hex >> 8), B: uint8(hex), A: 255}
}

func hex(c color.NRGBA) string { return fmt.Sprintf("#%02X%02X%02X", c.R, c.G, c.B) }

// paints is all colours. Those of the servers are of the palette that Masataka
// Okabe and Kei Ito made to be told apart with any colour vision, darkened on
// light pages and lightened on dark ones until each has a contrast of 3 to 1 to
// the page (WCAG 2.2, 1.4.11). Nothing is told by colour alone: each bar and
// each line has its name beside it.
func paints() []paint {
	return []paint{
		{"page", rgb(0xFFFFFE), rgb(0x14171B)},
		{"ink", rgb(0x1B1F24), rgb(0xE7EAEE)},
		{"soft", rgb(0x5A626C), rgb(0xA3ABB5)},
		{"rule", rgb(0xDFE3E8), rgb(0x2D333A)},
		{"bad", rgb(0xB3261E), rgb(0xFF8A80)},
		{"s0", rgb(0x7A828C), rgb(0x8D96A1)},
		{"s1", rgb(0x0072B2), rgb(0x4FA8E0)},
		{"s2", rgb(0xD55E00), rgb(0xF0803C)},
		{"s3", rgb(0x00916A), rgb(0x2DBE93)},
		{"s4", rgb(0xB5608F), rgb(0xD88BB8)},
		{"s5", rgb(0xA87400), rgb(0xE0A93B)},
	}
}

// The places of the colours in paints.
const (
	page = iota
	ink
	soft
	rule
	bad
	series // the first of the servers'
)

// colorOf gives the colour of a server by its number. Those beyond the sixth
// share the last one; their names tell them apart.
func colorOf(server int) int { return series + min(server, 5) }

// A Drawing is a chart before it has a format.
type Drawing struct {
	Name          string // of a file, without its ending
	Title         string // for those who cannot see it
	width, height vg.Length
	draw          func(p *pen)
}

// Style is the CSS that gives the colours of the charts their values, for light
// and dark, and their font. Its variables serve the page around the charts too:
// --page, --ink, --soft (second to the ink), --rule and --bad.
func Style() string {
	var light, dark strings.Builder
	for _, p := range paints() {
		fmt.Fprintf(&light, "--%s:%s;", p.name, hex(p.light))
		fmt.Fprintf(&dark, "--%s:%s;", p.name, hex(p.dark))
	}
	return ":root{color-scheme:light dark;" + light.String() + "}\n@media(prefers-color-scheme:dark){:root{" + dark.String() + "}}\n" + face + "\n"
}

// face is the font of the charts. Arial and Helvetica have the widths of
// Liberation Sans, by which the texts are placed.
const face = `text{font-family:"Liberation Sans",Arial,Helvetica,sans-serif;white-space:pre}`

// SVG gives the element to stand in an HTML page that has Style.
func (d Drawing) SVG() (string, error) { return d.vector("") }

// File gives the SVG to stand by itself, with its own colours for light and dark.
func (d Drawing) File() (string, error) {
	return d.vector("<style>" + Style() + "</style><rect width=\"100%\" height=\"100%\" style=\"fill:var(--page)\"/>\n")
}

func (d Drawing) vector(head string) (string, error) {
	c := vgsvg.New(d.width, d.height)
	d.draw(newPen(draw.NewCanvas(c, d.width, d.height)))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return "", fmt.Errorf("chart %s: %w", d.Name, err)
	}
	_, body, found := strings.Cut(b.String(), "xmlns:xlink=\"http://www.w3.org/1999/xlink\">\n")
	if !found {
		return "", fmt.Errorf("chart %s: no head of an SVG document", d.Name)
	}
	for _, p := range paints() {
		body = strings.ReplaceAll(body, ":"+hex(p.light), ":var(--"+p.name+")")
	}
	// What the style sheet says once for all texts.
	body = strings.NewReplacer("font-family:Liberation Sans;", "", "font-variant:normal;", "", "font-weight:normal;", "", "font-style:normal;", "", "\n\tstyle=", " style=").Replace(body)
	return fmt.Sprintf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" role=\"img\"><title>%s</title>\n%s%s",
		d.width.Points(), d.height.Points(), escape(d.Title), head, body), nil
}

// PNG writes the chart as it is on a light page, at twice its size.
func (d Drawing) PNG(w io.Writer) error {
	c := vgimg.NewWith(vgimg.UseWH(d.width, d.height), vgimg.UseDPI(2*72), vgimg.UseBackgroundColor(paints()[page].light))
	d.draw(newPen(draw.NewCanvas(c, d.width, d.height)))
	_, err := vgimg.PngCanvas{Canvas: c}.WriteTo(w)
	return err
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder does not fail
	return b.String()
}
