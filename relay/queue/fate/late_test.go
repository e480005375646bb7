package fate

import (
	"slices"
	"testing"
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

func TestPatience(t *testing.T) {
	received := time.Unix(1_700_000_000, 0)
	e := &mail.Envelope{Sender: smtp.Address{Local: "a", Domain: "a.test"}, Received: received, Recipients: []mail.Recipient{
		{}, {Notify: mail.NotifyNever}, {Notify: mail.NotifyDelay}, {Notify: mail.NotifySuccess},
	}}
	bounce := *e
	bounce.Sender = smtp.Address{}
	s := &mail.State{Recipients: []mail.RecipientState{{}, {}, {DelayTold: true}, {}}}
	for _, c := range []struct {
		why            string
		e              *mail.Envelope
		expire, notice time.Duration
		now            time.Duration
		to             []int
		want           time.Duration
		late           []int
	}{
		{"to be told", e, 72 * time.Hour, 4 * time.Hour, 0, []int{0, 1, 2, 3}, 4 * time.Hour, []int{0}},
		{"it has just come", e, 72 * time.Hour, 4 * time.Hour, 5 * time.Hour, []int{0}, 5*time.Hour + time.Minute, []int{0}},
		{"told, or declined", e, 72 * time.Hour, 4 * time.Hour, 0, []int{1, 2, 3}, 72 * time.Hour, nil},
		{"nobody is there to be told", &bounce, 72 * time.Hour, 4 * time.Hour, 0, []int{0}, 72 * time.Hour, nil},
		{"no notices", e, 72 * time.Hour, 0, 0, []int{0}, 72 * time.Hour, nil},
		{"it expires before", e, time.Hour, 4 * time.Hour, 0, []int{0}, time.Hour, []int{0}},
	} {
		rules := &Rules{Retry: []time.Duration{time.Hour}, Expire: c.expire, DelayNotice: c.notice}
		if got := Patience(rules, c.e, s, c.to, received.Add(c.now)).Sub(received); got != c.want {
			t.Errorf("%s: %v, want %v", c.why, got, c.want)
		}
		p := Plan{Due: slices.Clone(c.to)}
		if early := p.Late(rules, c.e, s, received.Add(c.notice-time.Second)); early != nil || len(p.Due) != len(c.to) {
			t.Errorf("%s: %v a second before", c.why, early)
		}
		late := p.Late(rules, c.e, s, received.Add(c.notice))
		if !slices.Equal(late, c.late) || len(p.Due)+len(late) != len(c.to) {
			t.Errorf("%s: %v late, %v left", c.why, late, p.Due)
		}
	}
	if v := Wait(0, s.Recipients[0]); !v.State.DelayTold || v.State.Attempts != 0 || v.Outcome.Reply.Code != 451 || v.Event != 0 || !v.Delayed {
		t.Errorf("%+v", v)
	}
}

// Those that wait for as long as one that is told of are told of with it, wherever
// they stand; what has its fate, was told, or declined, is not.
func TestAlong(t *testing.T) {
	c := &Rules{Retry: []time.Duration{time.Hour}, Expire: 72 * time.Hour, DelayNotice: 4 * time.Hour}
	e := &mail.Envelope{Sender: smtp.Address{Local: "a", Domain: "a.test"}, Received: now, Recipients: make([]mail.Recipient, 6)}
	e.Recipients[4].Notify = mail.NotifyNever
	s := &mail.State{Recipients: []mail.RecipientState{{}, {Fate: mail.Deferred, Attempts: 3, Reply: refused.Reply}, {Fate: mail.Sent}, {DelayTold: true}, {}, {}}}
	vs := []Verdict{Wait(0, s.Recipients[0]), {To: 5}}
	if got := Along(vs[1:], c, e, s); len(got) != 1 {
		t.Errorf("%d verdicts though nobody is told", len(got))
	}
	got := Along(vs, c, e, s)
	if len(got) != 3 || got[2].To != 1 || !got[2].Aside || got[2].State.Attempts != 3 || got[2].Outcome.Reply.Code != 550 || got[0].Aside {
		t.Errorf("%+v", got)
	}
}
