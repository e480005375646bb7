package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"strings"

	"tenma/bench/report/chart"
)

//go:embed page.html
var pageText string

// Parts of the HTML page, as its template takes them.
type (
	htmlPage struct {
		Title, Against, HowToRead string
		Style                     template.CSS
		Warnings                  []htmlWarning
		Servers                   []string
		Glance                    []htmlRow
		Groups                    []htmlGroup
		Scenarios                 []htmlScenario
		Machines                  []string
		Date                      string
		Runs                      string
		Settings                  [][]string
	}
	htmlWarning struct {
		Grave bool
		Text  string
	}
	htmlGroup struct {
		Title, Note string
		Closed      bool
		Charts      []template.HTML
	}
	htmlScenario struct {
		Name, Load string
		Servers    []string
		Rows       []htmlRow
	}
	htmlRow struct {
		Name, Arrow string
		Cells       []htmlCell
	}
	htmlCell struct {
		Value, Ratio, Spread, Bad string
	}
)

// HTML is the report as one page that needs nothing else: no script, no file,
// no network. It is light or dark as the reader's screen is.
func (r *Report) HTML() (string, error) {
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return "", err
	}
	p, err := r.page()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, p)
	return b.String(), err
}

func (r *Report) page() (*htmlPage, error) {
	set := r.setting()
	p := &htmlPage{
		Title: r.options.Title, Against: orNone(r.options.Against), Style: template.CSS(chart.Style()),
		HowToRead: strings.NewReplacer("*", "", `\`, "").Replace(r.howToRead()),
		Servers:   r.mtas(), Machines: set.machines, Date: set.date, Runs: plural(set.rounds, "run"), Settings: set.servers,
	}
	for _, w := range r.warnings {
		p.Warnings = append(p.Warnings, htmlWarning{w.grave, w.text})
	}
	groups, err := r.groups()
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		h := htmlGroup{Title: g.title, Note: g.note, Closed: g.closed}
		for _, d := range g.charts {
			svg, err := d.SVG()
			if err != nil {
				return nil, err
			}
			h.Charts = append(h.Charts, template.HTML(svg)) // its texts were escaped as they were drawn
		}
		p.Groups = append(p.Groups, h)
	}
	for i := range r.scenarios {
		s := &r.scenarios[i]
		p.Glance = append(p.Glance, r.glance(s))
		p.Scenarios = append(p.Scenarios, s.rows())
	}
	return p, nil
}

// glance is the row of a scenario in the first table.
func (r *Report) glance(s *scenario) htmlRow {
	row := htmlRow{Name: s.name}
	c, ok := s.rate()
	if c.key != "delivered" && ok {
		row.Arrow = " (" + c.name() + ")"
	}
	for _, m := range r.mtas() {
		if v := r.find(s.name, m); v != nil && ok {
			row.Cells = append(row.Cells, s.htmlCell(c, v, true))
		} else {
			row.Cells = append(row.Cells, htmlCell{})
		}
	}
	return row
}

func (s *scenario) rows() htmlScenario {
	h := htmlScenario{Name: s.name, Load: upper(s.describe())}
	for _, v := range s.servers {
		h.Servers = append(h.Servers, v.mta)
	}
	for _, c := range s.columns {
		row := htmlRow{Name: c.name(), Arrow: c.better.arrow()}
		for i := range s.servers {
			row.Cells = append(row.Cells, s.htmlCell(c, &s.servers[i], c.key == "lost"))
		}
		h.Rows = append(h.Rows, row)
	}
	return h
}

// htmlCell is a median with its ratio and spread, and the lost messages of the
// run where they concern the column.
func (s *scenario) htmlCell(c column, v *server, lost bool) htmlCell {
	f := c.over(v.rounds)
	cell := htmlCell{Value: f.text(c)}
	if x, ok := s.ratio(c, v); ok {
		cell.Ratio = ratio(x)
	}
	if f.ok && f.max > f.min {
		cell.Spread = fmt.Sprintf("%s–%s", c.format(f.min), c.format(f.max))
	}
	if n := v.lost(); lost && n > 0 {
		cell.Bad = "lost " + whole(float64(n))
	}
	return cell
}
