package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Queue counts what stage queue does.
type Queue struct {
	Recipients  *prometheus.CounterVec // outcomes of attempts by "fate": sent, deferred, failed, expired, deleted
	Untried     prometheus.Counter     // tries that cost their message no attempt
	Lookups     prometheus.Counter     // domains that were looked up
	Signatures  prometheus.Counter     // messages that went through the signer
	Settlements *prometheus.CounterVec // by "result": ok, error
	Damaged     prometheus.Counter     // entries of the spool that could not be read
	Ready       prometheus.Gauge       // messages that wait for a free connection
	Deferred    prometheus.Gauge       // messages in memory that wait for their time
	Running     prometheus.Gauge       // attempts under way
	Lanes       prometheus.Gauge       // lanes in memory
	Resting     prometheus.Gauge       // lanes that rest because their hosts cannot be reached
	Paused      prometheus.Gauge       // shards that hold deliveries because the spool is sick
	// Sent is the time from acceptance to the next hop's word that it has the
	// message, for each recipient, by "class": urgent, normal, bulk, in this order.
	Sent [3]prometheus.Observer
}

// Decided counts the fate of a recipient, in the words of Recipients. class is an
// index into Sent, and age the time since the message was accepted.
func (q *Queue) Decided(fate string, class uint8, age time.Duration) {
	q.Recipients.WithLabelValues(fate).Inc()
	if fate == "sent" {
		q.Sent[class].Observe(age.Seconds())
	}
}

func newQueue(f promauto.Factory) *Queue {
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: "tenma_queue_" + name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Name: "tenma_queue_" + name, Help: help})
	}
	sent := f.NewHistogramVec(prometheus.HistogramOpts{
		Name: "tenma_queue_sent_seconds",
		Help: "Time from a message's acceptance to its delivery, for each recipient, by priority class: urgent, normal, bulk.",
		// A millisecond is a good day, a minute a greylister, hours a receiver
		// that was down.
		Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 15, 60, 120, 300, 900, 3600, 4 * 3600, 24 * 3600},
	}, []string{"class"})
	return &Queue{
		Sent: [3]prometheus.Observer{sent.WithLabelValues("urgent"), sent.WithLabelValues("normal"), sent.WithLabelValues("bulk")},
		Recipients: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenma_queue_recipients_total", Help: "Outcomes, one per recipient, by fate: sent, deferred, failed, expired, deleted.",
		}, []string{"fate"}),
		Untried:    counter("untried_total", "Tries that cost their message no attempt."),
		Lookups:    counter("lookups_total", "Domains looked up."),
		Signatures: counter("signatures_total", "Messages that went through the signer."),
		Settlements: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenma_queue_settlements_total", Help: "Outcomes written to the spool, by result: ok, error.",
		}, []string{"result"}),
		Damaged:  counter("damaged_total", "Spool entries that could not be read."),
		Ready:    gauge("ready", "Messages that wait for a free connection."),
		Deferred: gauge("deferred", "Messages in memory that wait for their time."),
		Running:  gauge("running", "Attempts under way; one may hold several recipients."),
		Lanes:    gauge("lanes", "Lanes in memory."),
		Resting:  gauge("resting_lanes", "Lanes whose destination cannot be reached; their mail waits for a probe to succeed."),
		Paused:   gauge("paused_shards", "Shards that hold deliveries because the spool is sick."),
	}
}
