package suppress

import (
	"context"
	"sync"

	"tenma/relay/mail"
)

// Guarding gives a Deliver that asks the list about each recipient before deliver
// has it. Those who are on it fail; if the list cannot be read, they wait. It
// adds no goroutine, and asks in the one in which mail is taken.
func (l *List) Guarding(deliver mail.Deliver) mail.Deliver {
	return func(ctx context.Context, first *mail.Attempt, next func() *mail.Attempt, done func(*mail.Attempt, []mail.Outcome)) {
		s := &sieve{list: l, next: next, done: done}
		at := s.sift(first)
		if at == nil {
			at = s.more()
		}
		if at != nil {
			deliver(ctx, at, s.more, s.finish)
		}
	}
}

// sieve stands between the queue and one run of a Deliver.
type sieve struct {
	list *List
	next func() *mail.Attempt
	done func(*mail.Attempt, []mail.Outcome)

	mu    sync.Mutex
	rests map[*mail.Attempt]rest // guarded by mu
}

// rest is an attempt of which some recipients are left.
type rest struct {
	of   *mail.Attempt
	outs []mail.Outcome // of all; those without reply are for the delivery to fill
}

// more is the Deliver's next.
func (s *sieve) more() *mail.Attempt {
	for {
		at := s.next()
		if at == nil {
			return nil
		}
		if at = s.sift(at); at != nil {
			return at
		}
	}
}

// sift gives what is left of an attempt, nil for nothing.
func (s *sieve) sift(at *mail.Attempt) *mail.Attempt {
	outs := s.list.attempt(at)
	if outs == nil {
		return at
	}
	left := *at
	left.To = nil
	for i, to := range at.To {
		if outs[i].Reply.Code == 0 {
			left.To = append(left.To, to)
		}
	}
	if len(left.To) == 0 {
		s.done(at, outs)
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rests == nil {
		s.rests = map[*mail.Attempt]rest{}
	}
	s.rests[&left] = rest{at, outs}
	return &left
}

// finish is the Deliver's done.
func (s *sieve) finish(at *mail.Attempt, outs []mail.Outcome) {
	s.mu.Lock()
	r, ok := s.rests[at]
	delete(s.rests, at)
	s.mu.Unlock()
	if !ok || len(outs) != len(at.To) {
		s.done(at, outs)
		return
	}
	for i := range r.outs {
		if r.outs[i].Reply.Code == 0 {
			r.outs[i], outs = outs[0], outs[1:]
		}
	}
	s.done(r.of, r.outs)
}

// concerns reports mail that the list is about: of somebody who may send through
// us, and no notice of a mail system.
func concerns(e *mail.Envelope) bool { return e.Trusted && !e.Sender.IsNull() }

// attempt gives the outcomes of recipients that are on the list, without a reply
// for the others; nil if nobody is on it.
func (l *List) attempt(at *mail.Attempt) (outs []mail.Outcome) {
	env := at.Envelope
	if l.store.Counts().none() || !concerns(env) {
		return nil
	}
	for i, to := range at.To {
		e, stopped, err := l.Find(env.Recipients[to].Address, env.Tenant, env.Campaign)
		if err == nil && !stopped {
			continue
		}
		if outs == nil {
			outs = make([]mail.Outcome, len(at.To))
		}
		if err != nil {
			outs[i] = mail.Outcome{Reply: unknown(), Command: "LOCAL", Detail: err.Error()}
			continue
		}
		l.metrics.Hits.WithLabelValues("attempt").Inc()
		outs[i] = e.Outcome()
	}
	return outs
}

// rulePrefix marks the rule of a diagnosis that the list itself made.
const rulePrefix = "suppressed-"

// Outcome is what mail to the entry's address comes to.
func (e *Entry) Outcome() mail.Outcome {
	class := mail.PolicyRelated
	switch e.Reason {
	case HardBounce, Returned:
		class = mail.InvalidRecipient
	case Complaint:
		class = mail.Feedback
	case Unsubscribe:
		class = mail.Unsubscribe
	}
	return mail.Outcome{
		Reply: e.reply(), Command: "LOCAL", Detail: e.Detail,
		Diagnosis: mail.Diagnosis{Class: class, Severity: mail.Admin, Remedy: mail.Bounce, Rule: rulePrefix + e.Reason.String()},
	}
}
