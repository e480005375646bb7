package queue

import (
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// maxUntried is how often in a row a try may come back untried before it
// counts as deferred, so that nothing goes round and round for ever.
const maxUntried = 5

// verdict is what an outcome means for one recipient: its new state, the
// event, and the report for a DSN if one is due.
type verdict struct {
	to      int
	state   mail.RecipientState
	event   mail.EventKind
	delayed bool // a Delayed event besides
	report  bool
	action  mail.Action
	outcome *mail.Outcome
	lane    mail.Lane
}

// judge decides a recipient's fate from what an attempt came to. r is its
// state before; spread is the place within the jitter.
func judge(c *Config, e *mail.Envelope, to int, r mail.RecipientState, o *mail.Outcome, local bool, now time.Time, spread float64) verdict {
	v := verdict{to: to, state: r, outcome: o}
	s := &v.state
	s.Attempts++
	if s.Attempts == 0 {
		s.Attempts--
	}
	s.Reply, s.Host, s.Due = o.Reply, o.Host, time.Time{}
	notify := e.Recipients[to].Notify
	if !e.Sender.IsNull() { // promise 7: the null sender never gets a DSN
		v.report = true
	}
	end := expiry(c, e.Received, e.Expire)
	switch fate := o.Fate(); {
	case fate == mail.Sent:
		s.Fate, v.event = mail.Sent, mail.EventDelivery
		v.action = mail.ActionRelayed
		if local {
			v.action = mail.ActionDelivered
		}
		// RFC 3461 section 5.2.2: a next hop with DSN takes over the duty.
		v.report = v.report && notify.OnSuccess() && !o.DSN
	case fate == mail.Failed:
		s.Fate, v.event = mail.Failed, mail.EventBounce
		v.action, v.report = mail.ActionFailed, v.report && notify.OnFailure()
	case !now.Before(end):
		s.Fate, v.event = mail.Expired, mail.EventExpiration
		v.action, v.report = mail.ActionFailed, v.report && notify.OnFailure()
		v.outcome = expiredOutcome(*o)
	default:
		s.Fate, v.event = mail.Deferred, mail.EventTransientFailure
		s.Due = nextTry(c, int(s.Attempts), now, end, o.RetryAfter, spread)
		late := c.DelayNotice > 0 && !now.Before(e.Received.Add(c.DelayNotice))
		v.report = v.report && late && !s.DelayTold && notify.OnDelay()
		v.action, v.delayed = mail.ActionDelayed, v.report
		s.DelayTold = s.DelayTold || v.report
	}
	return v
}

// expire decides the fate of a recipient whose time ran out while it waited.
func expire(e *mail.Envelope, to int, r mail.RecipientState) verdict {
	v := verdict{to: to, state: r, event: mail.EventExpiration, action: mail.ActionFailed}
	v.outcome = expiredOutcome(mail.Outcome{Reply: r.Reply, Host: r.Host})
	v.state.Fate, v.state.Due = mail.Expired, time.Time{}
	v.report = !e.Sender.IsNull() && e.Recipients[to].Notify.OnFailure()
	return v
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
	return &last
}

// withoutDSN changes verdicts after the DSN they need could not be composed:
// what was sent stays sent, the rest is deferred, since a failure that nobody
// is told of would be lost mail.
func withoutDSN(c *Config, vs []verdict, now time.Time) {
	for i := range vs {
		v := &vs[i]
		if !v.report {
			continue
		}
		v.report = false
		if v.delayed {
			v.delayed, v.state.DelayTold = false, false
		}
		if v.state.Fate == mail.Failed || v.state.Fate == mail.Expired {
			v.state.Fate, v.event = mail.Deferred, mail.EventTransientFailure
			v.state.Due = ceilSecond(now.Add(c.Retry[0]))
		}
	}
}

// ours makes an outcome that no remote had a part in.
func ours(code int, status smtp.Status, text, command string, err error) mail.Outcome {
	o := mail.Outcome{Reply: smtp.Reply{Code: code, Status: status, Text: text}, Command: command}
	if err != nil {
		o.Detail = err.Error()
	}
	return o
}

// same gives n times the outcome o.
func same(o mail.Outcome, n int) []mail.Outcome {
	all := make([]mail.Outcome, n)
	for i := range all {
		all[i] = o
	}
	return all
}

// plan is what there is to do for a message now. Its slices are reused.
type plan struct {
	due     []int // to be tried
	expired []int
	next    time.Time // when the earliest of the others is due; zero: there is none
	nextOne int       // that recipient
}

// set sorts the recipients that are neither final nor out (in an open part or
// settlement). A due time further off than any that we would set was written
// under another clock and counts as due.
func (p *plan) set(c *Config, e *mail.Envelope, s *mail.State, out []bool, now time.Time) {
	p.due, p.expired, p.next = p.due[:0], p.expired[:0], time.Time{}
	if s.Held {
		return
	}
	over := !now.Before(expiry(c, e.Received, e.Expire))
	absurd := now.Add(longestWait(c))
	for i := range s.Recipients {
		r := &s.Recipients[i]
		switch {
		case r.Fate.Final() || out[i]:
		case over:
			p.expired = append(p.expired, i)
		case r.Due.After(now) && r.Due.Before(absurd):
			if p.next.IsZero() || r.Due.Before(p.next) {
				p.next, p.nextOne = r.Due, i
			}
		default:
			p.due = append(p.due, i)
		}
	}
}

// byDomain calls fn for each domain among the recipients to, with its
// recipients in their order. Attempts are by domain even within a lane, since
// what a host must show (MTA-STS) is judged per domain.
func byDomain(e *mail.Envelope, to []int, fn func(d smtp.Domain, to []int)) {
	if len(to) == 1 {
		fn(e.Recipients[to[0]].Address.Domain, to)
		return
	}
	groups := make(map[smtp.Domain][]int)
	var order []smtp.Domain
	for _, i := range to {
		d := e.Recipients[i].Address.Domain
		if groups[d] == nil {
			order = append(order, d)
		}
		groups[d] = append(groups[d], i)
	}
	for _, d := range order {
		fn(d, groups[d])
	}
}

// class is the place of a priority among the lists of a lane: 0 goes first.
func class(p mail.Priority) uint8 {
	switch {
	case p > mail.Normal:
		return 0
	case p == mail.Normal:
		return 1
	}
	return 2
}
