package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// POP3 counts what the POP3 server does. The label listener is the address of the
// listener as configured; command, mechanism and result are closed lists.
type POP3 struct {
	// Connections counts connections that were accepted by the kernel, the
	// refused ones included, Refused those of them that got no session; reason is
	// total, address, rate, proxy or drain.
	Connections, Refused *prometheus.CounterVec
	// Sessions that are open.
	Sessions *prometheus.GaugeVec
	// TLSSessions counts TLS handshakes; result is good or failed.
	TLSSessions *prometheus.CounterVec
	// Commands by name, "other" for what is none, and result: ok, err.
	Commands *prometheus.CounterVec
	// Logins by mechanism, "USER" for USER and PASS, and result: good, failed,
	// error (could not be judged, or the mailbox not be opened).
	Logins *prometheus.CounterVec
	// Retrieved counts messages that were sent whole (RETR, or TOP with all
	// lines), Octets what they had.
	Retrieved, Octets *prometheus.CounterVec
	// Deleted counts messages that QUIT removed.
	Deleted *prometheus.CounterVec
}

// NewPOP3 makes the collectors and registers them with r, if not nil.
func NewPOP3(r prometheus.Registerer) *POP3 { return newPOP3(promauto.With(r)) }

func newPOP3(f promauto.Factory) *POP3 {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return f.NewCounterVec(prometheus.CounterOpts{Name: "tenma_pop3_" + name, Help: help}, append([]string{"listener"}, labels...))
	}
	return &POP3{
		Sessions:    f.NewGaugeVec(prometheus.GaugeOpts{Name: "tenma_pop3_sessions", Help: "Open POP3 sessions, by listener."}, []string{"listener"}),
		Connections: counter("connections_total", "POP3 connections accepted by the kernel, refused ones included."),
		Refused:     counter("connections_refused_total", "POP3 connections that got no session, by reason: total, address, rate, proxy, drain.", "reason"),
		TLSSessions: counter("tls_sessions_total", "TLS handshakes with POP3 clients, by result: good, failed.", "result"),
		Commands:    counter("commands_total", "POP3 commands, by name and result: ok, err.", "command", "result"),
		Logins:      counter("logins_total", "POP3 logins, by mechanism and result: good, failed, error.", "mechanism", "result"),
		Retrieved:   counter("messages_retrieved_total", "Messages that clients fetched whole."),
		Octets:      counter("message_bytes_total", "Octets of the messages that clients fetched whole."),
		Deleted:     counter("messages_deleted_total", "Messages that QUIT removed."),
	}
}
