package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// DKIM counts the signing keys that adviser dkim/rotation keeps.
type DKIM struct {
	Keys     *prometheus.GaugeVec // by phase: next, active, retiring, retired
	Missing  *prometheus.GaugeVec // of them, those whose record the DNS does not show as it should be, by phase
	Switches prometheus.Counter   // a next key became active
}

func newDKIM(f promauto.Factory) *DKIM {
	vec := func(name, help string, phases ...string) *prometheus.GaugeVec {
		v := f.NewGaugeVec(prometheus.GaugeOpts{Name: "tenma_dkim_" + name, Help: help}, []string{"phase"})
		for _, p := range phases {
			v.WithLabelValues(p)
		}
		return v
	}
	return &DKIM{
		Keys:     vec("keys", "Signing keys that the relay keeps, by phase: next, active, retiring, retired.", "next", "active", "retiring", "retired"),
		Missing:  vec("records_missing", "Of these keys, those whose record the DNS does not show as it should be, by phase: next (to be published), active and retiring (receivers cannot verify).", "next", "active", "retiring"),
		Switches: f.NewCounter(prometheus.CounterOpts{Name: "tenma_dkim_switches_total", Help: "Times that a new key began to sign."}),
	}
}
