package report

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"tenma/bench/load"
)

// better is which direction of a figure is the good one.
type better int8

const (
	neither better = iota
	higher
	lower
)

// arrow is the direction as headings show it.
func (b better) arrow() string {
	return [...]string{"", " ↑", " ↓"}[b]
}

// column is one figure of a result.
type column struct {
	key    string                       // in targets and JSON
	head   [2]string                    // two lines of heading on a terminal
	long   string                       // heading elsewhere; empty: the two lines
	better better                       // which direction is good
	worst  bool                         // the worst round counts, not the median
	always bool                         // zero means zero, not "does not apply"
	brief  bool                         // shown on a terminal too
	get    func(r *load.Result) float64 // NaN: has none
	format func(v float64) string
}

// name is the heading on one line.
func (c column) name() string {
	return cmp.Or(c.long, strings.TrimSpace(c.head[0]+" "+c.head[1]))
}

const mib = 1 << 20

// columns gives all figures of a result, in the order of the tables.
func columns() []column {
	quantiles := func(key, head, long string, get func(r *load.Result) load.Quantiles) []column {
		one := func(suffix, title string, brief bool, pick func(q load.Quantiles) float64) column {
			return column{
				key: key + "-" + suffix, head: [2]string{head, title + " ms"}, long: long + " " + title + " ms", better: lower, brief: brief,
				get: func(r *load.Result) float64 { return pick(get(r)) }, format: significant,
			}
		}
		return []column{
			one("p50", "p50", true, func(q load.Quantiles) float64 { return q.P50 }),
			one("p90", "p90", false, func(q load.Quantiles) float64 { return q.P90 }),
			one("p99", "p99", true, func(q load.Quantiles) float64 { return q.P99 }),
			one("p999", "p99.9", false, func(q load.Quantiles) float64 { return q.P999 }),
			one("max", "max", false, func(q load.Quantiles) float64 { return q.Max }),
		}
	}
	return slices.Concat(
		[]column{
			{key: "delivered", head: [2]string{"delivered", "/s"}, long: "delivered/s", better: higher, brief: true, format: significant, get: func(r *load.Result) float64 { return r.DeliverRate }},
			{key: "delivered95", head: [2]string{"95 % delivered", "/s"}, long: "95 % delivered/s", better: higher, format: significant, get: func(r *load.Result) float64 { return r.Deliver95Rate }},
			{key: "accepted", head: [2]string{"accepted", "/s"}, long: "accepted/s", better: higher, brief: true, format: significant, get: func(r *load.Result) float64 { return r.AcceptRate }},
		},
		quantiles("ack", "ack", "ack", func(r *load.Result) load.Quantiles { return r.Ack }),
		quantiles("transit", "to sink", "250 to sink", func(r *load.Result) load.Quantiles { return r.Transit }),
		[]column{
			{key: "cpu", head: [2]string{"CPU s", "/1,000"}, long: "CPU s per 1,000", better: lower, brief: true, format: significant, get: func(r *load.Result) float64 { return r.CPUPer1000 }},
			{key: "rss", head: [2]string{"RSS", "MiB"}, long: "peak RSS MiB", better: lower, brief: true, format: significant, get: func(r *load.Result) float64 { return float64(r.PeakRSS) / mib }},
			{key: "pss", head: [2]string{"PSS", "MiB"}, long: "peak PSS MiB", better: lower, format: significant, get: func(r *load.Result) float64 { return float64(r.PeakPSS) / mib }},
			{key: "disk", head: [2]string{"disk", "KiB/msg"}, long: "whole device, KiB written per message", better: lower, brief: true, format: significant, get: func(r *load.Result) float64 { return r.DiskBytes / 1024 }},
			{key: "written", head: [2]string{"spool wr.", "KiB/msg"}, long: "spool alone, KiB written per message", better: lower, brief: true, format: significant, get: func(r *load.Result) float64 { return r.Written / 1024 }},
			{key: "flushes", head: [2]string{"flushes", "/message"}, long: "flushes per message", better: lower, format: significant, get: func(r *load.Result) float64 { return r.Flushes }},
			{key: "spool", head: [2]string{"spool", "KiB/msg"}, long: "spool's size on disk, KiB per message", better: lower, brief: true, format: significant, get: func(r *load.Result) float64 { return r.SpoolBytes / 1024 }},
			{key: "restart", head: [2]string{"restart", "s"}, long: "restart s", better: lower, brief: true, format: significant, get: func(r *load.Result) float64 { return r.Restart }},
			{key: "lost", head: [2]string{"lost", ""}, long: "lost", better: lower, worst: true, always: true, brief: true, format: whole, get: func(r *load.Result) float64 { return float64(r.Lost) }},
			{key: "duplicates", head: [2]string{"dupl.", ""}, long: "duplicates", better: lower, worst: true, always: true, brief: true, format: whole, get: func(r *load.Result) float64 { return float64(r.Duplicates) }},
		})
}

