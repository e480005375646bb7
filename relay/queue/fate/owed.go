package fate

import (
	"slices"
	"time"

	"tenma/relay/mail"
)

// gatherFor is how long a failure or a success waits for others of the same message,
// so that the sender gets one DSN about them and not one for each. It is longer than
// hosts usually take to answer, and shorter than anybody waits for the DSN.
const gatherFor = 30 * time.Second

// Work is a set of recipients with their outcomes.
type Work struct {
	To    []int
	Outs  []mail.Outcome // nil: the recipients have expired
	Lane  mail.Lane
	Local bool
	// Waiting: the recipients go on waiting, and their sender is to hear of it.
	Waiting bool
}

// JudgeAll appends the verdicts on all of work to vs; see Judge, Expire and Wait.
func JudgeAll(vs []Verdict, c *Rules, e *mail.Envelope, s *mail.State, work []Work, now time.Time, spread float64) []Verdict {
	for _, w := range work {
		for i, to := range w.To {
			var v Verdict
			switch {
			case w.Waiting:
				v = Wait(to, s.Recipients[to])
			case w.Outs == nil:
				v = Expire(e, to, s.Recipients[to])
			default:
				v = Judge(c, e, to, s.Recipients[to], &w.Outs[i], w.Local, now, spread)
			}
			v.Lane = w.Lane
			vs = append(vs, v)
		}
	}
	return vs
}

// Owed are the failures and successes of a message that its sender has not been told
// of yet. They are settled as such at once; that a DSN is owed stands in the state
// (RecipientState.Owed), and the entry stays until it was made. Delays are told at
// once, all of a message together (Along).
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
			o.add(mail.Report{Recipient: i, Action: r.As, Outcome: out, Attempts: int(r.Attempts)}, now)
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
// delays, and all others when they are due. Verdicts that have to wait are marked as
// owed, and have no report any more.
func (o *Owed) Gather(c *Rules, e *mail.Envelope, vs []Verdict, others bool, now time.Time) (tell []mail.Report) {
	for i := range vs {
		v := &vs[i]
		if !v.Report {
			continue
		}
		r := mail.Report{Recipient: v.To, Action: v.Action, Outcome: *v.Outcome, Attempts: int(v.State.Attempts)}
		if v.Action == mail.ActionDelayed {
			r.WillRetry = Expiry(c, e.Received, e.Expire)
			tell = append(tell, r)
			continue
		}
		v.State.Owed, v.State.As = true, v.Action
		o.add(r, now)
	}
	due := o.Due(others, now)
	for i := range vs {
		v := &vs[i]
		v.Report = v.Report && (due || !v.State.Owed)
		if due {
			v.State.Owed, v.State.As = false, 0
		}
	}
	if due {
		tell = append(tell, o.reports...)
		*o = Owed{}
	}
	return tell
}

// Return takes back what was to be told, as the DSN could not be made, but for
// delays and what vs decides anew. It is tried again after gatherFor.
func (o *Owed) Return(told []mail.Report, vs []Verdict, now time.Time) {
	for _, r := range told {
		anew := slices.ContainsFunc(vs, func(v Verdict) bool { return v.To == r.Recipient })
		if r.Action != mail.ActionDelayed && !anew {
			o.add(r, now)
			o.after = o.Until
		}
	}
}

// Clear takes the marks off a state that owes nothing any more.
func (o *Owed) Clear(s *mail.State) {
	if len(o.reports) == 0 {
		for i := range s.Recipients {
			s.Recipients[i].Owed, s.Recipients[i].As = false, 0
		}
	}
}
