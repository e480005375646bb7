package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Rendition counts other forms of messages, for hosts that cannot take the stored
// one.
type Rendition struct {
	Made   prometheus.Counter // messages converted
	Failed prometheus.Counter // tries to convert that failed
}

// NewRendition makes the collectors and registers them with r, if not nil.
func NewRendition(r prometheus.Registerer) *Rendition { return newRendition(promauto.With(r)) }

func newRendition(f promauto.Factory) *Rendition {
	return &Rendition{
		Made: f.NewCounter(prometheus.CounterOpts{
			Name: "tenma_rendition_made_total", Help: "Messages converted to 7 bits for hosts without 8BITMIME.",
		}),
		Failed: f.NewCounter(prometheus.CounterOpts{
			Name: "tenma_rendition_failed_total", Help: "Messages that could not be converted to 7 bits, or not without breaking a signature that is to be kept; deferred ones count at each attempt.",
		}),
	}
}
