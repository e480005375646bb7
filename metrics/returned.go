package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Returned counts mail about our mail.
type Returned struct {
	// Messages that came back, by kind: "report", "complaint", "auto-reply",
	// "passed" (to the postmaster) and "other" (dropped).
	Messages   *prometheus.CounterVec
	Unproven   prometheus.Counter // reports and complaints without a proof of what they are about
	Suppressed prometheus.Counter // recipients to whom no more mail is to be sent
	// Refused are recipients at the returns domain that were refused: "forged" for
	// what was never ours, "expired" for what was.
	Refused *prometheus.CounterVec
}

// NewReturned makes the collectors and registers them with r, if not nil.
func NewReturned(r prometheus.Registerer) *Returned { return newReturned(promauto.With(r)) }

func newReturned(f promauto.Factory) *Returned {
	return &Returned{
		Messages: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenma_returned_messages_total", Help: "Messages that came back to signed return paths or to the address of complaints, by what they were: report, complaint, auto-reply, passed (sent on to the postmaster), other (dropped).",
		}, []string{"kind"}),
		Unproven: f.NewCounter(prometheus.CounterOpts{
			Name: "tenma_returned_unproven_total", Help: "Reports and complaints that came without a proof of which message they are about, and had no consequence.",
		}),
		Suppressed: f.NewCounter(prometheus.CounterOpts{
			Name: "tenma_returned_suppressed_total", Help: "Recipients that came onto the suppression list by what came back.",
		}),
		Refused: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tenma_returned_refused_total", Help: "Recipients at the returns domain that were refused, by reason: forged, expired.",
		}, []string{"reason"}),
	}
}
