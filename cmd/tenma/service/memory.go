package service

import (
	"io/fs"
	"log/slog"
	"path"
	"strconv"
	"strings"
)

// share is the part of the cgroup's memory that the Go runtime may take. The rest
// is for what it does not count: the page cache of spool and mail log, which the
// cgroup does, and the block cache where it lies outside the Go heap.
const share = 0.75

// LimitMemory makes the garbage collector keep to three quarters of what the
// cgroup (v2) allows, so that a burst costs CPU and not the process. root is the
// root of the file system, set runtime/debug.SetMemoryLimit. GOMEMLIMIT in the
// environment wins; without a limit nothing is set.
func LimitMemory(root fs.FS, getenv func(string) string, set func(int64) int64, log *slog.Logger) {
	if own := getenv("GOMEMLIMIT"); own != "" {
		log.Info("memory limit", "limit", own, "from", "GOMEMLIMIT")
		return
	}
	allowed, where := cgroupMemory(root)
	if allowed <= 0 {
		return
	}
	limit := int64(share * float64(allowed))
	set(limit)
	log.Info("memory limit", "limit_bytes", limit, "cgroup_bytes", allowed, "from", "/"+where)
}

// cgroupMemory gives the least of the limits from our cgroup up to the root, and
// the file that has it; 0 where there is none. Above memory.high the kernel
// slows a process down, above memory.max it kills it.
func cgroupMemory(root fs.FS) (least int64, where string) {
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0, ""
	}
	own, ok := "", false
	for line := range strings.Lines(string(text)) { // v2's line is 0::/path (cgroups(7))
		if p, v2 := strings.CutPrefix(line, "0::"); v2 {
			own, ok = strings.TrimSpace(p), true
		}
	}
	if !ok {
		return 0, ""
	}
	const mount = "sys/fs/cgroup"
	// path.Clean keeps what a foreign namespace may show, such as /../x, below the mount.
	for dir := path.Join(mount, path.Clean("/"+own)); ; dir = path.Dir(dir) {
		for _, name := range []string{"memory.max", "memory.high"} {
			file := path.Join(dir, name)
			text, err := fs.ReadFile(root, file)
			if err != nil {
				continue
			}
			n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // "max" is none
			if err == nil && n > 0 && (least == 0 || n < least) {
				least, where = n, file
			}
		}
		if dir == mount {
			return least, where
		}
	}
}
