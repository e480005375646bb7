package scenario

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"

	"tenma/bench/load"
)

// Times that a worker may take.
const (
	lastWait   = 10 * time.Second // to end
	resultTime = time.Minute      // to join arrivals, after the time for waiting is over
)

// Processes starts sources and sinks as processes of their own.
type Processes struct {
	// Command makes the command that ends in Work with this role.
	Command func(role string) *exec.Cmd
	// CPUs are the processors that they may run on, as taskset has them; "" for all.
	CPUs string
}

// Source starts a source; see Tools.
func (p Processes) Source(ctx context.Context, words []string) (Source, error) {
	w, err := p.start(ctx, roleSource, request{Do: "start", Words: words})
	return (*sourceProcess)(w), err
}

// Sink starts a sink; see Tools.
func (p Processes) Sink(ctx context.Context, words []string, n Domains) (Sink, error) {
	w, err := p.start(ctx, roleSink, request{Do: "start", Words: words, DNS: n.Address, Hosts: n.Hosts, Own: n.Own})
	return (*sinkProcess)(w), err
}

// worker is the runner's end.
type worker struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	words lastWords

	mu  sync.Mutex
	cpu float64
}

func (p Processes) start(ctx context.Context, role string, first request) (*worker, error) {
	w := &worker{cmd: p.Command(role)}
	if p.CPUs != "" {
		taskset, err := exec.LookPath("taskset")
		if err != nil {
			return nil, fmt.Errorf("choosing processors for the %s: %w", role, err)
		}
		w.cmd.Args = append([]string{taskset, "-c", p.CPUs, w.cmd.Path}, w.cmd.Args[1:]...)
		w.cmd.Path = taskset
	}
	var err error
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.out = bufio.NewReader(out)
	w.cmd.Stderr = &w.words
	if err := w.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the %s: %w", role, err)
	}
	if _, err := w.ask(ctx, first); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// ask sends a request and waits for the reply. When ctx ends first the worker
// is killed: it has nothing to lose.
func (w *worker) ask(ctx context.Context, q request) (a reply, err error) {
	ctx, done := grace(ctx)
	defer done()
	if end, ok := ctx.Deadline(); ok {
		q.Most = max(time.Millisecond, time.Until(end)-resultTime)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return a, err
	}
	defer context.AfterFunc(ctx, func() { w.cmd.Process.Kill() })()
	line, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	if _, err = w.in.Write(append(line, '\n')); err == nil {
		line, err = w.out.ReadBytes('\n')
	}
	if err == nil {
		err = json.Unmarshal(line, &a)
	}
	switch {
	case ctx.Err() != nil:
		return a, ctx.Err()
	case err != nil:
		return a, fmt.Errorf("the worker ended: %w %s", err, w.words.String())
	}
	w.cpu = a.CPU
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}

// grace gives a context that ends a little later than ctx if that runs out of
// time, since the worker keeps the time itself and has a result then; and at
// once if ctx is cancelled.
func grace(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	later, cancel := context.WithDeadline(context.WithoutCancel(ctx), end.Add(resultTime))
	stop := context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.Canceled) {
			cancel()
		}
	})
	return later, func() { stop(); cancel() }
}

// close ends the worker, which notices that nobody asks any more.
func (w *worker) close() error {
	w.in.Close()
	stop := time.AfterFunc(lastWait, func() { w.cmd.Process.Kill() })
	defer stop.Stop()
	io.Copy(io.Discard, w.out)
	var exit *exec.ExitError
	if err := w.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return err
	}
	return nil
}

// lastWords keeps the beginning of what a worker complains about.
type lastWords struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lastWords) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p[:min(len(p), max(0, 4096-l.text.Len()))])
	return len(p), nil
}

func (l *lastWords) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(l.text.String())
}

type sourceProcess worker

func (s *sourceProcess) Send(ctx context.Context) (load.Result, error) {
	a, err := (*worker)(s).ask(ctx, request{Do: "send"})
	return a.Result, err
}

func (s *sourceProcess) Await(ctx context.Context, idle time.Duration) (load.Result, error) {
	a, err := (*worker)(s).ask(ctx, request{Do: "await", Idle: idle})
	return a.Result, err
}

func (s *sourceProcess) CPU() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cpu
}

func (s *sourceProcess) Close() error { return (*worker)(s).close() }

type sinkProcess worker

func (s *sinkProcess) Stats(ctx context.Context) (load.SinkStats, error) {
	a, err := (*worker)(s).ask(ctx, request{Do: "stats"})
	return a.Stats, err
}

func (s *sinkProcess) Manner(ctx context.Context, words []string) error {
	_, err := (*worker)(s).ask(ctx, request{Do: "manner", Words: words})
	return err
}

func (s *sinkProcess) Down(ctx context.Context, down bool) error {
	_, err := (*worker)(s).ask(ctx, request{Do: "down", Down: down})
	return err
}

func (s *sinkProcess) CPU(ctx context.Context) float64 {
	(*worker)(s).ask(ctx, request{Do: "stats"})
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cpu
}

func (s *sinkProcess) Close() error { return (*worker)(s).close() }
