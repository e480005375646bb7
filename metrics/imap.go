package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// IMAP counts what the IMAP server does.
type IMAP struct {
	// Sessions that are open, by listener.
	Sessions *prometheus.GaugeVec
}

// NewIMAP makes the collectors and registers them with r, if not nil.
func NewIMAP(r prometheus.Registerer) *IMAP { return newIMAP(promauto.With(r)) }

func newIMAP(f promauto.Factory) *IMAP {
	return &IMAP{
		Sessions: f.NewGaugeVec(prometheus.GaugeOpts{Name: "tenma_imap_sessions", Help: "Open IMAP sessions, by listener."}, []string{"listener"}),
	}
}
