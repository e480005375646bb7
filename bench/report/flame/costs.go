package flame

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// A Cost is what one thing took.
type Cost struct {
	Name    string        `json:"name"`
	Kind    Kind          `json:"kind"`
	CPU     time.Duration `json:"cpu_ns"`
	Samples int64         `json:"samples"`
	Share   float64       `json:"share"` // of the profile's processor time, 0 to 1
	From    []Origin      `json:"from"`  // the packages that had it done, at most 3, the largest first
}

// An Origin is the package of tenma nearest to a cost on the stack; without one
// the outermost function's.
type Origin struct {
	Package string  `json:"package"`
	Share   float64 `json:"share"` // of the cost, 0 to 1
}

// maxOrigins of a cost.
const maxOrigins = 3

// Costs gives the n largest costs, the largest first, and as the last one "the
// rest" if there are more. Each sample counts once, so the shares add up to 1.
func (p *Profile) Costs(n int) []Cost {
	type sum struct {
		Cost
		from map[string]time.Duration
	}
	sums := map[string]*sum{}
	list := rules()
	for _, s := range p.Stacks {
		name, kind := costOf(list, s.Calls)
		at := sums[name]
		if at == nil {
			at = &sum{Cost{Name: name, Kind: kind}, map[string]time.Duration{}}
			sums[name] = at
		}
		at.CPU += s.CPU
		at.Samples += s.Samples
		at.from[origin(s.Calls)] += s.CPU
	}
	all := make([]Cost, 0, len(sums))
	for _, at := range sums {
		if at.From = origins(at.from, at.CPU); len(at.From) == 1 && at.From[0].Package == at.Name {
			at.From = at.From[:0] // that is what the name says
		}
		all = append(all, at.Cost)
	}
	slices.SortFunc(all, func(a, b Cost) int { return cmp.Or(cmp.Compare(b.CPU, a.CPU), strings.Compare(a.Name, b.Name)) })
	if n = max(n, 1); len(all) > n+1 {
		rest := Cost{Name: "the rest", From: []Origin{}}
		for _, c := range all[n:] {
			rest.CPU += c.CPU
			rest.Samples += c.Samples
		}
		all = append(all[:n], rest)
	}
	for i := range all {
		all[i].Share = float64(all[i].CPU) / float64(p.CPU)
	}
	return all
}

// costOf names the cost of a sample.
func costOf(list []rule, calls []string) (string, Kind) {
	for i := range list {
		if list[i].takes(calls) {
			return list[i].cost, list[i].kind
		}
	}
	switch pkg := payer(calls); pkg {
	case "runtime":
		return "runtime: other", Runtime
	case unknown:
		return unknown, Other
	default:
		return pkg, kindOf(pkg + ".")
	}
}

// payer is the package that a sample counts for when no rule takes it: that of
// the innermost function outside of the standard library, since who calls
// strings.ToUpper can change that, and the library cannot. Where there is none,
// the innermost outside of the runtime.
func payer(calls []string) string {
	found := "runtime"
	for _, c := range slices.Backward(calls) {
		pkg := packageOf(c)
		switch first, _, _ := strings.Cut(pkg, "/"); {
		case c == unknown && found == "runtime":
			found = unknown
		case strings.Contains(first, ".") || first == "tenma" || first == "main":
			return pkg
		case found == "runtime" && kindOf(c) != Runtime && first != "internal":
			found = pkg
		}
	}
	return found
}

// origin is the innermost package of tenma on the stack, or the outermost
// function's.
func origin(calls []string) string {
	for _, c := range slices.Backward(calls) {
		if strings.HasPrefix(c, "tenma/") {
			return packageOf(c)
		}
	}
	return packageOf(calls[0])
}

func origins(from map[string]time.Duration, all time.Duration) []Origin {
	out := make([]Origin, 0, len(from))
	for pkg, cpu := range from {
		out = append(out, Origin{pkg, float64(cpu) / float64(all)})
	}
	slices.SortFunc(out, func(a, b Origin) int {
		return cmp.Or(cmp.Compare(b.Share, a.Share), strings.Compare(a.Package, b.Package))
	})
	return out[:min(len(out), maxOrigins)]
}
