package scenario

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// disk is the block device that a folder is on. The zero value counts nothing.
type disk struct {
	name string // "vda"
	kind string // "ext4"
	stat string // file of its counters
}

// diskCount are a device's counters, of all who use it.
type diskCount struct{ written, flushes int64 } // octets; flush requests

// findDisk finds the device of the spool. Where there is none of its own, as
// with tmpfs or in some containers, the zero value serves: bytes are not counted.
func findDisk(dir string) disk {
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return disk{}
	}
	dir, err = filepath.EvalSymlinks(dir)
	if err != nil {
		return disk{}
	}
	number, source, kind := mountOf(string(info), dir)
	d := disk{kind: kind}
	link, err := filepath.EvalSymlinks("/sys/dev/block/" + number)
	if err != nil { // btrfs and others have a number that is no device's
		link, err = filepath.EvalSymlinks("/sys/class/block/" + filepath.Base(source))
	}
	if err != nil {
		return d
	}
	if _, err := os.Stat(filepath.Join(link, "partition")); err == nil {
		link = filepath.Dir(link) // flushes are counted for the whole disk only
	}
	d.name, d.stat = filepath.Base(link), filepath.Join(link, "stat")
	return d
}

// mountOf finds the mount that dir is in: its device number, its source and its
// file system (proc(5), mountinfo).
func mountOf(info, dir string) (number, source, kind string) {
	best := -1
	for line := range strings.Lines(info) {
		head, tail, _ := strings.Cut(strings.TrimSpace(line), " - ")
		f, g := strings.Fields(head), strings.Fields(tail)
		if len(f) < 5 || len(g) < 2 {
			continue
		}
		point := strings.ReplaceAll(f[4], `\040`, " ")
		inside := point == "/" || dir == point || strings.HasPrefix(dir, point+"/")
		if inside && len(point) >= best { // the last of equals lies on top
			best, number, source, kind = len(point), f[2], g[1], g[0]
		}
	}
	return number, source, kind
}

func (d disk) count() diskCount {
	if d.stat == "" {
		return diskCount{}
	}
	text, err := os.ReadFile(d.stat)
	if err != nil {
		return diskCount{}
	}
	return parseDiskStat(string(text))
}

// parseDiskStat reads a block device's stat file: the seventh number is sectors
// of 512 octets written, the sixteenth flush requests (since Linux 5.5).
func parseDiskStat(text string) (c diskCount) {
	f := strings.Fields(text)
	if len(f) > 6 {
		n, _ := strconv.ParseInt(f[6], 10, 64)
		c.written = n * 512
	}
	if len(f) > 15 {
		c.flushes, _ = strconv.ParseInt(f[15], 10, 64)
	}
	return c
}

func (d disk) String() string {
	if d.name == "" {
		return strings.TrimSpace(d.kind + ", no device of its own: bytes and flushes are not counted")
	}
	return fmt.Sprintf("%s on %s", d.kind, d.name)
}

// spoolSize is what du would say of a folder: octets on disk of all that is in
// it. Files that go away meanwhile do not count.
func spoolSize(dir string) (total int64) {
	if dir == "" {
		return 0
	}
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := e.Info(); err == nil {
			total += onDisk(info)
		}
		return nil
	})
	return total
}
