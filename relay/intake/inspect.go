package intake

import (
	"errors"

	"tenma/relay/wire/smtp"
)

// inspect asks who wants to look at the message, whose header section has been
// judged and is as it will be stored.
func (r *reception) inspect() {
	for _, in := range r.server.deps.Inspectors {
		r.inspections = append(r.inspections, in.Inspect(r.ctx, r.e))
	}
}

// show gives a part of a body that is streamed to the spool to all inspections at
// once: nobody can wait for another's verdict, which comes with the last octet.
func (r *reception) show(p []byte) {
	for _, in := range r.inspections {
		if in != nil {
			in.Write(p)
		}
	}
}

// conclude hears the verdicts. A message in memory is shown to one inspection
// after the other, each of which sees in front of it what those before it had to
// say; a message that has been streamed has been seen by all.
func (r *reception) conclude() {
	for i, in := range r.inspections {
		if in == nil {
			continue
		}
		if r.stage == nil {
			in.Write(r.judgement.Header)
			in.Write(r.buf)
		}
		r.inspections[i] = nil
		j, err := in.Verdict()
		if err != nil {
			r.server.deps.Metrics.Refused.Verdict.Inc()
			r.err = refusal(err)
			return
		}
		r.judgement.Header = append(j.Header, r.judgement.Header...)
		r.judgement.Hold = r.judgement.Hold || j.Hold
	}
}

// refusal is what the client hears of an inspection's error.
func refusal(err error) error {
	if e, ok := errors.AsType[*smtp.Error](err); ok {
		return e
	}
	return &smtp.Error{Reply: smtp.Reply{Code: 451, Status: smtp.Status{4, 7, 0}, Text: "The message cannot be judged now, try again later"}, Err: err}
}
