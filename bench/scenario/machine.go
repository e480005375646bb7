package scenario

import (
	"os"
	"runtime"
	"strconv"
	"strings"

	"tenma/bench/load"
)

// ThisMachine describes where a comparison runs, with its spools in dir. What
// cannot be told stays empty.
func ThisMachine(dir string) load.Machine {
	read := func(file string) string { b, _ := os.ReadFile(file); return string(b) }
	kib, _ := strconv.ParseFloat(strings.TrimSuffix(field(read("/proc/meminfo"), "MemTotal:"), " kB"), 64)
	return load.Machine{
		CPU:      strings.TrimSpace(strings.TrimPrefix(field(read("/proc/cpuinfo"), "model name"), ":")),
		Cores:    runtime.NumCPU(),
		MemoryGB: kib * 1024 / 1e9,
		Kernel:   strings.TrimSpace(read("/proc/sys/kernel/osrelease")),
		System:   strings.Trim(field(read("/etc/os-release"), "PRETTY_NAME="), `"`),
		Disk:     findDisk(dir).String(),
	}
}

// field gives what follows key on the first line that begins with it.
func field(text, key string) string {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}
