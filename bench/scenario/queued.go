package scenario

import (
	"context"
	"time"

	"tenma/bench/load"
)

// What is compared in a queue that grows.
const (
	// warmUp is left out at the start of the filling: connections are opened,
	// and a server's memory is touched for the first time.
	warmUp = 3 * time.Second
	// part of the filling at its end, and as much after the warm-up, whose rates
	// are compared, each leastWindow long at least: a shorter one would show
	// where a flush of the store fell.
	part        = 0.02
	leastWindow = 10 * time.Second
	// The cost of a message is compared with that in a queue of so many.
	smallFrom, smallTo = 10_000, 200_000
)

// queued fills the spool in one run, with no receiver to be reached, and looks at
// what a full queue costs: memory at the end, and rate and processor time of the
// last messages against those of the first. Nothing is delivered.
func (t *turn) queued(ctx context.Context) ([]load.Result, error) {
	if err := t.refuse(ctx, true); err != nil {
		return nil, err
	}
	m := watch(ctx, t.server, t.disk)
	x, err := t.send(ctx)
	samples := m.end()
	if err != nil {
		return nil, err
	}
	t.label(&x, "")
	account(&x, samples, x.Accepted)
	t.tools(ctx, &x, x.Accepted)
	x.Lost = 0 // nothing was to arrive
	if x.Accepted > 0 {
		x.SpoolBytes = float64(spoolSize(t.server.Spool())) / float64(x.Accepted)
		if n, ok := m.written(ctx); ok {
			x.Written = n / float64(x.Accepted)
		}
	}
	if len(samples) > 0 {
		extra(&x, "rss_bytes", float64(samples[len(samples)-1].usage.RSS))
	}
	all := figures(ctx, t.server)
	for figure, name := range map[string]string{entriesFigure: "queued", tablesFigure: "memtable_bytes", cacheFigure: "block_cache_bytes"} {
		if v, ok := all[figure]; ok {
			extra(&x, name, v)
		}
	}
	growth(&x)
	return []load.Result{x}, nil
}

// window is a part of a filling.
type window struct{ seconds, messages, cpu float64 }

func (w window) rate() float64 { return w.messages / w.seconds }
func (w window) cost() float64 { return w.cpu / w.messages }

// add adds a second of the series.
func (w *window) add(p load.Point, since float64) {
	w.seconds += p.Second - since
	w.messages += float64(p.Accepted)
	w.cpu += p.CPU * (p.Second - since)
}

// growth compares the end of a filling with its beginning. Windows that are too
// short to tell anything give no figure.
func growth(x *load.Result) {
	want := part * float64(x.Accepted)
	enough := func(w window) bool { return w.messages >= want && w.seconds >= leastWindow.Seconds() }
	var first, small, last window
	since, count, begun := 0.0, 0.0, 0.0
	for _, p := range x.Series {
		if since >= warmUp.Seconds() && !enough(first) {
			first.add(p, since)
			begun = p.Second
		}
		if count >= smallFrom && count < smallTo && since >= warmUp.Seconds() {
			small.add(p, since)
		}
		since, count = p.Second, count+float64(p.Accepted)
	}
	end := 0.0
	for i := len(x.Series) - 1; i > 0 && !enough(last); i-- {
		p := x.Series[i]
		if p.Accepted == 0 && last.messages == 0 {
			continue // the rest of a second, after the last message
		}
		end = x.Series[i-1].Second
		last.add(p, end)
	}
	if !enough(first) || !enough(last) || end < begun {
		return
	}
	extra(x, "accepted_per_second_first", first.rate())
	extra(x, "accepted_per_second_last", last.rate())
	extra(x, "accept_against_empty", last.rate()/first.rate())
	if small.cpu > 0 && last.cpu > 0 {
		extra(x, "cpu_per_1000_first", 1000*small.cost())
		extra(x, "cpu_per_1000_last", 1000*last.cost())
		extra(x, "cost_against_10k", last.cost()/small.cost())
	}
}
