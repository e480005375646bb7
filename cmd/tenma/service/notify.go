// Package service is how the relay gets on with what runs it: it tells systemd
// when it is ready, reloading and stopping (sd_notify(3)), and it keeps the
// garbage collector within the memory that the cgroup allows.
//
// Nothing here is needed to run: without systemd and without a cgroup both do
// nothing.
package service

import (
	"fmt"
	"log/slog"
	"net"
	"time"
)

// A Manager is told what the relay does. The zero value tells nobody.
type Manager struct {
	socket string // a path, or a name that begins with @ (abstract)
	log    *slog.Logger
}

// Find gives the manager that the environment names, or one that is not there.
func Find(getenv func(string) string, log *slog.Logger) Manager {
	return Manager{socket: getenv("NOTIFY_SOCKET"), log: log}
}

// Ready says that mail is taken, at the start and after a reload.
func (m Manager) Ready() { m.tell("READY=1\nSTATUS=relaying mail") }

// Reloading says that a new configuration is being read; Ready must follow,
// whether it was taken or not.
func (m Manager) Reloading() {
	m.tell(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d\nSTATUS=reading the configuration", monotonic().Microseconds()))
}

// Stopping says that deliveries under way finish and no more mail is taken.
func (m Manager) Stopping() { m.tell("STOPPING=1\nSTATUS=deliveries under way finish") }

// tell sends one datagram. A manager that cannot be reached is no reason to stop
// relaying, but it will kill us for our silence, so the log has it.
func (m Manager) tell(state string) {
	if m.socket == "" {
		return
	}
	// Unix addresses that begin with @ are abstract, in Go as in the variable.
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: m.socket, Net: "unixgram"})
	if err == nil {
		defer c.Close()
		_ = c.SetWriteDeadline(time.Now().Add(time.Second)) // a local socket has it at once, or not at all
		_, err = c.Write([]byte(state))
	}
	if err != nil {
		m.log.Warn("the service manager cannot be told", "socket", m.socket, "error", err)
	}
}
