package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// POP3 counts what the POP3 server does.
type POP3 struct {
	// Sessions that are open, by listener.
	Sessions *prometheus.GaugeVec
}

// NewPOP3 makes the collectors and registers them with r, if not nil.
func NewPOP3(r prometheus.Registerer) *POP3 { return newPOP3(promauto.With(r)) }

func newPOP3(f promauto.Factory) *POP3 {
	return &POP3{
		Sessions: f.NewGaugeVec(prometheus.GaugeOpts{Name: "tenma_pop3_sessions", Help: "Open POP3 sessions, by listener."}, []string{"listener"}),
	}
}
