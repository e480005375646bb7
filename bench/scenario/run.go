package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tenma/bench/load"
)

// settle is how long a server is left alone after its greeting, so that what it
// does on starting is not measured.
const settle = time.Second

// Runner runs one scenario against several servers, in turns.
type Runner struct {
	Scenario Scenario
	Servers  []Server
	Rounds   int
	Tools    Tools
	Place    Place     // where sink and name server are
	Results  string    // file that each result is appended to, a line of JSON; "" for none
	Out      io.Writer // one plain line for each thing that happens

	settle  time.Duration
	machine load.Machine
}

// Run runs all rounds and gives their results, also those before an error. A
// server that fails is told of and left out of that round; the error is nil if
// another gave a result. When ctx ends, what is under way is taken down.
func (r *Runner) Run(ctx context.Context) ([]load.Result, error) {
	var all []load.Result
	var problems []error
	if r.settle == 0 {
		r.settle = settle
	}
	r.machine = ThisMachine(r.Place.Work)
	for round := 1; round <= r.Rounds; round++ {
		for _, s := range r.Servers {
			if err := ctx.Err(); err != nil {
				return all, errors.Join(errors.New("interrupted"), err)
			}
			r.say("round %d of %d: %s, %s", round, r.Rounds, r.Scenario.Name, s.Name())
			results, err := r.one(ctx, s, round)
			if err != nil {
				r.say("  %s: %v", s.Name(), err)
				problems = append(problems, fmt.Errorf("%s: %w", s.Name(), err))
				if len(results) == 0 && ctx.Err() == nil {
					if err := r.keep(r.failed(s, round, err)); err != nil {
						return all, err
					}
				}
			}
			for _, x := range results {
				r.say("  %s", Line(x))
				if err := r.keep(x); err != nil {
					return all, err
				}
				all = append(all, x)
			}
		}
	}
	if len(all) == 0 {
		return nil, errors.Join(problems...)
	}
	return all, ctx.Err()
}

// failed is the result of a run that gave none: it says why, so that a table can.
func (r *Runner) failed(s Server, round int, err error) load.Result {
	why, _, _ := strings.Cut(err.Error(), "\n")
	return load.Result{
		Scenario: r.Scenario.Name, MTA: s.Name(), Round: round, Started: time.Now(), Machine: r.machine,
		Problem: printable(why[:min(len(why), 500)]),
	}
}

func (r *Runner) say(format string, args ...any) {
	fmt.Fprintln(r.Out, strings.TrimRight(fmt.Sprintf(format, args...), "\n"))
}

