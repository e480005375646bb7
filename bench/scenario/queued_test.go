package scenario

import (
	"math"
	"testing"

	"tenma/bench/load"
)

// A filling that becomes slower and dearer by the second shows it; the warm-up and
// the rest of a second at the end do not count.
func TestGrowth(t *testing.T) {
	x := load.Result{Series: []load.Point{}}
	for i := range 100 {
		p := load.Point{Second: float64(i + 1), Accepted: 10_000, CPU: 1}
		switch {
		case i < 3:
			p.Accepted, p.CPU = 1, 2
		case i >= 90:
			p.Accepted = 8_000
		}
		x.Accepted += p.Accepted
		x.Series = append(x.Series, p)
	}
	x.Series = append(x.Series, load.Point{Second: 100.01})
	growth(&x)
	for name, want := range map[string]float64{
		"accepted_per_second_first": 10_000, "accepted_per_second_last": 8_000, "accept_against_empty": 0.8, "cost_against_10k": 1.25, "cpu_per_1000_first": 0.1,
	} {
		if got := x.Extra[name]; math.Abs(got-want) > 1e-9 {
			t.Errorf("%s is %v, not %v", name, got, want)
		}
	}
	short := load.Result{Accepted: 50_000, Series: x.Series[:15]}
	if growth(&short); len(short.Extra) > 0 {
		t.Errorf("windows that overlap gave %v", short.Extra)
	}
}

// The whole run, with a server that tells what it wrote. Nothing is lost by not
// arriving.
func TestRunQueued(t *testing.T) {
	t.Parallel()
	f := &fake{name: "a", figures: map[string]float64{writtenFigure: 100, entriesFigure: 60, tablesFigure: 1 << 18, cacheFigure: 1 << 17}}
	r, out := runner(t, "kind queued\nsource sessions=4 per-session=10 size=1KiB count=60\nwait idle=10s most=60s", f)
	all, err := r.Run(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v\n%s", all, err, out)
	}
	if x := all[0]; x.Accepted != 60 || x.Delivered != 0 || x.Lost != 0 || x.Extra["queued"] != 60 || x.Extra["rss_bytes"] != 1<<20 {
		t.Errorf("%+v", x)
	}
}

// After a restart a server is asked until it knows its queue.
func TestRebuild(t *testing.T) {
	t.Parallel()
	f := &fake{name: "a", figures: map[string]float64{rebuildingFigure: 0, tablesFigure: 1 << 18, cacheFigure: 1 << 17}}
	r, out := runner(t, "kind restart\nsource sessions=4 per-session=10 size=1KiB count=60\nwait idle=10s most=60s", f)
	all, err := r.Run(t.Context())
	if err != nil || len(all) != 2 {
		t.Fatalf("%v, %v\n%s", all, err, out)
	}
	x := all[1].Extra
	if x["rebuild_seconds"] <= 0 || x["rebuild_rss_bytes"] != 1<<20 || x["rebuild_rss_own_bytes"] != 1<<20-1<<18-1<<17 || x["memtable_bytes"] != 1<<18 || x["block_cache_bytes"] != 1<<17 {
		t.Errorf("%v", x)
	}
}
