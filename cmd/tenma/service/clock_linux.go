package service

import (
	"time"

	"golang.org/x/sys/unix"
)

// monotonic is the kernel's CLOCK_MONOTONIC, by which systemd tells a reload from
// the one before.
func monotonic() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // cannot fail for this clock
	return time.Duration(t.Nano())
}
