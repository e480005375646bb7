package scenario

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"tenma/bench/internet/names"
	"tenma/bench/load"
	"tenma/bench/sink"
	"tenma/bench/source"
)

// Roles of workers.
const (
	roleSource = "source"
	roleSink   = "sink"
)

// request is one line to a worker, and reply one from it. They take turns.
type request struct {
	Do    string        `json:"do"` // start, send, await, manner, down, stats
	Words []string      `json:"words,omitempty"`
	DNS   string        `json:"dns,omitempty"`
	Hosts int           `json:"hosts,omitempty"`
	Own   bool          `json:"own,omitempty"`
	Idle  time.Duration `json:"idle,omitempty"`
	Most  time.Duration `json:"most,omitempty"` // the request ends after so long; 0: when it is done
	Down  bool          `json:"down,omitempty"`
}

type reply struct {
	Error  string         `json:"error,omitempty"`
	CPU    float64        `json:"cpu"` // seconds, of the whole process
	Result load.Result    `json:"result,omitzero"`
	Stats  load.SinkStats `json:"stats,omitzero"`
}

// maxReply bounds a line between runner and worker: a result with a day's series.
const maxReply = 64 << 20

// Work is the other end of Processes: it serves the runner, a request a line on
// in and a reply a line on out, as source or as sink, until in ends.
func Work(ctx context.Context, role string, in io.Reader, out io.Writer) error {
	var serve func(context.Context, request) (reply, error)
	ctx, cancel := context.WithCancel(ctx)
	var s sinkWorker
	defer s.running.Wait()
	defer cancel()
	switch role {
	case roleSource:
		serve = new(sourceWorker).serve
	case roleSink:
		serve = s.serve
	default:
		return fmt.Errorf("no worker is called %q", role)
	}
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, maxReply)
	answers := json.NewEncoder(out)
	for sc.Scan() {
		var q request
		if err := json.Unmarshal(sc.Bytes(), &q); err != nil {
			return fmt.Errorf("a request that is none: %w", err)
		}
		limited, done := ctx, context.CancelFunc(func() {})
		if q.Most > 0 {
			limited, done = context.WithTimeout(ctx, q.Most)
		}
		if q.Do == "start" {
			limited = ctx // what is started goes on
		}
		a, err := serve(limited, q)
		done()
		if err != nil {
			a.Error = err.Error()
		}
		a.CPU = ownCPU()
		if err := answers.Encode(a); err != nil {
			return err
		}
	}
	return sc.Err()
}

// sourceWorker is a source.
type sourceWorker struct {
	source *source.Source
	sink   source.Sink
	result load.Result
}

func (w *sourceWorker) serve(ctx context.Context, q request) (a reply, err error) {
	switch {
	case q.Do == "start":
		cfg, err := source.Parse(q.Words)
		if err != nil {
			return a, err
		}
		w.sink = cfg.Sink
		w.source, err = source.New(cfg)
		return a, err
	case w.source == nil:
		return a, errors.New("not started")
	case q.Do == "send":
		w.result, err = w.source.Run(ctx)
	case q.Do == "await":
		err = w.await(ctx, q.Idle)
	default:
		return a, fmt.Errorf("a source cannot %q", q.Do)
	}
	a.Result = w.result
	return a, err
}

// stragglers is how long nothing may arrive before what was sent twice counts
// as complete.
const stragglers = 2 * time.Second

// await waits until every message that was accepted has arrived and nothing
// came after it for a while, or nothing new has come for idle, or ctx ends.
// That as many arrived as were accepted is not enough: after a crash some
// arrive whose 250 was never seen, and would stand for others that are missing.
func (w *sourceWorker) await(ctx context.Context, idle time.Duration) error {
	asking := context.WithoutCancel(ctx)
	last, joined, since := int64(-1), int64(-1), time.Now()
	for {
		s, err := w.sink.Stats(asking)
		if err != nil {
			return err
		}
		r := &w.result
		r.SinkConns, r.SinkPeak, r.SinkRefused, r.Signatures = s.Conns, s.PeakConns, s.Refused, s.Signatures
		if s.Total != last {
			last, since = s.Total, time.Now()
		}
		quiet := time.Since(since)
		if s.Unique >= r.Accepted && quiet >= min(stragglers, idle) && joined != s.Total {
			if err := w.join(asking); err != nil || r.Lost == 0 {
				return err
			}
			joined = s.Total // some are still missing: asking again is for when more came
		}
		if quiet >= idle || !pause(ctx, 100*time.Millisecond) {
			return w.join(asking)
		}
	}
}

// join compares what was accepted with what arrived.
func (w *sourceWorker) join(ctx context.Context) error {
	arrivals, err := w.sink.Arrivals(ctx, w.source.Name())
	if err != nil {
		return err
	}
	w.source.Join(&w.result, arrivals)
	return nil
}

// sinkWorker is a sink, with its name server.
type sinkWorker struct {
	sink    *sink.Sink
	domains []string // that have a manner of their own now
	running sync.WaitGroup
}

func (w *sinkWorker) serve(ctx context.Context, q request) (a reply, err error) {
	switch {
	case q.Do == "start":
		return a, w.start(ctx, q)
	case w.sink == nil:
		return a, errors.New("not started")
	case q.Do == "manner":
		err = w.manner(q.Words)
	case q.Do == "down":
		err = w.sink.Down(q.Down)
	case q.Do == "stats":
	default:
		err = fmt.Errorf("a sink cannot %q", q.Do)
	}
	a.Stats = w.sink.Stats().SinkStats
	return a, err
}

// start begins to receive and to answer DNS.
func (w *sinkWorker) start(ctx context.Context, q request) error {
	cfg, err := sink.Parse(q.Words)
	if err != nil {
		return err
	}
	for d := range cfg.Domains {
		w.domains = append(w.domains, d)
	}
	if w.sink, err = sink.New(cfg); err != nil {
		return err
	}
	done := make(chan error, 1)
	w.running.Go(func() { done <- w.sink.Run(ctx) })
	select {
	case err := <-done:
		return err
	case <-w.sink.Ready():
	}
	if q.DNS == "" {
		return nil
	}
	return w.names(ctx, q)
}

// names answers DNS for every name below "test".
func (w *sinkWorker) names(ctx context.Context, q request) error {
	hosts, err := sink.Hosts(fmt.Sprintf("127.1.0.1-%d", q.Hosts))
	if err != nil {
		return err
	}
	server, err := names.New(names.Config{Hosts: hosts, Own: q.Own})
	if err != nil {
		return err
	}
	ready, done := make(chan struct{}), make(chan error, 1)
	w.running.Go(func() { done <- server.Run(ctx, q.DNS, func(string) { close(ready) }) })
	select {
	case err := <-done:
		return fmt.Errorf("the name server: %w", err)
	case <-ready:
		return nil
	}
}

// manner replaces the manners of all hosts and of recipient domains.
func (w *sinkWorker) manner(words []string) error {
	cfg, err := sink.Parse(append([]string{"manner"}, words...))
	if err != nil {
		return err
	}
	err = w.sink.SetManner("", &cfg.Manner)
	for _, d := range w.domains {
		err = errors.Join(err, w.sink.SetManner("@"+d, nil))
	}
	w.domains = nil
	for d, m := range cfg.Domains {
		w.domains = append(w.domains, d)
		err = errors.Join(err, w.sink.SetManner("@"+d, &m))
	}
	return err
}
