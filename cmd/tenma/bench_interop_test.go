//go:build interop

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"tenma/bench/load"
)

// TestInteropBenchRun compares tenma and a real Postfix on a few messages: each
// in its control group, with all that is measured, and nothing is lost.
func TestInteropBenchRun(t *testing.T) {
	t.Parallel()
	if out, err := exec.Command("unshare", "-m", "true").CombinedOutput(); err != nil {
		t.Skipf("Postfix wants a namespace of its own: %v, %s", err, out)
	}
	bin := binary(t)
	// Postfix gives up root, and cannot enter the test's folders.
	work, err := os.MkdirTemp("/var/tmp", "tenma-bench-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(work) })
	if err := os.Chmod(work, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "bench", "run", "relay", "tenma", "postfix", "--rounds=1", "--work", work, "--with", "source count=500")
	var table, progress bytes.Buffer
	cmd.Stdout, cmd.Stderr = &table, &progress
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, &progress, &table)
	}
	t.Logf("\n%s%s", &progress, &table)
	files, err := filepath.Glob(filepath.Join(work, "results", "relay-*.jsonl"))
	if err != nil || len(files) != 1 {
		t.Fatalf("results %q: %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for line := range bytes.Lines(text) {
		var r load.Result
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		seen[r.MTA] = true
		if r.Accepted != 500 || r.Delivered != 500 || r.Lost != 0 {
			t.Errorf("%s: accepted %d, delivered %d, lost %d", r.MTA, r.Accepted, r.Delivered, r.Lost)
		}
		if r.Version == "" || r.CPUPer1000 <= 0 || r.PeakRSS <= 0 || r.PeakPSS <= 0 || r.Transit.P50 <= 0 {
			t.Errorf("%s: something was not measured: %s", r.MTA, line)
		}
	}
	if !seen["tenma"] || !seen["postfix"] {
		t.Errorf("results of %v", seen)
	}
}
