package fate

import (
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// MaxUntried is how often in a row a try may come back untried before it
// counts as deferred, so that nothing goes round and round for ever.
const MaxUntried = 5

// Verdict is what an outcome means for one recipient: its new state, the
// event, and the report for a DSN if one is due.
type Verdict struct {
	To      int // index into Envelope.Recipients
	State   mail.RecipientState
	Event   mail.EventKind // 0: none
	Delayed bool           // a Delayed event besides
	Report  bool
	Aside   bool        // the recipient is elsewhere at work, and stays there
	Action  mail.Action // of the report
	Outcome *mail.Outcome
	Lane    mail.Lane
}

// Judge decides a recipient's fate from what an attempt came to. r is its
// state before; spread is the place within the jitter.
func Judge(c *Rules, e *mail.Envelope, to int, r mail.RecipientState, o *mail.Outcome, local bool, now time.Time, spread float64) Verdict {
	v := Verdict{To: to, State: r, Outcome: o}
	s := &v.State
	s.Attempts++
	if s.Attempts == 0 {
		s.Attempts--
	}
	s.Reply, s.Host, s.Due = o.Reply, o.Host, time.Time{}
	notify := e.Recipients[to].Notify
	if !e.Sender.IsNull() { // promise 7: the null sender never gets a DSN
		v.Report = true
	}
	end := Expiry(c, e.Received, e.Expire)
	switch fate := o.Fate(); {
	case fate == mail.Sent:
		s.Fate, v.Event = mail.Sent, mail.EventDelivery
		v.Action = mail.ActionRelayed
		switch {
		case o.Expanded:
			v.Action = mail.ActionExpanded
		case local:
			v.Action = mail.ActionDelivered
		}
		// RFC 3461 section 5.2.2: a next hop with DSN takes over the duty.
		v.Report = v.Report && notify.OnSuccess() && !o.DSN
	case fate == mail.Failed:
		s.Fate, v.Event = mail.Failed, mail.EventBounce
		v.Action, v.Report = mail.ActionFailed, v.Report && notify.OnFailure()
	case !now.Before(end):
		s.Fate, v.Event = mail.Expired, mail.EventExpiration
		v.Action, v.Report = mail.ActionFailed, v.Report && notify.OnFailure()
		v.Outcome = expiredOutcome(*o)
	default:
		s.Fate, v.Event = mail.Deferred, mail.EventTransientFailure
		s.Due = NextTry(c, int(s.Attempts), now, end, o.RetryAfter, spread)
		late := c.DelayNotice > 0 && !now.Before(e.Received.Add(c.DelayNotice))
		v.Report = v.Report && late && !s.DelayTold && notify.OnDelay()
		v.Action, v.Delayed = mail.ActionDelayed, v.Report
		s.DelayTold = s.DelayTold || v.Report
	}
	return v
}

// Expire decides the fate of a recipient whose time ran out while it waited.
func Expire(e *mail.Envelope, to int, r mail.RecipientState) Verdict {
	v := Verdict{To: to, State: r, Event: mail.EventExpiration, Action: mail.ActionFailed}
	v.Outcome = expiredOutcome(mail.Outcome{Reply: r.Reply, Host: r.Host})
	v.State.Fate, v.State.Due = mail.Expired, time.Time{}
	v.Report = !e.Sender.IsNull() && e.Recipients[to].Notify.OnFailure()
	return v
}

// Delete gives the verdicts on the recipients whose message an operator removes.
func Delete(state *mail.State) []Verdict {
	o := Ours(554, smtp.Status{5, 7, 0}, "removed by the operator", "LOCAL", nil)
	var vs []Verdict
	for i, r := range state.Recipients {
		if r.Fate.Final() {
			continue
		}
		r.Fate, r.Due = mail.Deleted, time.Time{}
		vs = append(vs, Verdict{To: i, State: r, Event: mail.EventAdminBounce, Outcome: &o})
	}
	return vs
}

// expiredOutcome is the outcome that tells of an expiry: the last reply of the
// remote as it was (a temporary one; beside ActionFailed it means X.4.7, RFC
// 3463 section 3.5), or our own words where there was never one.
func expiredOutcome(last mail.Outcome) *mail.Outcome {
	if last.Reply.Code == 0 {
		last.Reply = smtp.Reply{Code: 554, Status: smtp.Status{5, 4, 7}, Text: "delivery time expired"}
		last.Command = "LOCAL"
	}
	last.Untried, last.Detail = false, "delivery time expired"
	last.Diagnosis = mail.Diagnosis{Class: mail.MessageExpired, Severity: mail.Soft, Remedy: mail.Bounce}
	return &last
}

// WithoutDSN changes verdicts after the DSN they need could not be composed:
// what was sent stays sent, the rest is deferred, since a failure that nobody
// is told of would be lost mail.
func WithoutDSN(c *Rules, vs []Verdict, now time.Time) {
	for i := range vs {
		v := &vs[i]
		if !v.Report {
			continue
		}
		v.Report = false
		if v.Delayed {
			v.Delayed, v.State.DelayTold = false, false
		}
		if v.State.Fate == mail.Failed || v.State.Fate == mail.Expired {
			v.State.Fate, v.Event = mail.Deferred, mail.EventTransientFailure
			v.State.Due = ceil(now.Add(c.Retry[0]))
		}
	}
}

// Ours makes an outcome that no remote had a part in.
func Ours(code int, status smtp.Status, text, command string, err error) mail.Outcome {
	o := mail.Outcome{Reply: smtp.Reply{Code: code, Status: status, Text: text}, Command: command}
	if err != nil {
		o.Detail = err.Error()
	}
	return o
}

// Same gives n times the outcome o.
func Same(o mail.Outcome, n int) []mail.Outcome {
	all := make([]mail.Outcome, n)
	for i := range all {
		all[i] = o
	}
	return all
}
