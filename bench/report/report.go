package report

import (
	"cmp"
	"math"
	"slices"

	"tenma/bench/load"
)

// Options of a report.
type Options struct {
	// Against is the server that ratios are over. Empty: the first one in the
	// results, "none" (source straight to sink) left out.
	Against string
	// Title of the pages. Empty: "Load runs".
	Title string
}

// A Report is results grouped by scenario and server. It does not change.
type Report struct {
	options   Options
	results   []load.Result
	scenarios []scenario
	failed    []load.Result // of scenarios in which no server gave figures
	warnings  []warning
}

// none is the name of the ceiling: source straight to sink, no server between.
const none = "none"

// scenario is all servers' runs of one scenario.
type scenario struct {
	name    string
	servers []server      // in the order of the results, the one compared against first
	failed  []load.Result // of servers that gave no figures, the first of each
	columns []column      // that apply to any of them
}

// server is all rounds of one server in one scenario.
type server struct {
	mta     string
	rounds  []load.Result // by round
	color   int           // by number, the same in all scenarios
	refused string        // why there are no ratios over the first server; empty: there are
	base    bool          // is the one compared against
}

// New groups results. A run that occurs twice, as when a file is given twice,
// counts once.
func New(results []load.Result, o Options) *Report {
	o.Title = cmp.Or(o.Title, "Load runs")
	r := &Report{options: o}
	type identity struct {
		scenario, mta, run string
		round              int
		started            int64
	}
	seen := map[identity]bool{}
	twice := 0
	for _, one := range results {
		id := identity{one.Scenario, one.MTA, one.Run, one.Round, one.Started.UnixNano()}
		if seen[id] {
			twice++
			continue
		}
		seen[id] = true
		r.results = append(r.results, one)
	}
	colors := map[string]int{}
	for _, one := range r.results {
		if r.options.Against == "" && one.MTA != none && one.Problem == "" {
			r.options.Against = one.MTA
		}
		if _, known := colors[one.MTA]; !known {
			colors[one.MTA] = len(colors)
		}
		r.add(one, colors[one.MTA])
	}
	slices.SortStableFunc(r.scenarios, func(a, b scenario) int { return naturally(a.name, b.name) })
	r.scenarios = slices.DeleteFunc(r.scenarios, func(s scenario) bool {
		if len(s.servers) > 0 {
			return false
		}
		r.failed = append(r.failed, s.failed...) // nobody could
		return true
	})
	for i := range r.scenarios {
		s := &r.scenarios[i]
		s.finish(r.options.Against)
		s.failed = slices.DeleteFunc(s.failed, func(x load.Result) bool { return r.find(s.name, x.MTA) != nil })
	}
	r.warn(twice)
	return r
}

func (r *Report) add(one load.Result, color int) {
	i := slices.IndexFunc(r.scenarios, func(s scenario) bool { return s.name == one.Scenario })
	if i < 0 {
		i = len(r.scenarios)
		r.scenarios = append(r.scenarios, scenario{name: one.Scenario})
	}
	s := &r.scenarios[i]
	if one.Problem != "" {
		if !slices.ContainsFunc(s.failed, func(x load.Result) bool { return x.MTA == one.MTA }) {
			s.failed = append(s.failed, one)
		}
		return
	}
	j := slices.IndexFunc(s.servers, func(v server) bool { return v.mta == one.MTA })
	if j < 0 {
		j = len(s.servers)
		s.servers = append(s.servers, server{mta: one.MTA, color: color})
	}
	s.servers[j].rounds = append(s.servers[j].rounds, one)
}

func (s *scenario) finish(against string) {
	var all []load.Result
	for i := range s.servers {
		v := &s.servers[i]
		v.base = v.mta == against
		slices.SortStableFunc(v.rounds, func(a, b load.Result) int {
			return cmp.Or(cmp.Compare(a.Round, b.Round), a.Started.Compare(b.Started))
		})
		all = append(all, v.rounds...)
	}
	slices.SortStableFunc(s.servers, func(a, b server) int {
		switch {
		case a.base == b.base:
			return 0
		case a.base:
			return -1
		}
		return 1
	})
	for _, c := range slices.Concat(columns(), extras(all)) {
		if c.over(all).ok {
			s.columns = append(s.columns, c)
		}
	}
	base := s.base()
	for i := range s.servers {
		if v := &s.servers[i]; base != nil && !v.base {
			v.refused = differs(base.rounds, v.rounds)
		}
	}
}

