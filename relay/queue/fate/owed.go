package fate

import (
	"slices"
	"time"

	"tenma/relay/mail"
)

// gatherFor is how long a failure waits for others of the same message, so that the
// sender gets one DSN about them and not one for each. It is longer than hosts
// usually take to refuse, and shorter than anybody waits for the answer.
const gatherFor = 30 * time.Second

// Work is a set of recipients with their outcomes.
type Work struct {
	To    []int
	Outs  []mail.Outcome // nil: the recipients have expired
	Lane  mail.Lane
	Local bool
}

// JudgeAll appends the verdicts on all of work to vs; see Judge and Expire.
func JudgeAll(vs []Verdict, c *Rules, e *mail.Envelope, s *mail.State, work []Work, now time.Time, spread float64) []Verdict {
	for _, w := range work {
		for i, to := range w.To {
			var v Verdict
			if w.Outs == nil {
				v = Expire(e, to, s.Recipients[to])
			} else {
				v = Judge(c, e, to, s.Recipients[to], &w.Outs[i], w.Local, now, spread)
			}
			v.Lane = w.Lane
			vs = append(vs, v)
		}
	}
	return vs
}

// Owed are the failures of a message that its sender has not been told of yet. They
// are settled as failures at once; that a DSN is owed stands in the state
// (RecipientState.Owed), and the entry stays until it was made.
type Owed struct {
	reports []mail.Report
	Until   time.Time // they are told then at the latest; zero: there are none
	after   time.Time // and not before: a DSN could not be made
}

// Recall takes up what a state owes: after a restart, which has forgotten all but
// the last reply.
func (o *Owed) Recall(s *mail.State, now time.Time) {
	for i, r := range s.Recipients {
		if r.Owed {
			out := mail.Outcome{Reply: r.Reply, Host: r.Host}
			if r.Fate == mail.Expired {
				out = *expiredOutcome(out)
			}
			o.add(mail.Report{Recipient: i, Action: mail.ActionFailed, Outcome: out, Attempts: int(r.Attempts)}, now)
		}
	}
}

func (o *Owed) add(r mail.Report, now time.Time) {
	if o.reports = append(o.reports, r); o.Until.IsZero() {
		o.Until = now.Add(gatherFor)
	}
}

// Due reports that something is owed and is to be told now. others says that more
// of the message is under way.
func (o *Owed) Due(others bool, now time.Time) bool {
	return len(o.reports) > 0 && (!others || !now.Before(o.Until)) && !now.Before(o.after)
}

// Gather gives the reports that are to be told with the verdicts vs: those on
// delays and successes, and all failures when they are due. Verdicts on failures
// that have to wait are marked as owed, and have no report any more.
func (o *Owed) Gather(c *Rules, e *mail.Envelope, vs []Verdict, others bool, now time.Time) (tell []mail.Report) {
	for i := range vs {
		v := &vs[i]
		if !v.Report {
			continue
		}
		r := mail.Report{Recipient: v.To, Action: v.Action, Outcome: *v.Outcome, Attempts: int(v.State.Attempts)}
		switch v.Action {
		case mail.ActionFailed:
			v.State.Owed = true
			o.add(r, now)
			continue
		case mail.ActionDelayed:
			r.WillRetry = Expiry(c, e.Received, e.Expire)
		}
		tell = append(tell, r)
	}
	due := o.Due(others, now)
	for i := range vs {
		v := &vs[i]
		v.Report = v.Report && (due || !v.State.Owed)
		v.State.Owed = v.State.Owed && !due
	}
	if due {
		tell = append(tell, o.reports...)
		*o = Owed{}
	}
	return tell
}

// Return takes back the failures among told, whose DSN could not be made, but for
// those that vs decides anew. It is tried again after gatherFor.
func (o *Owed) Return(told []mail.Report, vs []Verdict, now time.Time) {
	for _, r := range told {
		anew := slices.ContainsFunc(vs, func(v Verdict) bool { return v.To == r.Recipient })
		if r.Action == mail.ActionFailed && !anew {
			o.add(r, now)
			o.after = o.Until
		}
	}
}

// Clear takes the marks off a state whose owed failures were told.
func (o *Owed) Clear(s *mail.State) {
	if len(o.reports) == 0 {
		for i := range s.Recipients {
			s.Recipients[i].Owed = false
		}
	}
}
