package scenario

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tenma/bench/load"
)

// traced are the system calls that are looked at: those that move the octets of
// messages and replies, and those that make them durable.
const traced = "read,readv,pread64,recvfrom,recvmsg,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,sendmmsg,openat,fsync,fdatasync,sync,syncfs,sync_file_range,msync"

// attachTime bounds how long strace may take to hold of all threads.
const attachTime = 20 * time.Second

// syncs sends a few messages while strace follows the server, and pairs each 250
// with a sync.
func (t *turn) syncs(ctx context.Context) ([]load.Result, error) {
	file := filepath.Join(t.Place.Work, "run", "strace."+t.server.Name())
	stop, err := t.trace(ctx, file)
	if err != nil {
		return nil, err
	}
	x, err := t.send(ctx)
	if err := errors.Join(err, stop()); err != nil {
		return nil, err
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading the trace: %w", err)
	}
	defer f.Close()
	p, err := pairSyncs(f, t.run)
	if err != nil {
		return nil, fmt.Errorf("reading the trace: %w", err)
	}
	t.label(&x, "")
	extra(&x, "replies", float64(p.replies))
	extra(&x, "replies_behind_sync", float64(p.paired))
	for name, n := range p.calls {
		extra(&x, name+"_calls", float64(n))
	}
	t.say("  %s: %d of %d replies 250 behind a completed sync of the message; calls: %s", t.server.Name(), p.paired, p.replies, p.callText())
	for _, fault := range p.faults[:min(3, len(p.faults))] {
		t.say("    %s", fault)
	}
	return []load.Result{x}, nil
}

// trace follows all of the server's threads with strace until stop is called.
func (t *turn) trace(ctx context.Context, file string) (stop func() error, err error) {
	if _, err := exec.LookPath("strace"); err != nil {
		return nil, errors.New("strace is not installed (tenma bench run --install, or apt-get install strace)")
	}
	pids, err := t.server.Processes()
	if err != nil {
		return nil, err
	}
	if len(pids) == 0 {
		return nil, errors.New("there are no processes to trace")
	}
	// Messages of this scenario are short: 64 KiB hold one and its envelope.
	args := []string{"-f", "-qq", "-yy", "-s", "65536", "-e", "trace=" + traced, "-o", file}
	for _, p := range pids {
		args = append(args, "-p", strconv.Itoa(p))
	}
	cmd := exec.Command("strace", args...)
	var words bytes.Buffer
	cmd.Stderr = &words
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting strace: %w", err)
	}
	stop = func() error {
		cmd.Process.Signal(os.Interrupt) // it lets go of the processes
		var exit *exec.ExitError
		if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
			return fmt.Errorf("strace: %w", err)
		}
		return nil
	}
	for end := time.Now().Add(attachTime); ; {
		if allTraced(pids) {
			return stop, nil
		}
		if !pause(ctx, 10*time.Millisecond) || time.Now().After(end) {
			err := stop()
			return nil, errors.Join(fmt.Errorf("strace does not get hold of the processes: %s", strings.TrimSpace(words.String())), err)
		}
	}
}

// allTraced reports whether every thread that is still there has a tracer.
func allTraced(pids []int) bool {
	for _, pid := range pids {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
		for _, status := range threads {
			text, err := os.ReadFile(status)
			if err == nil && field(string(text), "TracerPid:") == "0" {
				return false
			}
		}
	}
	return true
}
