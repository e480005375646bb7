//go:build unix

package external

import (
	"os/exec"
	"syscall"
)

// alone puts a program into a process group of its own, which ends whole when
// its time is up.
func alone(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
}
