package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// IMAP counts what the IMAP server does. Commands are those that the server
// knows, in lower case, and "unknown"; results are a closed list.
type IMAP struct {
	// Sessions that are open, by listener.
	Sessions *prometheus.GaugeVec
	// Commands that were answered, by result: "ok", "no", "bad".
	Commands *prometheus.CounterVec
	// Logins that came to an end, by result: "good", "failed", "error".
	Logins *prometheus.CounterVec
	// Appends are messages that APPEND added.
	Appends prometheus.Counter
	// Octets of responses that sessions wrote.
	Octets prometheus.Counter
}

// NewIMAP makes the collectors and registers them with r, if not nil.
func NewIMAP(r prometheus.Registerer) *IMAP { return newIMAP(promauto.With(r)) }

func newIMAP(f promauto.Factory) *IMAP {
	return &IMAP{
		Sessions: f.NewGaugeVec(prometheus.GaugeOpts{Name: "tenma_imap_sessions", Help: "Open IMAP sessions, by listener."}, []string{"listener"}),
		Commands: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenma_imap_commands_total", Help: "IMAP commands answered, by command and result: ok, no, bad.",
		}, []string{"command", "result"}),
		Logins: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenma_imap_logins_total", Help: "IMAP logins, by mechanism and result: good, failed, error.",
		}, []string{"listener", "mechanism", "result"}),
		Appends: f.NewCounter(prometheus.CounterOpts{Name: "tenma_imap_appends_total", Help: "Messages added by APPEND."}),
		Octets:  f.NewCounter(prometheus.CounterOpts{Name: "tenma_imap_response_bytes_total", Help: "Octets of message data and other responses that sessions wrote themselves."}),
	}
}
