package report

// Summary is the report for programs, as "--json" prints it.
type Summary struct {
	Against   string            `json:"against"` // what ratios are over
	Warnings  []string          `json:"warnings"`
	Scenarios []SummaryScenario `json:"scenarios"`
}

// SummaryScenario is all servers in one scenario.
type SummaryScenario struct {
	Name    string          `json:"scenario"`
	Servers []SummaryServer `json:"servers"`
}

// SummaryServer is one server in one scenario.
type SummaryServer struct {
	MTA      string                   `json:"mta"`
	Version  string                   `json:"version"`
	Settings string                   `json:"settings"`
	Rounds   int                      `json:"rounds"`
	Figures  map[string]SummaryFigure `json:"figures"` // those that apply, by column
}

// SummaryFigure is one column over the rounds.
type SummaryFigure struct {
	Value float64 `json:"value"` // the median; of lost and duplicates the worst round's
	Min   float64 `json:"min"`
	Max   float64 `json:"max"`
	Ratio float64 `json:"ratio,omitempty"` // over the server compared against
}

// Summary is the report for programs.
func (r *Report) Summary() Summary {
	out := Summary{Against: r.options.Against, Warnings: append([]string{}, r.Warnings()...), Scenarios: []SummaryScenario{}}
	for i := range r.scenarios {
		s := &r.scenarios[i]
		one := SummaryScenario{Name: s.name}
		for j := range s.servers {
			v := &s.servers[j]
			first := v.rounds[0]
			entry := SummaryServer{MTA: v.mta, Version: first.Version, Settings: first.Settings, Rounds: len(v.rounds), Figures: map[string]SummaryFigure{}}
			for _, c := range s.columns {
				if f := c.over(v.rounds); f.ok {
					x, _ := s.ratio(c, v)
					entry.Figures[c.key] = SummaryFigure{Value: f.value, Min: f.min, Max: f.max, Ratio: x}
				}
			}
			one.Servers = append(one.Servers, entry)
		}
		out.Scenarios = append(out.Scenarios, one)
	}
	return out
}