// extras gives the columns of what only this scenario or driver counts.
func extras(results []load.Result) []column {
	names := map[string]bool{}
	for _, r := range results {
		for k := range r.Extra {
			names[k] = true
		}
	}
	var all []column
	for _, name := range slices.Sorted(maps.Keys(names)) {
		all = append(all, extraColumn(name))
	}
	return all
}

// extraColumn is one figure of Extra: zero is a value, missing is none.
func extraColumn(name string) column {
	c := column{key: "extra." + name, head: [2]string{name, ""}, always: true, format: significant}
	c.get = func(r *load.Result) float64 {
		if v, ok := r.Extra[name]; ok {
			return v
		}
		return math.NaN()
	}
	if name == badSignatures {
		c.better, c.worst, c.format = lower, true, whole
	}
	if strings.HasSuffix(name, "_bytes") {
		c.format = octets
	}
	return c
}

// figure is one column of one server in one scenario.
type figure struct {
	value, min, max float64
	ok              bool // false: does not apply
}

// over takes a column over the rounds.
func (c column) over(rounds []load.Result) figure {
	var v []float64
	for i := range rounds {
		if x := c.get(&rounds[i]); !math.IsNaN(x) && (x != 0 || c.always) {
			v = append(v, x)
		}
	}
	if len(v) == 0 {
		return figure{}
	}
	slices.Sort(v)
	f := figure{value: median(v), min: v[0], max: v[len(v)-1], ok: true}
	if c.worst {
		f.value = f.max
	}
	return f
}

// median of sorted values; of an even number the middle of the middle two.
func median(v []float64) float64 {
	n := len(v)
	if n%2 == 1 {
		return v[n/2]
	}
	return v[n/2-1] + (v[n/2]-v[n/2-1])/2
}

// text is the figure as the tables show it.
func (f figure) text(c column) string {
	if !f.ok {
		return "–"
	}
	return c.format(f.value)
}

// significant keeps three digits, and all digits before the point.
func significant(v float64) string {
	switch a := math.Abs(v); {
	case a >= 99.95:
		return whole(v)
	case a >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 0.9995 || a == 0:
		return trim(strconv.FormatFloat(v, 'f', 2, 64))
	case a >= 0.0005:
		return trim(strconv.FormatFloat(v, 'f', 3, 64))
	}
	return strconv.FormatFloat(v, 'e', 1, 64)
}

// trim0 takes away a ".0".
func trim0(s string) string { return strings.TrimSuffix(s, ".0") }

func trim(s string) string { return strings.TrimSuffix(strings.TrimRight(s, "0"), ".") }

// whole groups the digits by threes.
func whole(v float64) string {
	s := strconv.FormatFloat(math.Abs(v), 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if v < 0 {
		s = "-" + s
	}
	return s
}

// ratio as people say it: 9.6x, 0.87x, 1/12.
func ratio(v float64) string {
	switch {
	case v <= 0 || math.IsInf(v, 0) || math.IsNaN(v):
		return "–"
	case v >= 0.5:
		return significant(v) + "x"
	}
	return "1/" + significant(1/v)
}

// parseSize reads the size of a load's messages in octets, such as 4096, 4KiB
// or 1 MiB; ok is false for a mix.
func parseSize(s string) (octets float64, ok bool) {
	number := strings.TrimRight(s, "KMGiB ")
	unit, known := map[string]float64{"": 1, "B": 1, "KiB": 1 << 10, "MiB": mib, "GiB": 1 << 30}[strings.TrimSpace(s[len(number):])]
	v, err := strconv.ParseFloat(number, 64)
	return v * unit, known && err == nil && v > 0 && !math.IsInf(v, 0)
}

// milliseconds as people say them.
func milliseconds(v float64) string {
	if v >= 1000 {
		return trim0(significant(v/1000)) + " s"
	}
	return trim0(significant(v)) + " ms"
}

// octets as people say them.
func octets(v float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	return trim0(significant(v)) + " " + units[i]
}

// plural is "1 round", "2 rounds".
func plural[N ~int | ~int64](n N, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return whole(float64(n)) + " " + word + "s"
}

// naturally orders names with their numbers as numbers: A, A1, A64k, A200.
func naturally(a, b string) int {
	for a != "" && b != "" {
		na, nb := digits(a), digits(b)
		if na > 0 && nb > 0 {
			x, y := strings.TrimLeft(a[:na], "0"), strings.TrimLeft(b[:nb], "0")
			if c := cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y)); c != 0 {
				return c
			}
			a, b = a[na:], b[nb:]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}
