package relay

import (
	"sync/atomic"

	"tenma/metrics"
	"tenma/relay/bounce"
	"tenma/relay/bounce/classify"
	"tenma/relay/mail"
)

// replies tells the queue what replies mean, by the rules of the configuration
// in force.
type replies struct {
	rules   atomic.Pointer[classify.Classifier]
	metrics *metrics.Bounce
}

// Outcome explains an outcome, and counts it.
func (r *replies) Outcome(o *mail.Outcome) mail.Diagnosis {
	d := r.rules.Load().Outcome(o)
	if o.Fate() != mail.Sent && !o.Untried {
		r.metrics.Failures.WithLabelValues(d.Class.String(), d.Severity.String()).Inc()
	}
	return d
}

// reader reads what came back, by the same rules.
func (r *replies) reader() *bounce.Reader { return bounce.NewReader(r.rules.Load()) }

// apply takes new rules; with an error the old ones stay.
func (r *replies) apply(c classify.Config) error {
	rules, err := classify.Load(c.Rules)
	if err != nil {
		return err
	}
	r.rules.Store(rules)
	return nil
}
