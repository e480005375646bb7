package fate

import (
	"slices"
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// turn is how long recipients get for being tried, before it counts as waiting: what
// comes to a lane that works is tried at once, and told by what that comes to.
const turn = time.Minute

// Patience is until when recipients may wait untried, in a lane that rests or is slow
// and to which they come now, before something is to be done about them: until their
// message expires, or until the sender is to hear of the delay.
func Patience(c *Rules, e *mail.Envelope, s *mail.State, to []int, now time.Time) time.Time {
	end := Expiry(c, e.Received, e.Expire)
	notice := ceil(e.Received.Add(c.DelayNotice))
	if least := ceil(now.Add(turn)); notice.Before(least) {
		notice = least
	}
	if notice.Before(end) && slices.ContainsFunc(to, func(i int) bool { return owesNotice(c, e, s, i) }) {
		return notice
	}
	return end
}

// owesNotice reports that the sender is to hear of a delay of recipient i, and has
// not yet (RFC 3461 section 4.1). The null sender never does.
func owesNotice(c *Rules, e *mail.Envelope, s *mail.State, i int) bool {
	return c.DelayNotice > 0 && !e.Sender.IsNull() && !s.Recipients[i].DelayTold && e.Recipients[i].Notify.OnDelay()
}

// Late takes out of Due, and gives, those of whose delay the sender is to hear now.
func (p *Plan) Late(c *Rules, e *mail.Envelope, s *mail.State, now time.Time) (late []int) {
	if now.Before(e.Received.Add(c.DelayNotice)) {
		return nil
	}
	p.Due = slices.DeleteFunc(p.Due, func(i int) bool {
		owes := owesNotice(c, e, s, i)
		if owes {
			late = append(late, i)
		}
		return owes
	})
	return late
}

// Wait is the verdict on a recipient that goes on waiting, untried, and whose sender
// hears of it. It is no attempt.
func Wait(to int, r mail.RecipientState) Verdict {
	o := mail.Outcome{Reply: r.Reply, Host: r.Host}
	if o.Reply.Code == 0 {
		o = Ours(451, smtp.Status{4, 4, 0}, "the message waits for its turn", "LOCAL", nil)
	}
	r.DelayTold = true
	return Verdict{To: to, State: r, Delayed: true, Report: true, Action: mail.ActionDelayed, Outcome: &o}
}

// Along appends verdicts on the recipients that wait for as long as one of whose
// delay vs tells, so that one DSN tells of all: they came with the same message, so
// that the time has come for all. Wherever they stand, they stay there.
func Along(vs []Verdict, c *Rules, e *mail.Envelope, s *mail.State) []Verdict {
	if len(s.Recipients) == 1 || !slices.ContainsFunc(vs, func(v Verdict) bool { return v.Delayed }) {
		return vs
	}
	decided := make([]bool, len(s.Recipients))
	for i := range vs {
		decided[vs[i].To] = true
	}
	for i, r := range s.Recipients {
		if !decided[i] && !r.Fate.Final() && owesNotice(c, e, s, i) {
			v := Wait(i, r)
			v.Aside = true
			vs = append(vs, v)
		}
	}
	return vs
}
