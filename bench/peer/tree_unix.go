//go:build unix

package peer

import "syscall"

// reap takes leave of a child that ended.
func reap(pid int) { _, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil) }

// end ends a process; it may be gone already.
func end(pid int) { _ = syscall.Kill(pid, syscall.SIGKILL) }
