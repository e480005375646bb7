package scenario

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tenma/bench/load"
)

// runner makes one for fakes.
func runner(t *testing.T, text string, fakes ...*fake) (*Runner, *strings.Builder) {
	t.Helper()
	s, err := Parse("test", "test.scenario", text)
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPlace(t.TempDir(), "", s, false)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	r := &Runner{
		Scenario: s, Rounds: 1, Place: p, Out: &out, Tools: tools(t), settle: time.Millisecond,
		Results: filepath.Join(t.TempDir(), "results", "test.jsonl"),
	}
	for _, f := range fakes {
		f.sink = p.Sink
		r.Servers = append(r.Servers, f)
	}
	return r, &out
}

func (r *Runner) kept(t *testing.T) (all []load.Result) {
	t.Helper()
	text, err := os.ReadFile(r.Results)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var x load.Result
		if err := json.Unmarshal([]byte(line), &x); err != nil {
			t.Fatal(err)
		}
		all = append(all, x)
	}
	return all
}

// Two servers, two rounds, in turns; everything is counted, kept as it was, and
// taken down.
func TestRunPlain(t *testing.T) {
	t.Parallel()
	a, b := &fake{name: "a"}, &fake{name: "b"}
	r, out := runner(t, "source sessions=4 per-session=10 size=1KiB count=60\nwait idle=10s most=60s", a, b)
	r.Rounds = 2
	all, err := r.Run(t.Context())
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var order []string
	for _, x := range all {
		order = append(order, x.MTA)
		if x.Accepted != 60 || x.Delivered != 60 || x.Lost != 0 || x.Duplicates != 0 || x.Scenario != "test" || x.Version != "1.0" {
			t.Errorf("%+v", x)
		}
		if x.DeliverRate <= 0 || x.CPUPer1000 <= 0 || x.PeakRSS != 1<<20 || x.PeakPSS != 1<<19 || x.Extra["peak_processes"] != 3 || x.Extra["source_cpu_per_1000"] <= 0 || x.Extra["sink_cpu_per_1000"] <= 0 {
			t.Errorf("%+v", x)
		}
		if x.Machine.Cores < 1 || x.Sessions != 4 || x.Size == "" {
			t.Errorf("%+v", x)
		}
	}
	if !slices.Equal(order, []string{"a", "b", "a", "b"}) || all[0].Round != 1 || all[3].Round != 2 {
		t.Errorf("order %v", order)
	}
	if got := r.kept(t); len(got) != 4 || got[3].Run != all[3].Run {
		t.Errorf("kept: %+v", got)
	}
	if !a.closed || !b.closed {
		t.Error("a server was not taken down")
	}
}

// A kill under load: a server that keeps its mail loses none, one that forgets is
// found out, and so is one that sends it twice.
func TestRunKill(t *testing.T) {
	t.Parallel()
	good, bad, twice := &fake{name: "good"}, &fake{name: "forgets", forget: true}, &fake{name: "twice", again: true}
	// The sink is slow, so that something is kept when the kill comes.
	r, out := runner(t, "kind kill\nsink wait:dot=5ms\nsource sessions=4 per-session=5 size=1KiB count=100000 rate=300 duration=700ms patience=20s\nkill after=300ms\nwait idle=3s most=60s", good, bad, twice)
	all, err := r.Run(t.Context())
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	by := map[string]load.Result{}
	for _, x := range all {
		by[x.MTA] = x
		if x.Restart <= 0 || x.Accepted == 0 {
			t.Errorf("%s: %+v", x.MTA, x)
		}
	}
	if x := by["good"]; x.Lost != 0 {
		t.Errorf("lost %d", x.Lost)
	}
	if x := by["forgets"]; x.Lost == 0 {
		t.Errorf("what was forgotten is not lost: %+v", x)
	}
	if x := by["twice"]; x.Duplicates == 0 || x.Lost != 0 {
		t.Errorf("lost %d, duplicates %d", x.Lost, x.Duplicates)
	}
}

// The sink is down while mail comes in, or defers it; nothing arrives before
// the restart, all of it afterwards.
func TestRunBacklog(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"kind backlog\n", "kind backlog\nrefuse say:rcpt=451_later\n", "kind restart\n"} {
		f := &fake{name: "a"}
		r, out := runner(t, text+"source sessions=4 per-session=10 size=1KiB count=100\nwait idle=10s most=60s", f)
		all, err := r.Run(t.Context())
		if err != nil || len(all) != 2 {
			t.Fatalf("%v\n%s", err, out)
		}
		in, back := all[0], all[1]
		if in.Scenario != "test-in" || in.Accepted != 100 || in.Delivered != 0 || in.Lost != 0 || in.AcceptRate <= 0 {
			t.Errorf("%s in: %+v", text, in)
		}
		if back.Scenario != "test-out" || back.Delivered != 100 || back.Lost != 0 || back.DeliverRate <= 0 || back.Restart <= 0 || back.AcceptRate != 0 {
			t.Errorf("%s out: %+v", text, back)
		}
		if f.starts != 2 {
			t.Errorf("%d starts", f.starts)
		}
	}
}

// One that does not start is told of, and the others go on.
func TestRunBroken(t *testing.T) {
	t.Parallel()
	r, out := runner(t, "source count=5", &fake{name: "a", broken: true}, &fake{name: "b"})
	all, err := r.Run(t.Context())
	if err != nil || len(all) != 1 || all[0].MTA != "b" || !strings.Contains(out.String(), "a: out of order") {
		t.Errorf("%v\n%s", err, out)
	}
	r, _ = runner(t, "source count=5", &fake{name: "a", broken: true})
	if _, err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "a: out of order") {
		t.Errorf("%v", err)
	}
	// Words that a source does not know are its error, not a silence.
	r, _ = runner(t, "source count=5 colour=red", &fake{name: "a"})
	if _, err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "colour") {
		t.Errorf("%v", err)
	}
}

// An interruption ends the run under way, and takes down what it started.
func TestRunInterrupted(t *testing.T) {
	t.Parallel()
	f := &fake{name: "a"}
	r, out := runner(t, "sink wait:dot=1h\nsource sessions=2 count=50\nwait idle=1h most=1h", f)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := r.Run(ctx)
		done <- err
	}()
	for waiting := true; waiting; { // until mail is under way
		f.mu.Lock()
		waiting = len(f.kept) == 0
		f.mu.Unlock()
		if !pause(t.Context(), time.Millisecond) {
			t.Fatal("the test ended")
		}
	}
	cancel()
	if err := <-done; err == nil {
		t.Errorf("no error\n%s", out)
	}
	if !f.closed {
		t.Error("the server was not taken down")
	}
}

func TestNewPlace(t *testing.T) {
	s, err := Find("mx-1k")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewPlace(t.TempDir(), "", s, false); err == nil || !strings.Contains(err.Error(), "needs root") {
		t.Errorf("%v", err)
	}
	dir := t.TempDir()
	shut := filepath.Join(dir, "shut")
	if err := os.Mkdir(shut, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := NewPlace(filepath.Join(shut, "work"), "", s, true); err == nil || !strings.Contains(err.Error(), "--work") {
		t.Errorf("%v", err)
	}
	if s, err = Find("relay"); err != nil {
		t.Fatal(err)
	}
	var keys [2]string
	for i := range keys { // keys stay
		if _, err := NewPlace(dir, "", s, false); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"dkim-rsa.pem", "dkim-ed25519.pem", "tls-cert.pem", "tls-key.pem"} {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			keys[i] += string(text)
		}
	}
	if keys[0] != keys[1] {
		t.Error("keys were made anew")
	}
}
