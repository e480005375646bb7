package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Ingress counts what stage ingress does. The label listener is the address of
// the listener as configured; reason, command, status, mechanism and result are
// closed lists.
type Ingress struct {
	// Connections counts connections that were accepted by the kernel, the
	// refused ones included.
	Connections *prometheus.CounterVec
	// ConnectionsRefused counts those that got no session; reason is total,
	// address, rate, proxy or drain.
	ConnectionsRefused *prometheus.CounterVec
	// Sessions is how many sessions are open.
	Sessions *prometheus.GaugeVec
	// CommandsRefused counts 4yz and 5yz replies to a command; status is the
	// reply's enhanced status (RFC 3463), or its code where there is none.
	CommandsRefused *prometheus.CounterVec
	// Messages counts messages that were answered 250 after their last octet.
	Messages *prometheus.CounterVec
	// MessagesRefused counts those that were not, or were cut off; status as
	// in CommandsRefused.
	MessagesRefused *prometheus.CounterVec
	// Octets counts octets of bodies that were accepted.
	Octets *prometheus.CounterVec
	// TLSSessions counts TLS handshakes; result is good or failed.
	TLSSessions *prometheus.CounterVec
	// Auth counts AUTH exchanges; result is good, failed or error.
	Auth *prometheus.CounterVec
	// RateLimited counts MAIL and RCPT commands that were refused because an
	// account had sent too much within an hour; kind is messages or recipients.
	RateLimited *prometheus.CounterVec
}

func newIngress(f promauto.Factory) *Ingress {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return f.NewCounterVec(prometheus.CounterOpts{Name: "tenma_ingress_" + name, Help: help}, append([]string{"listener"}, labels...))
	}
	return &Ingress{
		Connections:        counter("connections_total", "Connections accepted by the kernel, refused ones included."),
		ConnectionsRefused: counter("connections_refused_total", "Connections that got no session, by reason: total, address, rate, proxy, drain.", "reason"),
		Sessions: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "tenma_ingress_sessions", Help: "Sessions that are open.",
		}, []string{"listener"}),
		CommandsRefused: counter("commands_refused_total", "Commands answered with 4yz or 5yz, by command and enhanced status.", "command", "status"),
		Messages:        counter("messages_total", "Messages answered 250 after their last octet."),
		MessagesRefused: counter("messages_refused_total", "Messages refused after or during their content, or cut off, by enhanced status.", "status"),
		Octets:          counter("message_bytes_total", "Octets of accepted bodies."),
		TLSSessions:     counter("tls_sessions_total", "TLS handshakes with clients, by result: good, failed.", "result"),
		Auth:            counter("auth_total", "AUTH exchanges, by mechanism and result: good, failed, error.", "mechanism", "result"),
		RateLimited:     counter("rate_limited_total", "Commands refused since an account had sent too much within an hour, by kind: messages, recipients.", "kind"),
	}
}
