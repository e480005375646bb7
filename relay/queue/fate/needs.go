package fate

import "tenma/relay/mail"

// Classifier tells what an outcome means. What was sent has no diagnosis.
type Classifier interface {
	Outcome(*mail.Outcome) mail.Diagnosis
}

// Diagnose has the outcomes of an attempt explained that nobody has explained yet,
// and takes over the wait that a remote states. Without a classifier they stay as
// they are.
func Diagnose(c Classifier, outs []mail.Outcome) {
	if c == nil {
		return
	}
	for i := range outs {
		o := &outs[i]
		if o.Diagnosis != (mail.Diagnosis{}) || o.Fate() == mail.Sent {
			continue
		}
		o.Diagnosis = c.Outcome(o)
		if o.RetryAfter == 0 {
			o.RetryAfter = o.Diagnosis.Wait
		}
	}
}
