package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// TLSRPT counts the reports that domains get on the TLS of our sessions.
type TLSRPT struct {
	Reports *prometheus.CounterVec // by protocol (smtp, https) and result (sent, failed)
	Domains prometheus.Gauge       // of which something is to be told, as far as is known
	Dropped prometheus.Counter     // sessions for which there was no room
}

func newTLSRPT(f promauto.Factory) *TLSRPT {
	m := &TLSRPT{
		Reports: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenma_tlsrpt_reports_total", Help: "TLS reports, by protocol (smtp, https) and result: sent (smtp: put into the spool), failed (each try counts).",
		}, []string{"protocol", "result"}),
		Domains: f.NewGauge(prometheus.GaugeOpts{
			Name: "tenma_tlsrpt_domains", Help: "Domains of which TLS results are held: those that want reports, and those not yet asked.",
		}),
		Dropped: f.NewCounter(prometheus.CounterOpts{
			Name: "tenma_tlsrpt_dropped_total", Help: "Sessions that no report will count, as there were too many domains on that day.",
		}),
	}
	for _, protocol := range []string{"smtp", "https"} {
		m.Reports.WithLabelValues(protocol, "sent") // so that it is 0 before it happens
		m.Reports.WithLabelValues(protocol, "failed")
	}
	return m
}
