package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Verdict counts what adviser verdict finds about mail of strangers.
type Verdict struct {
	// Results by method (spf, dkim, dmarc, arc) and result, as they stand in
	// Authentication-Results.
	Results  *prometheus.CounterVec
	Refused  prometheus.Counter   // refused because of DMARC
	Deferred prometheus.Counter   // deferred, since the DNS was silent
	Seconds  prometheus.Histogram // from the last octet of a message to its verdict
}

func newVerdict(f promauto.Factory) *Verdict {
	return &Verdict{
		Results: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenma_verdict_results_total",
			Help: "What was found about mail of strangers, by method (spf, dkim, dmarc, arc) and result (pass, fail, softfail, neutral, none, policy, temperror, permerror).",
		}, []string{"method", "result"}),
		Refused: f.NewCounter(prometheus.CounterOpts{
			Name: "tenma_verdict_refused_total", Help: "Messages refused because of the DMARC policy of their author's domain.",
		}),
		Deferred: f.NewCounter(prometheus.CounterOpts{
			Name: "tenma_verdict_deferred_total", Help: "Messages deferred because the DNS did not tell whether DMARC would refuse them.",
		}),
		Seconds: f.NewHistogram(prometheus.HistogramOpts{
			Name: "tenma_verdict_seconds", Help: "Time from the last octet of a stranger's message to its verdict, which is mostly the wait for the DNS.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15), // 1 ms to 16 s
		}),
	}
}
