package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Intake counts what stage intake does.
type Intake struct {
	Messages prometheus.Counter   // tenma_intake_messages_total: committed
	Octets   prometheus.Counter   // tenma_intake_bytes_total: bodies of committed messages
	Copies   prometheus.Counter   // tenma_intake_copies_total: entries beyond the first, of messages with one for each recipient
	Staged   prometheus.Counter   // tenma_intake_staged_total: committed messages whose body went past memory
	Refused  *IntakeRefused       // tenma_intake_refused_total
	Commit   prometheus.Histogram // tenma_intake_commit_seconds: wait for stable storage
	Held     prometheus.Gauge     // tenma_intake_held_bytes: memory of bodies that are arriving
	// Tenants is tenma_intake_tenant_messages_total: committed messages of each
	// tenant. There are as many as the configuration has.
	Tenants *prometheus.CounterVec
}

// IntakeRefused counts messages that were not taken, by reason.
type IntakeRefused struct {
	Loop, Header, Memory, Full, Storage, Body, Sender, Verdict prometheus.Counter
}

func newIntake(f promauto.Factory) *Intake {
	refused := f.NewCounterVec(prometheus.CounterOpts{
		Name: "tenma_intake_refused_total",
		Help: "Messages that were not taken after their body had begun, by reason: loop, header, memory, full, storage, body, sender, verdict.",
	}, []string{"reason"})
	return &Intake{
		Messages: f.NewCounter(prometheus.CounterOpts{
			Name: "tenma_intake_messages_total", Help: "Messages accepted and on stable storage.",
		}),
		Octets: f.NewCounter(prometheus.CounterOpts{
			Name: "tenma_intake_bytes_total", Help: "Octets of the bodies of accepted messages.",
		}),
		Copies: f.NewCounter(prometheus.CounterOpts{
			Name: "tenma_intake_copies_total", Help: "Entries beyond the first that were stored for messages which are split into one for each recipient.",
		}),
		Staged: f.NewCounter(prometheus.CounterOpts{
			Name: "tenma_intake_staged_total", Help: "Accepted messages whose body was too large for the group commit.",
		}),
		Refused: &IntakeRefused{
			Loop: refused.WithLabelValues("loop"), Header: refused.WithLabelValues("header"), Memory: refused.WithLabelValues("memory"),
			Full: refused.WithLabelValues("full"), Storage: refused.WithLabelValues("storage"), Body: refused.WithLabelValues("body"),
			Sender: refused.WithLabelValues("sender"), Verdict: refused.WithLabelValues("verdict"),
		},
		Commit: f.NewHistogram(prometheus.HistogramOpts{
			Name: "tenma_intake_commit_seconds", Help: "Wait of a message for stable storage.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16), // 0.5 ms to 16 s
		}),
		Tenants: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenma_intake_tenant_messages_total", Help: "Messages accepted and on stable storage, by [[tenant]].",
		}, []string{"tenant"}),
		Held: f.NewGauge(prometheus.GaugeOpts{
			Name: "tenma_intake_held_bytes", Help: "Memory of message bodies that are still arriving.",
		}),
	}
}