// keep appends a result to the file, so that an interruption loses none.
func (r *Runner) keep(x load.Result) error {
	if r.Results == "" {
		return nil
	}
	line, err := json.Marshal(x)
	if err != nil {
		return fmt.Errorf("keeping a result: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(r.Results), 0o755); err != nil {
		return fmt.Errorf("keeping a result: %w", err)
	}
	f, err := os.OpenFile(r.Results, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("keeping a result: %w", err)
	}
	if _, err = f.Write(append(line, '\n')); err == nil {
		err = f.Close()
	}
	return err
}

// turn is one run of one server.
type turn struct {
	*Runner
	server  Server
	sink    Sink
	source  Source
	run     string
	version string
	round   int
	disk    disk
	kept    string // folder of the messages whose signatures are verified, "" for none
}

// one runs the scenario once against one server. Whatever happens, nothing of
// it runs on afterwards.
func (r *Runner) one(ctx context.Context, s Server, round int) (results []load.Result, err error) {
	t := &turn{Runner: r, server: s, round: round, run: runName(r.Scenario.Name, s.Name(), round)}
	t.disk = findDisk(r.Place.Work)
	defer func() { err = errors.Join(err, s.Close()) }()
	if t.version, err = s.Prepare(ctx); err != nil {
		return nil, err
	}
	if err := t.keepMessages(); err != nil {
		return nil, err
	}
	// After the sink has ended, and with it all that is measured.
	defer func() { err = errors.Join(err, t.verify(ctx, results)) }()
	words := append(t.keepWords(), r.Place.sinkWords(r.Scenario, r.Scenario.Sink)...)
	t.sink, err = r.Tools.Sink(ctx, words, Domains{r.Place.DNS, r.Scenario.Hosts, r.Scenario.Own})
	if err != nil {
		return nil, fmt.Errorf("the sink: %w", err)
	}
	defer func() { err = errors.Join(err, t.sink.Close()) }()
	if _, err := s.Start(ctx); err != nil {
		return nil, err
	}
	if !pause(ctx, r.settle) {
		return nil, ctx.Err()
	}
	wait := r.Scenario.Idle
	if k := r.Scenario.Kind; k != Plain && k != Syncs {
		wait = 0
	}
	t.source, err = r.Tools.Source(ctx, r.Place.sourceWords(r.Scenario, s.Input(), t.run, wait))
	if err != nil {
		return nil, fmt.Errorf("the source: %w", err)
	}
	defer func() { err = errors.Join(err, t.source.Close()) }()
	switch r.Scenario.Kind {
	case Backlog:
		results, err = t.backlog(ctx)
	case Restart:
		results, err = t.restart(ctx)
	case Kill:
		results, err = t.kill(ctx)
	case Queued:
		results, err = t.queued(ctx)
	case Syncs:
		results, err = t.syncs(ctx)
	default:
		results, err = t.plain(ctx)
	}
	if err != nil {
		return results, err
	}
	return results, s.Stop(ctx)
}

// label puts into a result what the source cannot know.
func (t *turn) label(x *load.Result, part string) {
	x.Scenario, x.MTA, x.Version, x.Settings = t.Scenario.Name+part, t.server.Name(), t.version, t.server.Settings()
	x.Run, x.Round, x.Machine = t.run, t.round, t.machine
}

// tools notes what source and sink cost, so that the share of the suite itself
// is known.
func (t *turn) tools(ctx context.Context, x *load.Result, messages int64) {
	if messages > 0 {
		extra(x, "source_cpu_per_1000", t.source.CPU()/float64(messages)*1000)
		extra(x, "sink_cpu_per_1000", t.sink.CPU(ctx)/float64(messages)*1000)
	}
}

// send lets the source send, within the scenario's time.
func (t *turn) send(ctx context.Context) (load.Result, error) {
	limit := t.Scenario.Most
	if d, err := duration(t.Scenario.sourceWord("duration")); err == nil {
		limit += d
	} else {
		limit += 24 * time.Hour // a count ends it
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return t.source.Send(ctx)
}

// plain is load, until all has arrived.
func (t *turn) plain(ctx context.Context) ([]load.Result, error) {
	m := watch(ctx, t.server, t.disk)
	x, err := t.send(ctx)
	samples := m.end()
	if err != nil {
		return nil, err
	}
	t.label(&x, "")
	account(&x, samples, x.Delivered)
	if n, ok := m.written(ctx); ok && x.Delivered > 0 {
		x.Written = n / float64(x.Delivered)
	}
	t.tools(ctx, &x, x.Delivered)
	return []load.Result{x}, nil
}

// kill is plain with a SIGKILL under load. What arrives afterwards is joined
// with what was accepted: that which is missing is lost.
func (t *turn) kill(ctx context.Context) ([]load.Result, error) {
	m := watch(ctx, t.server, t.disk)
	var again time.Duration
	var problem error
	var killer sync.WaitGroup
	killer.Go(func() {
		if !pause(ctx, t.Scenario.KillAfter) {
			problem = ctx.Err()
			return
		}
		if problem = t.server.Kill(); problem != nil {
			return
		}
		t.say("  killed; starting again")
		if again, problem = t.server.Start(ctx); problem == nil {
			problem = t.server.Kick(ctx)
		}
	})
	_, err := t.send(ctx)
	killer.Wait()
	var x load.Result
	if err = errors.Join(err, problem); err == nil {
		limited, cancel := context.WithTimeout(ctx, t.Scenario.Most)
		x, err = t.source.Await(limited, t.Scenario.Idle)
		cancel()
	}
	samples := m.end()
	if err != nil {
		return nil, err
	}
	t.label(&x, "")
	account(&x, samples, x.Delivered)
	x.Restart = again.Seconds()
	t.tools(ctx, &x, x.Delivered)
	return []load.Result{x}, nil
}

// runName names a run in the messages' tags: letters, digits, dots, hyphens.
func runName(scenario, server string, round int) string {
	name := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' {
			return c
		}
		return '-'
	}, scenario+"."+server)
	return fmt.Sprintf("%.40s.%d.%d", name, round, time.Now().UnixMilli()%1e9)
}

// pause reports false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Line is a result in one line, for those who watch.
func Line(x load.Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: accepted %d at %.0f/s, delivered %d at %.0f/s", x.Scenario, x.MTA, x.Accepted, x.AcceptRate, x.Delivered, x.DeliverRate)
	fmt.Fprintf(&b, "; ack p50 %.1f p99 %.1f ms; transit p50 %.1f p99 %.1f ms", x.Ack.P50, x.Ack.P99, x.Transit.P50, x.Transit.P99)
	fmt.Fprintf(&b, "; CPU %.2f s/1000; RSS %d MiB; %.1f KiB written, %.2f flushes a message", x.CPUPer1000, x.PeakRSS>>20, x.DiskBytes/1024, x.Flushes)
	fmt.Fprintf(&b, "; lost %d, duplicates %d", x.Lost, x.Duplicates)
	if x.Restart > 0 {
		fmt.Fprintf(&b, "; restart %.2f s", x.Restart)
	}
	if n := x.SoftErrors + x.HardErrors + x.ConnErrors; n > 0 {
		fmt.Fprintf(&b, "; %d errors, the first: %s", n, x.FirstError)
	}
	return b.String()
}