// base is the server that ratios are over; nil where it did not run.
func (s *scenario) base() *server {
	if len(s.servers) > 0 && s.servers[0].base {
		return &s.servers[0]
	}
	return nil
}

// find gives a server's runs in a scenario, nil if there are none.
func (r *Report) find(name, mta string) *server {
	for i := range r.scenarios {
		if r.scenarios[i].name != name {
			continue
		}
		for j := range r.scenarios[i].servers {
			if r.scenarios[i].servers[j].mta == mta {
				return &r.scenarios[i].servers[j]
			}
		}
	}
	return nil
}

// rate is the figure that a scenario is about: what was delivered, or else what
// was accepted; ok is false if nothing moved.
func (s *scenario) rate() (c column, ok bool) {
	for _, key := range []string{"delivered", "accepted"} {
		if i := slices.IndexFunc(s.columns, func(c column) bool { return c.key == key }); i >= 0 {
			return s.columns[i], true
		}
	}
	return column{}, false
}

// mtas gives all servers, the one compared against first, then in the order of
// the results.
func (r *Report) mtas() []string {
	var all []string
	for _, x := range r.results {
		if !slices.Contains(all, x.MTA) {
			all = append(all, x.MTA)
		}
	}
	if i := slices.Index(all, r.options.Against); i > 0 {
		all = slices.Insert(slices.Delete(all, i, i+1), 0, r.options.Against)
	}
	return all
}

// differs says why the rounds of two servers cannot be compared; empty if they
// can be.
func differs(a, b []load.Result) string {
	for _, x := range slices.Concat(a, b) {
		first := a[0]
		switch {
		case machine(x) != machine(first):
			return "measured on another machine"
		case x.Sessions != first.Sessions, x.PerSession != first.PerSession, x.Size != first.Size, x.Domains != first.Domains:
			return "measured under another load"
		}
	}
	return ""
}

// machine without what changes from one day to the next.
func machine(r load.Result) load.Machine {
	m := r.Machine
	m.MemoryGB = math.Round(m.MemoryGB)
	return m
}

// ratio of a server's figure over that of the one compared against.
func (s *scenario) ratio(c column, v *server) (float64, bool) {
	base := s.base()
	if base == nil || v.base || v.refused != "" || c.worst {
		return 0, false
	}
	return over(c, v, base)
}

func over(c column, v, base *server) (float64, bool) {
	a, b := c.over(v.rounds), c.over(base.rounds)
	if !a.ok || !b.ok || b.value <= 0 || a.value <= 0 {
		return 0, false
	}
	return a.value / b.value, true
}

// worst is the highest count among the rounds.
func (v *server) worst(get func(r *load.Result) int64) int64 {
	var n int64
	for i := range v.rounds {
		n = max(n, get(&v.rounds[i]))
	}
	return n
}

func (v *server) lost() int64 { return v.worst(func(r *load.Result) int64 { return r.Lost }) }

// typical is the round whose rate is nearest to the median, of those with a
// course if any has one.
func (v *server) typical() *load.Result {
	rate := func(r *load.Result) float64 { return cmp.Or(r.DeliverRate, r.AcceptRate) }
	var rates []float64
	var some []*load.Result
	for i := range v.rounds {
		x := &v.rounds[i]
		rates = append(rates, rate(x))
		if len(x.Series) > 1 {
			some = append(some, x)
		}
	}
	if len(some) == 0 {
		return &v.rounds[0]
	}
	slices.Sort(rates)
	m := median(rates)
	return slices.MinFunc(some, func(a, b *load.Result) int {
		return cmp.Compare(math.Abs(rate(a)-m), math.Abs(rate(b)-m))
	})
}
