package main

import "fmt"

// group is a row of the dashboard with what stands below it.
type group struct {
	title  string
	closed bool // opened by a click; its panels cost no queries until then
	charts []chart
}

// chart is a panel before it has a place and a number.
type chart struct {
	title string
	about string // what it shows, and what to do when it is bad
	unit  string
	w, h  int // 0: 8 columns, 7 units
	stat  bool
	name  bool // of a stat: it shows the name, not the value
	stack bool
	warn  float64 // of a stat: yellow and red from here; 0: no colours
	bad   float64
	words map[string]mapResult // of a stat: texts in place of values
	of    []series
}

// series is one expression of PromQL and the name of what it gives.
type series struct{ expr, legend string }

const columns = 24

// build places the groups below each other and numbers everything.
func build(groups []group) dashboard {
	d := dashboard{
		Title: "tenma", UID: "tenma-relay", Tags: []string{"mail", "tenma"},
		Description:   "A tenma relay, in the order of a message's way: in, to disk, through the queue, out. Made by \"go run ./deploy/dashboard\".",
		SchemaVersion: schemaVersion, Version: 1, Editable: true, GraphTooltip: 1, Refresh: "30s",
		Time: timeRange{From: "now-6h", To: "now"}, Timezone: "browser",
		Templating: list[any]{variables()}, Annotations: list[any]{annotations()}, Links: []struct{}{},
	}
	id, y := 0, 0
	for _, g := range groups {
		id++
		closed := g.closed
		row := panel{ID: id, Type: "row", Title: g.title, GridPos: grid{H: 1, W: columns, Y: y}, Collapsed: &closed, Panels: []panel{}}
		y++
		var inside []panel
		x, tallest := 0, 0
		for _, c := range g.charts {
			p := c.panel()
			if x+p.GridPos.W > columns {
				x, y, tallest = 0, y+tallest, 0
			}
			id++
			p.ID, p.GridPos.X, p.GridPos.Y = id, x, y
			x, tallest = x+p.GridPos.W, max(tallest, p.GridPos.H)
			inside = append(inside, p)
		}
		y += tallest
		if g.closed {
			row.Panels = inside
			d.Panels = append(d.Panels, row)
		} else {
			d.Panels = append(append(d.Panels, row), inside...)
		}
	}
	return d
}

func (c chart) panel() panel {
	p := panel{
		Type: "timeseries", Title: c.title, Description: c.about, Datasource: prometheus(),
		GridPos: grid{W: 8, H: 7},
	}
	if c.w > 0 {
		p.GridPos.W = c.w
	}
	if c.h > 0 {
		p.GridPos.H = c.h
	}
	zero := 0.0
	f := fieldDefaults{Unit: c.unit}
	if c.stat {
		p.Type = "stat"
		f.Color, f.Thresholds = &color{"thresholds"}, &thresholds{Mode: "absolute", Steps: c.steps()}
		if c.words != nil {
			f.Mappings = []mapping{{Type: "value", Options: c.words}}
		}
		o := statOptions{ColorMode: "value", GraphMode: "area", TextMode: "auto", ReduceOptions: reduceOptions{Calcs: []string{"lastNotNull"}}}
		if c.name {
			o.GraphMode, o.TextMode = "none", "name"
		}
		p.Options = o
	} else {
		f.Min, f.Color = &zero, &color{"palette-classic"}
		f.Custom = &lines{DrawStyle: "line", LineWidth: 1, FillOpacity: 8, ShowPoints: "never", Stacking: stacking{"none", "A"}}
		if c.stack {
			f.Custom.FillOpacity, f.Custom.Stacking.Mode = 40, "normal"
		}
		p.Options = seriesOptions{
			Legend:  legend{ShowLegend: true, DisplayMode: "list", Placement: "bottom", Calcs: []string{}},
			Tooltip: tooltip{Mode: "multi", Sort: "desc"},
		}
	}
	p.FieldConfig = &fieldConfig{Defaults: f, Overrides: []struct{}{}}
	for i, s := range c.of {
		p.Targets = append(p.Targets, target{
			Datasource: prometheus(), EditorMode: "code", Expr: s.expr, LegendFormat: s.legend, Range: true, RefID: string(rune('A' + i)),
		})
	}
	return p
}

// steps are the colours of a stat. Where bad is below warn, less is worse.
func (c chart) steps() []step {
	switch {
	case c.warn == 0 && c.bad == 0:
		return []step{{Color: "text"}}
	case c.bad < c.warn:
		return []step{{Color: "red"}, {"yellow", &c.bad}, {"green", &c.warn}}
	}
	return []step{{Color: "green"}, {"yellow", &c.warn}, {"red", &c.bad}}
}

func variables() []any {
	values := func(name, title, query string) variable {
		return variable{
			Name: name, Label: title, Type: "query", Datasource: prometheus(), Definition: query,
			Query: variableQuery{query, "values"}, Refresh: 2, Sort: 1, Multi: true, IncludeAll: true, AllValue: ".+",
			Current: &variableIs{true, []string{"All"}, []string{"$__all"}},
		}
	}
	return []any{
		variable{Name: "datasource", Label: "Data source", Type: "datasource", Query: "prometheus", Refresh: 1},
		values("job", "Job", "label_values(tenma_build_info, job)"),
		values("instance", "Instance", `label_values(tenma_build_info{job=~"$job"}, instance)`),
	}
}

// annotations are vertical lines over all charts.
func annotations() []any {
	return []any{annotation{
		Name: "Restarts", Datasource: prometheus(), Enable: true, IconColor: "purple",
		Expr:        fmt.Sprintf("changes(%s[$__interval]) > 0", process("start_time_seconds")),
		TitleFormat: "restart", TextFormat: "{{instance}}",
	}}
}
