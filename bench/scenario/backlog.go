package scenario

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tenma/bench/load"
)

// refuse makes the sink turn mail away, or take it again.
func (t *turn) refuse(ctx context.Context, on bool) error {
	words := t.Scenario.Refuse
	if slices.Equal(words, []string{Down}) {
		return t.sink.Down(ctx, on)
	}
	if !on {
		words = t.Scenario.Sink
	}
	return t.sink.Manner(ctx, t.Place.manner(t.Scenario, words))
}

// fill sends the load while the sink turns it away, and kills the server. The
// result tells what taking mail cost and how large the spool is.
func (t *turn) fill(ctx context.Context) (load.Result, error) {
	if err := t.refuse(ctx, true); err != nil {
		return load.Result{}, fmt.Errorf("the sink: %w", err)
	}
	m := watch(ctx, t.server, t.disk)
	x, err := t.send(ctx)
	samples := m.end()
	if err != nil {
		return x, err
	}
	t.label(&x, "-in")
	account(&x, samples, x.Accepted)
	t.tools(ctx, &x, x.Accepted)
	if x.Accepted > 0 {
		x.SpoolBytes = float64(spoolSize(t.server.Spool())) / float64(x.Accepted)
	}
	if n, ok := m.written(ctx); ok && x.Accepted > 0 {
		x.Written = n / float64(x.Accepted)
	}
	// Nothing was to arrive yet: what has not is not lost.
	x.Lost = 0
	return x, t.server.Kill()
}

// backlog fills the spool, kills and starts the server, and drains it.
func (t *turn) backlog(ctx context.Context) ([]load.Result, error) {
	in, err := t.fill(ctx)
	if err != nil {
		return nil, err
	}
	took, err := t.server.Start(ctx)
	if err != nil {
		return []load.Result{in}, err
	}
	// A server that looks at its whole queue on starting does it now.
	if !pause(ctx, 2*t.settle) {
		return []load.Result{in}, ctx.Err()
	}
	m := watch(ctx, t.server, t.disk)
	if n, ok := m.before[writtenFigure]; ok && in.Written > 0 {
		// What the kill left in the log alone is written to tables at the start:
		// it belongs to the storing.
		in.Written += n / float64(in.Accepted)
	}
	began := time.Now()
	if err := t.refuse(ctx, false); err != nil {
		return []load.Result{in}, fmt.Errorf("the sink: %w", err)
	}
	out, err := t.drain(ctx, m, began)
	out.Restart = took.Seconds()
	if err != nil {
		return []load.Result{in}, err
	}
	return []load.Result{in, out}, nil
}

// restart fills the spool, kills the server, and looks how soon it is back and
// at work.
func (t *turn) restart(ctx context.Context) ([]load.Result, error) {
	in, err := t.fill(ctx)
	if err != nil {
		return nil, err
	}
	if err := t.refuse(ctx, false); err != nil {
		return []load.Result{in}, fmt.Errorf("the sink: %w", err)
	}
	m := watch(ctx, t.server, t.disk)
	began := time.Now()
	took, err := t.server.Start(ctx)
	if err != nil {
		m.end()
		return []load.Result{in}, err
	}
	full, _ := t.server.Usage()
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan rebuild, 1)
	go func() { done <- t.rebuild(waiting, began) }()
	out, err := t.drain(ctx, m, began)
	stop()
	back := <-done
	if err != nil {
		return []load.Result{in}, err
	}
	out.Restart = took.Seconds()
	extra(&out, "rss_at_greeting_bytes", float64(full.RSS))
	back.note(&out)
	return []load.Result{in, out}, nil
}

// drain lets the server deliver what it holds; times count from began.
func (t *turn) drain(ctx context.Context, m *meter, began time.Time) (load.Result, error) {
	err := t.server.Kick(ctx)
	if err != nil {
		m.end()
		return load.Result{}, fmt.Errorf("telling it to try again: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, t.Scenario.Most)
	x, err := t.source.Await(limited, t.Scenario.Idle)
	cancel()
	samples := m.end()
	if err != nil {
		return x, err
	}
	stats, err := t.sink.Stats(ctx)
	if err != nil {
		return x, fmt.Errorf("the sink: %w", err)
	}
	t.label(&x, "-out")
	// The source's clock and its series began with the filling.
	x.Started, x.Series = began, nil
	x.SoftErrors, x.HardErrors, x.ConnErrors, x.FirstError = 0, 0, 0, ""
	x.AcceptSeconds, x.AcceptRate, x.Ack, x.Transit = 0, 0, load.Quantiles{}, load.Quantiles{}
	x.DeliverSeconds, x.DeliverRate, x.Deliver95Rate = 0, 0, 0
	if last := time.Unix(0, stats.Last); stats.Unique > 0 && last.After(began) {
		x.DeliverSeconds = last.Sub(began).Seconds()
		x.DeliverRate = float64(stats.Unique) / x.DeliverSeconds
		extra(&x, "first_delivery_seconds", time.Unix(0, stats.First).Sub(began).Seconds())
	}
	account(&x, samples, x.Delivered)
	return x, nil
}
