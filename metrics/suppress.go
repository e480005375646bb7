package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Suppress counts what adviser suppress knows and does. Reasons are those of
// entries: hard_bounce, returned, complaint, unsubscribe, manual, import.
type Suppress struct {
	Entries *prometheus.GaugeVec   // by reason
	Held    prometheus.Gauge       // entries without effect, made in a storm
	Made    *prometheus.CounterVec // entries that the relay made by itself, by reason
	Hits    *prometheus.CounterVec // recipients that no mail was sent to, by where it was noticed: rcpt, attempt
	Storms  prometheus.Gauge       // providers with a storm of false failures
	Errors  prometheus.Counter     // lookups that failed
	Lost    prometheus.Counter     // failures that made no entry, since the list was too busy or its disk failed
	Undone  prometheus.Counter     // entries that undo removed
}

// NewSuppress makes the collectors and registers them with r, if not nil.
func NewSuppress(r prometheus.Registerer) *Suppress { return newSuppress(promauto.With(r)) }

func newSuppress(f promauto.Factory) *Suppress {
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Name: "tenma_suppress_" + name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: "tenma_suppress_" + name, Help: help})
	}
	return &Suppress{
		Entries: f.NewGaugeVec(prometheus.GaugeOpts{Name: "tenma_suppress_entries", Help: "Entries of the suppression list in force, by reason."}, []string{"reason"}),
		Held:    gauge("held_entries", "Entries of the suppression list without effect, since they were made in a storm of failures."),
		Made: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenma_suppress_made_total", Help: "Entries of the suppression list that the relay made by itself, by reason.",
		}, []string{"reason"}),
		Hits: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenma_suppress_hits_total", Help: "Recipients that got no mail since they are on the suppression list, by where that was noticed: rcpt, attempt.",
		}, []string{"from"}),
		Storms: gauge("storms", "Providers whose failures have jumped, so that they make no entries in the suppression list."),
		Errors: counter("errors_total", "Lookups in the suppression list that failed; the mail waits."),
		Lost:   counter("lost_total", "Failures that made no entry in the suppression list, since they came too fast or its disk failed."),
		Undone: counter("undone_total", "Entries of the suppression list that were taken back by an operator's undo."),
	}
}
