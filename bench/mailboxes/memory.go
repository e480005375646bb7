package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// watch samples the resident memory of a process of Linux until stop is called,
// which gives what it was at first and at most, in octets. Without a process it
// gives nothing.
func watch(pid int) (stop func() (before, most int64)) {
	if pid == 0 {
		return func() (int64, int64) { return 0, 0 }
	}
	before := resident(pid)
	end, most := make(chan struct{}), make(chan int64)
	go func() {
		m := before
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-end:
				most <- max(m, resident(pid))
				return
			case <-tick.C:
				m = max(m, resident(pid))
			}
		}
	}()
	return func() (int64, int64) {
		close(end)
		return before, <-most
	}
}

// resident is VmRSS (proc(5)).
func resident(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	n, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	kib, _ := strconv.ParseInt(n, 10, 64)
	return kib << 10
}
