package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tenma/bench/load"
)

// warning is what a reader must know before believing a figure.
type warning struct {
	grave bool // the comparison or the run is broken, not only weak
	text  string
}

// Warnings are the sentences that stand above the tables: runs that lost mail,
// comparisons that were refused, rounds too few or too unlike each other.
func (r *Report) Warnings() []string {
	var all []string
	for _, w := range r.warnings {
		all = append(all, w.text)
	}
	return all
}

const (
	// wide is how much faster the best round may be than the worst, in the rate
	// that the scenario is about, before the machine is suspected.
	wide = 1.5
	// apart is how long after the first round of a scenario the last one may
	// start: servers are compared in turns within one run.
	apart = 12 * time.Hour
)

func (r *Report) warn(twice int) {
	var grave, weak []warning
	add := func(isGrave bool, format string, args ...any) {
		w := warning{isGrave, fmt.Sprintf(format, args...)}
		if isGrave {
			grave = append(grave, w)
		} else {
			weak = append(weak, w)
		}
	}
	if twice > 0 {
		add(false, "%s given twice, counted once.", plural(twice, "run"))
	}
	for _, x := range r.failed {
		add(false, "%s: %s gave no figures: %s.", x.Scenario, x.MTA, strings.TrimRight(x.Problem, "."))
	}
	for i := range r.scenarios {
		s := &r.scenarios[i]
		for _, x := range s.failed {
			add(false, "%s: %s gave no figures: %s.", s.name, x.MTA, strings.TrimRight(x.Problem, "."))
		}
		for j := range s.servers {
			s.servers[j].warn(s.name, add)
			if v := &s.servers[j]; v.refused != "" {
				add(true, "%s: %s was %s than %s, so there are no ratios.", s.name, v.mta, v.refused, s.servers[0].mta)
			}
		}
		s.warn(r.options.Against, add)
	}
	r.warnings = append(grave, weak...)
}

// warn of what concerns the servers together.
func (s *scenario) warn(against string, add func(bool, string, ...any)) {
	if s.base() == nil && len(s.servers) > 1 {
		add(false, "%s: %s did not run, so there are no ratios.", s.name, against)
	}
	var first, last time.Time
	single := len(s.servers) > 0
	for _, v := range s.servers {
		single = single && len(v.rounds) == 1
		if len(v.rounds) != len(s.servers[0].rounds) {
			add(false, "%s: %s ran %s, %s %d.", s.name, s.servers[0].mta, plural(len(s.servers[0].rounds), "round"), v.mta, len(v.rounds))
		}
		for _, x := range v.rounds {
			if first.IsZero() || x.Started.Before(first) {
				first = x.Started
			}
			if x.Started.After(last) {
				last = x.Started
			}
		}
	}
	if single {
		add(false, "%s: a single round; repeat it before believing it.", s.name)
	}
	if last.Sub(first) > apart {
		add(false, "%s: the rounds lie %s apart; compare only what ran in turns.", s.name, last.Sub(first).Round(time.Hour))
	}
}

// badSignatures is the figure of Extra that counts messages whose DKIM signature
// was expected and did not hold.
const badSignatures = "signatures_bad"

// warn of one server's rounds.
func (v *server) warn(scenario string, add func(bool, string, ...any)) {
	for i := range v.rounds {
		x := &v.rounds[i]
		if x.Lost > 0 {
			add(true, "%s: %s lost %s of %s accepted in round %d.", scenario, v.mta, whole(float64(x.Lost)), plural(x.Accepted, "message"), x.Round)
		}
		if bad := x.Extra[badSignatures]; bad > 0 {
			add(true, "%s: %s delivered %s without a DKIM signature that holds in round %d.", scenario, v.mta, plural(int64(bad), "message"), x.Round)
		}
		if x.HardErrors > 0 || x.ConnErrors > 0 {
			more := ""
			if x.FirstError != "" {
				more = fmt.Sprintf(" (first: %s)", short(x.FirstError))
			}
			add(false, "%s: %s refused %s and dropped %s in round %d%s.", scenario, v.mta, plural(x.HardErrors, "message"), plural(x.ConnErrors, "connection"), x.Round, more)
		}
	}
	if n := v.worst(func(r *load.Result) int64 { return r.Duplicates }); n > 0 {
		add(false, "%s: %s delivered %s twice in its worst round.", scenario, v.mta, plural(n, "message"))
	}
	if why := differs(v.rounds[:1], v.rounds[1:]); why != "" {
		add(true, "%s: not all rounds of %s were measured alike: one was %s.", scenario, v.mta, why)
	}
	same := func(get func(load.Result) string) bool {
		return !slices.ContainsFunc(v.rounds, func(x load.Result) bool { return get(x) != get(v.rounds[0]) })
	}
	if !same(func(x load.Result) string { return x.Version }) || !same(func(x load.Result) string { return x.Settings }) {
		add(true, "%s: the rounds of %s are of different versions or settings.", scenario, v.mta)
	}
	f := column{get: func(r *load.Result) float64 { return r.DeliverRate }}.over(v.rounds)
	if f.ok && f.max > f.min*wide {
		add(false, "%s: the best round of %s was %s as fast as its worst.", scenario, v.mta, ratio(f.max/f.min))
	}
}

// short cuts a text that a stranger wrote to one short line.
func short(s string) string {
	const most = 80
	out := []rune(s)
	for i, c := range out {
		if c < ' ' {
			out[i] = ' '
		}
	}
	if len(out) > most {
		return string(out[:most-1]) + "…"
	}
	return string(out)
}
