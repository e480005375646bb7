package relay

import (
	"sync/atomic"

	"tenma/relay/bounce/classify"
	"tenma/relay/mail"
)

// replies tells the queue what replies mean, by the rules of the configuration
// in force.
type replies struct {
	rules atomic.Pointer[classify.Classifier]
}

// Outcome explains an outcome.
func (r *replies) Outcome(o *mail.Outcome) mail.Diagnosis { return r.rules.Load().Outcome(o) }

// apply takes new rules; with an error the old ones stay.
func (r *replies) apply(c classify.Config) error {
	rules, err := classify.Load(c.Rules)
	if err != nil {
		return err
	}
	r.rules.Store(rules)
	return nil
}
