package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Bounce counts what stage bounce does.
type Bounce struct {
	// DSNs composed, by action: "failed", "delayed", "delivered" (also relayed
	// and expanded).
	DSNs    *prometheus.CounterVec
	Limited prometheus.Counter // DSNs that were due to a sender who had had too many
}

// NewBounce makes the collectors and registers them with r, if not nil.
func NewBounce(r prometheus.Registerer) *Bounce { return newBounce(promauto.With(r)) }

func newBounce(f promauto.Factory) *Bounce {
	return &Bounce{
		DSNs: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenma_bounce_dsns_total", Help: "Delivery status notifications composed, by action: failed, delayed, delivered.",
		}, []string{"action"}),
		Limited: f.NewCounter(prometheus.CounterOpts{
			Name: "tenma_bounce_limited_total", Help: "Delivery status notifications that were not sent because their recipient had had too many within an hour.",
		}),
	}
}
