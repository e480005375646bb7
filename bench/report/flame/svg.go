package flame

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Measures of the drawing, in pixels. A letter of the font is advance wide, as
// all of its letters are, so that a text can be cut to its box without asking
// whoever shows it.
const (
	width   = 1200.0
	margin  = 16.0
	row     = 17.0
	advance = 6.05 // of 10 px monospace: Liberation Mono and DejaVu Sans Mono have 0.600 and 0.602 em
	inset   = 3.0
	least   = 0.8 // width of the narrowest box
)

// swatch gives the colour of a kind's boxes: tints of the palette that Masataka
// Okabe and Kei Ito made to be told apart with any colour vision. The letters
// on them have a contrast of 7 to 1 at least (WCAG 2.2, 1.4.6).
func (k Kind) swatch() string {
	return [...]string{"#E9EBEE", "#F0A878", "#EFE58C", "#C9CED5", "#9CCBEA", "#8FD0B8", "#E2B6D0", "#F3CB70"}[k]
}

// style serves light pages and dark ones: boxes keep their colours and their
// dark letters, what stands beside them follows the page.
const style = `:root{color-scheme:light dark;--page:#FFFFFE;--ink:#1B1F24;--soft:#5A626C}
@media(prefers-color-scheme:dark){:root{--page:#14171B;--ink:#E7EAEE;--soft:#A3ABB5}}
text{font:10px "Liberation Mono","DejaVu Sans Mono",Menlo,Consolas,monospace;white-space:pre;fill:var(--ink)}
.h{font:bold 15px "Liberation Sans",Arial,Helvetica,sans-serif}.s{fill:var(--soft)}.t{font-size:11px}
.b text{fill:#14171B}.b rect{stroke:var(--page);stroke-width:.6}`

// A drawing is an SVG that grows.
type drawing struct {
	strings.Builder
	p *Profile
}

// SVG draws the profile with a legend and its costs, 1,200 pixels wide and
// readable without script. Functions narrower than a pixel are left out, and each
// box tells name, samples and share when pointed at. The same profile gives the
// same octets.
func (p *Profile) SVG(title string, costs []Cost) string {
	root := p.merge(time.Duration(float64(p.CPU) * least / (width - 2*margin)))
	top := margin + 62
	flames := float64(root.depth()) * row
	table := top + flames + 34
	height := table + float64(len(costs))*row + margin
	d := &drawing{p: p}
	fmt.Fprintf(d, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" role=\"img\">\n<title>%s</title>\n<style>%s</style>\n", width, height, escape(title), style)
	d.WriteString("<rect width=\"100%\" height=\"100%\" style=\"fill:var(--page)\"/>\n")
	d.text(margin, margin+12, "h", title)
	d.text(margin, margin+30, "s t", p.caption())
	d.legend(margin + 40)
	d.WriteString("<g class=\"b\">\n")
	d.box(root, margin, top, width-2*margin)
	d.WriteString("</g>\n")
	d.costs(costs, table)
	d.WriteString("</svg>\n")
	return d.String()
}

// caption tells what was measured.
func (p *Profile) caption() string {
	text := fmt.Sprintf("%d samples, %.2f s of processor time", p.Samples, p.CPU.Seconds())
	if p.Lasted > 0 {
		text += fmt.Sprintf(" in %.1f s", p.Lasted.Seconds())
	}
	return text + ". Callers above, what they called below; as wide as its share; left and right mean nothing."
}

func (d *drawing) text(x, y float64, class, text string) {
	fmt.Fprintf(d, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">%s</text>\n", x, y, class, escape(text))
}

func (d *drawing) legend(y float64) {
	x := margin
	for k := Kind(0); k < kinds; k++ {
		fmt.Fprintf(d, "<rect x=\"%.1f\" y=\"%.1f\" width=\"11\" height=\"11\" fill=\"%s\"/>\n", x, y, k.swatch())
		d.text(x+16, y+9, "s", k.String())
		x += 16 + advance*float64(len(k.String())) + 18
	}
}

// box draws a function and, below it, what it called.
func (d *drawing) box(n *node, x, y, wide float64) {
	tip := fmt.Sprintf("%s: %d samples, %.2f s, %.1f %%", n.function, n.samples, n.cpu.Seconds(), 100*share(n.cpu, d.p.CPU))
	fmt.Fprintf(d, "<g><title>%s</title><rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>", escape(tip), x, y, wide, row, n.kind.swatch())
	if text := label(n.function, wide-2*inset); text != "" {
		fmt.Fprintf(d, "<text x=\"%.1f\" y=\"%.1f\">%s</text>", x+inset, y+row-5, escape(text))
	}
	d.WriteString("</g>\n")
	for _, c := range n.callees {
		w := wide * share(c.cpu, n.cpu)
		d.box(c, x, y+row, w)
		x += w
	}
}

func share(part, whole time.Duration) float64 { return float64(part) / float64(whole) }

// costs draws the table: a bar, the share, the name, and where it comes from.
func (d *drawing) costs(all []Cost, y float64) {
	const bar = 200.0
	d.text(margin, y-8, "s t", "costs, each sample counted once")
	longest := 0
	for _, c := range all {
		longest = max(longest, utf8.RuneCountInString(c.Name))
	}
	longest = min(longest, 60)
	for _, c := range all {
		fmt.Fprintf(d, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", margin, y+2, max(1, bar*c.Share/all[largest(all)].Share), row-4, c.Kind.swatch())
		x := margin + bar + 10
		d.text(x, y+12, "t", fmt.Sprintf("%5.1f %%", 100*c.Share))
		x += 8 * advance * 1.1
		d.text(x, y+12, "t", cut(c.Name, 60*advance))
		x += (float64(longest) + 2) * advance * 1.1
		d.text(x, y+12, "s t", cut(from(c.From), (width-margin-x)/1.1))
		y += row
	}
}

func largest(all []Cost) int {
	at := 0
	for i, c := range all {
		if c.Share > all[at].Share {
			at = i
		}
	}
	return at
}

// from tells origins in words.
func from(all []Origin) string {
	parts := make([]string, len(all))
	for i, o := range all {
		parts[i] = fmt.Sprintf("%s %.0f %%", strings.TrimPrefix(o.Package, "tenma/"), 100*o.Share)
	}
	return strings.Join(parts, ", ")
}

// label names a function in its room: without the path of its package,
// "front.(*Conn).flush" of "tenma/relay/ingress/front.(*Conn).flush"; if that is
// too long, what tells most: "flush".
func label(function string, room float64) string {
	end := len(function)
	if i := strings.IndexAny(function, "[("); i >= 0 {
		end = i // slashes behind it are of types
	}
	short := function[strings.LastIndexByte(function[:end], '/')+1:]
	if fits(short, room) {
		return short
	}
	plain, _, _ := strings.Cut(short, "[")
	plain, _, _ = strings.Cut(plain, ".func") // a function within it is told by its name
	return cut(plain[strings.LastIndexByte(strings.TrimRight(plain, "."), '.')+1:], room)
}

func fits(s string, room float64) bool { return float64(utf8.RuneCountInString(s))*advance <= room }

// cut shortens a label to its room; of less than three letters nothing is left.
func cut(s string, room float64) string {
	if fits(s, room) {
		return s
	}
	letters := int(room / advance)
	if letters < 3 {
		return ""
	}
	return string([]rune(s)[:letters-1]) + "…"
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder does not fail
	return b.String()
}
