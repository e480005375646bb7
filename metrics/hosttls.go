package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// HostTLS counts what adviser hosttls finds, and what came of its demands.
type HostTLS struct {
	Validates prometheus.Gauge       // 1: the resolver is shown to validate, so that DANE is used
	Probes    *prometheus.CounterVec // probes of the resolver, by result: secure, insecure, silent
	TLSA      *prometheus.CounterVec // lookups of TLSA records, by result: usable, unusable, none, failed
	Policies  prometheus.Gauge       // MTA-STS policies in memory
	Fetches   *prometheus.CounterVec // fetches of policies, by result: ok, failed, invalid
	// Sessions by policy (none, sts, sts-testing, tlsa) and result (ok,
	// no-starttls, certificate, tlsa, dnssec, unlisted, plaintext, other).
	Sessions *prometheus.CounterVec
}

func newHostTLS(f promauto.Factory) *HostTLS {
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Name: "tenma_hosttls_" + name, Help: help})
	}
	vec := func(name, help string, values ...string) *prometheus.CounterVec {
		v := f.NewCounterVec(prometheus.CounterOpts{Name: "tenma_hosttls_" + name, Help: help}, []string{"result"})
		for _, value := range values {
			v.WithLabelValues(value) // so that it is 0 before it happens
		}
		return v
	}
	return &HostTLS{
		Validates: gauge("resolver_validates", "1 if the DNS servers are shown to validate (DNSSEC), so that DANE is used; else 0."),
		Probes:    vec("resolver_probes_total", "Probes whether the DNS servers validate, by result: secure, insecure, silent (no answer).", "secure", "insecure", "silent"),
		TLSA:      vec("tlsa_lookups_total", "Lookups of a host's TLSA records where the way to it is signed, by result: usable, unusable, none, failed (its mail waits).", "usable", "unusable", "none", "failed"),
		Policies:  gauge("sts_policies", "MTA-STS policies in memory."),
		Fetches:   vec("sts_fetches_total", "Fetches of MTA-STS policies, by result: ok, failed, invalid.", "ok", "failed", "invalid"),
		Sessions: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenma_hosttls_sessions_total",
			Help: "Outbound sessions opened or refused for TLS, by policy (none, sts, sts-testing, tlsa) and result (ok, no-starttls, certificate, tlsa, dnssec, unlisted, plaintext: TLS failed within three days and was not tried, other).",
		}, []string{"policy", "result"}),
	}
}
