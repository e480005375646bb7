package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Milter counts what mail filters say of messages. Filters are named by the
// configuration.
type Milter struct {
	messages *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

// MilterResults are what a filter can have said: passed, refused (5yz), deferred
// (4yz), discarded, held; failed where it was away or broke the protocol, skipped where
// the message was too large for it.
func MilterResults() []string {
	return []string{"passed", "refused", "deferred", "discarded", "held", "failed", "skipped"}
}

// NewMilter makes the collectors and registers them with r, if not nil.
func NewMilter(r prometheus.Registerer) *Milter { return newMilter(promauto.With(r)) }

func newMilter(f promauto.Factory) *Milter {
	return &Milter{
		messages: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenma_milter_messages_total",
			Help: "Messages that a mail filter was to judge, by filter and result: passed, refused, deferred, discarded, held, failed, skipped.",
		}, []string{"filter", "result"}),
		seconds: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tenma_milter_seconds", Help: "Time that a mail filter kept a message waiting, by filter.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 17), // 1 ms to 65 s
		}, []string{"filter"}),
	}
}

// Show makes the series of a filter appear before its first message.
func (m *Milter) Show(filter string) {
	for _, r := range MilterResults() {
		m.messages.WithLabelValues(filter, r)
	}
}

// Count counts a result of MilterResults.
func (m *Milter) Count(filter, result string) { m.messages.WithLabelValues(filter, result).Inc() }

// Waited counts time that a message waited for a filter, in seconds.
func (m *Milter) Waited(filter string, seconds float64) {
	m.seconds.WithLabelValues(filter).Observe(seconds)
}
