package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Delivery counts what stage delivery does.
type Delivery struct {
	Connections prometheus.Gauge // sockets that are open or being opened
	Idle        prometheus.Gauge // of those, the ones that wait in the pool

	Opened *prometheus.CounterVec // tries to open a session, by result: ok, failed
	Reused prometheus.Counter     // idle connections taken from the pool
	Stale  prometheus.Counter     // of those, the ones that turned out to be dead

	Handshakes *prometheus.CounterVec // TLS handshakes, by result: full, resumed, failed
	Plaintext  prometheus.Counter     // sessions in plaintext after a broken handshake

	Transactions prometheus.Counter     // MAIL commands sent
	Rides        prometheus.Counter     // of those, behind another message's final dot
	RidesLost    prometheus.Counter     // rides whose replies were lost
	Recipients   *prometheus.CounterVec // outcomes, by fate: sent, deferred, failed, untried
	Elsewhere    prometheus.Counter     // recipients that a host turned away and another was asked for
	Octets       *prometheus.CounterVec // by direction: in, out; TLS not counted

	Seconds prometheus.Histogram // from MAIL to the final reply
}

func newDelivery(f promauto.Factory) *Delivery {
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Name: "tenma_delivery_" + name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: "tenma_delivery_" + name, Help: help})
	}
	vec := func(name, help, label string, values ...string) *prometheus.CounterVec {
		v := f.NewCounterVec(prometheus.CounterOpts{Name: "tenma_delivery_" + name, Help: help}, []string{label})
		for _, value := range values {
			v.WithLabelValues(value) // so that it is 0 before it happens
		}
		return v
	}
	return &Delivery{
		Connections:  gauge("connections", "Outbound sockets open or being opened."),
		Idle:         gauge("idle_connections", "Outbound connections waiting to be used again."),
		Opened:       vec("sessions_total", "Tries to open an outbound session, by result: ok, failed.", "result", "ok", "failed"),
		Reused:       counter("reused_total", "Idle connections used again."),
		Stale:        counter("stale_total", "Idle connections that were dead when used again."),
		Handshakes:   vec("tls_handshakes_total", "Outbound TLS handshakes, by result: full, resumed, failed.", "result", "full", "resumed", "failed"),
		Plaintext:    counter("tls_plaintext_total", "Sessions in plaintext because a handshake had failed."),
		Transactions: counter("transactions_total", "Transactions begun."),
		Rides:        counter("rides_total", "Transactions begun behind another message's final dot."),
		RidesLost:    counter("rides_lost_total", "Transactions behind another message's final dot whose replies were lost; they cost no attempt."),
		Recipients:   vec("recipients_total", "Outcomes of attempts, one per recipient, by fate: sent, deferred, failed, untried.", "fate", "sent", "deferred", "failed", "untried"),
		Elsewhere:    counter("elsewhere_total", "Recipients that one host turned away, by a temporary refusal of MAIL or for want of an extension, and that went on to another host in the same attempt."),
		Octets:       vec("bytes_total", "Octets of SMTP by direction, in and out, TLS not counted.", "direction", "in", "out"),
		Seconds: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "tenma_delivery_transaction_seconds",
			Help:    "Time from MAIL to the final reply.",
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30, 60, 120, 300, 600},
		}),
	}
}
