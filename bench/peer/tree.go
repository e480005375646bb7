package peer

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// tree is the Box of those who may not make control groups: the processes that
// descend from this one, but for those that were there before. Daemons that
// leave their parents come to this process, which takes them in. What a process
// used that ended between two samples is known only if its parent waited for it.
type tree struct {
	mu     sync.Mutex
	before map[int]bool
	used   map[int][2]time.Duration // by process: what it and the children it waited for used
}

func newTree() *tree { return &tree{before: map[int]bool{}, used: map[int][2]time.Duration{}} }

func (t *tree) Command(ctx context.Context, text, script string) (*exec.Cmd, error) {
	adopt()
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.before) == 0 {
		t.before[os.Getpid()] = true
		for _, p := range descendants(os.Getpid(), processes()) {
			t.before[p.id] = true
		}
	}
	return exec.CommandContext(ctx, "bash", "-c", text, script), nil
}

// process is a line of /proc/PID/stat.
type process struct {
	id, parent   int
	zombie       bool
	user, system time.Duration // with the children it waited for
}

// tick is the unit of times in /proc/PID/stat: USER_HZ is 100 on all of Linux.
const tick = time.Second / 100

// parseStat reads /proc/PID/stat. The second field, the program's name in
// parentheses, may hold anything.
func parseStat(text string) (p process, ok bool) {
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 1 || end < open {
		return p, false
	}
	id, err := strconv.Atoi(strings.TrimSpace(text[:open]))
	f := strings.Fields(text[end+1:])
	if err != nil || len(f) < 15 {
		return p, false
	}
	n := func(i int) int { v, _ := strconv.Atoi(f[i]); return v }
	return process{id: id, parent: n(1), zombie: f[0] == "Z", user: time.Duration(n(11)+n(13)) * tick, system: time.Duration(n(12)+n(14)) * tick}, true
}

// processes reads the table of the machine's processes.
func processes() []process {
	var all []process
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil {
			if p, ok := parseStat(string(text)); ok {
				all = append(all, p)
			}
		}
	}
	return all
}

// descendants gives the processes below root.
func descendants(root int, all []process) []process {
	var below []process
	in := map[int]bool{root: true}
	for found := true; found; {
		found = false
		for _, p := range all {
			if in[p.parent] && !in[p.id] {
				in[p.id], found = true, true
				below = append(below, p)
			}
		}
	}
	return below
}

// ours gives the processes of the box, and takes leave of those that ended.
func (t *tree) ours() []process {
	return slices.DeleteFunc(descendants(os.Getpid(), processes()), func(p process) bool {
		if t.before[p.id] {
			return true
		}
		if p.zombie && p.parent == os.Getpid() {
			if _, known := t.used[p.id]; known { // not one that os/exec is waiting for
				reap(p.id)
			}
		}
		return p.zombie
	})
}

func (t *tree) Processes() ([]int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var ids []int
	if len(t.before) == 0 {
		return nil, nil
	}
	for _, p := range t.ours() {
		ids = append(ids, p.id)
		t.used[p.id] = [2]time.Duration{p.user, p.system}
	}
	return ids, nil
}

func (t *tree) Usage() (u Usage, err error) {
	ids, err := t.Processes()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, used := range t.used {
		u.User += used[0]
		u.System += used[1]
	}
	u.addMemory(ids)
	return u, err
}

func (t *tree) Kill() error {
	for limit := time.Now().Add(killTime); ; time.Sleep(time.Millisecond) {
		ids, err := t.Processes()
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			end(id)
		}
		if time.Now().After(limit) {
			return fmt.Errorf("processes %v do not end", ids)
		}
	}
}

func (t *tree) Remove() error { return nil }
