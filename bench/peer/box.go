package peer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Usage is what a server's processes have used since the box was made.
type Usage struct {
	User, System time.Duration
	RSS, PSS     int64 // octets now: the sum over the processes; PSS counts shared pages once
	Processes    int   // now
}

// Box holds the processes of one server.
type Box interface {
	// Command is bash running text, with script as $0, in the box.
	Command(ctx context.Context, text, script string) (*exec.Cmd, error)
	// Usage sums over the processes.
	Usage() (Usage, error)
	// Processes gives their ids.
	Processes() ([]int, error)
	// Kill ends them and returns when they are gone.
	Kill() error
	// Remove undoes what making the box did. Kill comes first.
	Remove() error
}

// killTime bounds how long killed processes may take to be gone.
const killTime = 20 * time.Second

// cgroup is a Box in a control group, version 2.
type cgroup struct {
	dir    string
	resolv string // file that is mounted over /etc/resolv.conf, "" for none
}

// NewBox makes a box: a control group called name where the machine has them
// and we may make one, else a Tree, with why saying what is missing. The
// processes find the file resolv as /etc/resolv.conf; only root can do that.
func NewBox(name, resolv string) (b Box, why string) {
	if os.Geteuid() != 0 {
		return newTree(), "not root: no control groups and no mount namespace; costs are sampled from the tree of processes, and mail goes to a smarthost only"
	}
	if err := exec.Command("unshare", "-m", "--propagation", "private", "true").Run(); err != nil {
		return newTree(), "no mount namespace can be made (unshare -m: " + err.Error() + "); costs are sampled from the tree of processes, and mail goes to a smarthost only"
	}
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return newTree(), "no /proc/mounts: not Linux?"
	}
	root := hierarchy(string(mounts))
	if root == "" {
		return newTree(), "no control groups version 2 are mounted (mount -t cgroup2 none DIR); costs are sampled from the tree of processes"
	}
	c := &cgroup{dir: filepath.Join(root, "tenma-bench-"+strconv.Itoa(os.Getpid()), name), resolv: resolv}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return newTree(), "no control group can be made (" + err.Error() + "); costs are sampled from the tree of processes"
	}
	if _, err := os.Stat(filepath.Join(c.dir, "cgroup.kill")); err != nil {
		os.Remove(c.dir)
		os.Remove(filepath.Dir(c.dir))
		return newTree(), "control groups have no cgroup.kill: a kernel older than 5.14; costs are sampled from the tree of processes"
	}
	return c, ""
}

// hierarchy finds where control groups version 2 are mounted, as /proc/mounts
// tells it; "" for nowhere.
func hierarchy(mounts string) string {
	for line := range strings.Lines(mounts) {
		if f := strings.Fields(line); len(f) > 2 && f[2] == "cgroup2" {
			return strings.ReplaceAll(f[1], `\040`, " ")
		}
	}
	return ""
}

func (c *cgroup) Command(ctx context.Context, text, script string) (*exec.Cmd, error) {
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return nil, err
	}
	if c.resolv != "" {
		text = `mount --bind "$RESOLV" /etc/resolv.conf || exit; ` + text
	}
	// bash moves itself, so that none of its children is ever outside.
	enter := `echo $$ > "$BOX/cgroup.procs" || exit; exec unshare -m --propagation private bash -c "$TEXT" "$0"`
	return exec.CommandContext(ctx, "env", "BOX="+c.dir, "RESOLV="+c.resolv, "TEXT="+text, "bash", "-c", enter, script), nil
}

func (c *cgroup) Processes() ([]int, error) {
	text, err := os.ReadFile(filepath.Join(c.dir, "cgroup.procs"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []int
	for _, f := range strings.Fields(string(text)) {
		if pid, err := strconv.Atoi(f); err == nil {
			all = append(all, pid)
		}
	}
	return all, nil
}

func (c *cgroup) Usage() (Usage, error) {
	text, err := os.ReadFile(filepath.Join(c.dir, "cpu.stat"))
	if err != nil {
		return Usage{}, fmt.Errorf("reading what the server used: %w", err)
	}
	u := Usage{User: statMicros(string(text), "user_usec"), System: statMicros(string(text), "system_usec")}
	pids, err := c.Processes()
	u.addMemory(pids)
	return u, err
}

// statMicros reads one line of cpu.stat.
func statMicros(stat, key string) time.Duration {
	for line := range strings.Lines(stat) {
		if k, v, _ := strings.Cut(strings.TrimSpace(line), " "); k == key {
			n, _ := strconv.ParseInt(v, 10, 64)
			return time.Duration(n) * time.Microsecond
		}
	}
	return 0
}

func (c *cgroup) Kill() error {
	err := os.WriteFile(filepath.Join(c.dir, "cgroup.kill"), []byte("1"), 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("killing the server: %w", err)
	}
	return gone(c.Processes)
}

func (c *cgroup) Remove() error {
	// A process leaves cgroup.procs some time before the group is free of it.
	for limit := time.Now().Add(killTime); ; time.Sleep(10 * time.Millisecond) {
		err := os.Remove(c.dir)
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		if err == nil || time.Now().After(limit) {
			os.Remove(filepath.Dir(c.dir)) // fails while another server's is in it
			return err
		}
	}
}

// gone waits until there are no processes.
func gone(processes func() ([]int, error)) error {
	for end := time.Now().Add(killTime); ; time.Sleep(time.Millisecond) {
		pids, err := processes()
		if err != nil || len(pids) == 0 {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("processes %v do not end", pids)
		}
	}
}

// addMemory adds what the processes hold. Those that end meanwhile count zero.
func (u *Usage) addMemory(pids []int) {
	u.Processes = len(pids)
	page := int64(os.Getpagesize())
	for _, pid := range pids {
		dir := "/proc/" + strconv.Itoa(pid)
		if text, err := os.ReadFile(dir + "/statm"); err == nil {
			if f := strings.Fields(string(text)); len(f) > 1 {
				n, _ := strconv.ParseInt(f[1], 10, 64)
				u.RSS += n * page
			}
		}
		if text, err := os.ReadFile(dir + "/smaps_rollup"); err == nil {
			u.PSS += pss(string(text))
		}
	}
}

// pss reads the proportional set size out of a smaps_rollup.
func pss(rollup string) int64 {
	sc := bufio.NewScanner(strings.NewReader(rollup))
	for sc.Scan() {
		if f := strings.Fields(sc.Text()); len(f) == 3 && f[0] == "Pss:" {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n << 10
		}
	}
	return 0
}
