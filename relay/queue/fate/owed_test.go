package fate

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

var refused = mail.Outcome{Reply: smtp.Reply{Code: 550, Text: "no"}, Host: "mx.test"}

// failures are verdicts on recipients that failed and whose sender is to be told.
func failures(to ...int) (vs []Verdict) {
	for _, i := range to {
		vs = append(vs, Verdict{To: i, Report: true, Action: mail.ActionFailed, Outcome: &refused, State: mail.RecipientState{Fate: mail.Failed, Attempts: 1}})
	}
	return vs
}

// recipients of reports.
func recipients(reports []mail.Report) (to []int) {
	for _, r := range reports {
		to = append(to, r.Recipient)
	}
	return to
}

// Failures and successes wait for each other while more is under way, for half a
// minute at most; delays do not.
func TestGather(t *testing.T) {
	e := &mail.Envelope{Sender: smtp.Address{Local: "me"}, Recipients: make([]mail.Recipient, 9)}
	var o Owed
	gather := func(vs []Verdict, others bool, after time.Duration) []int {
		return recipients(o.Gather(rules, e, vs, others, now.Add(after)))
	}
	first := failures(0, 1)
	if got := gather(first, true, 0); got != nil || !first[0].State.Owed || first[0].Report || o.Until != now.Add(gatherFor) {
		t.Errorf("told of %v: %+v", got, first[0])
	}
	mixed := append(failures(2), Verdict{To: 3, Report: true, Action: mail.ActionDelayed, Outcome: &refused}, Verdict{To: 4, Action: mail.ActionFailed},
		Verdict{To: 6, Report: true, Action: mail.ActionExpanded, Outcome: &refused})
	if got := gather(mixed, true, time.Second); !cmp.Equal(got, []int{3}) || mixed[1].State.Owed || mixed[2].State.Owed || !mixed[3].State.Owed || mixed[3].State.As != mail.ActionExpanded {
		t.Errorf("told of %v", got)
	}
	if o.Due(true, now.Add(gatherFor-1)) || !o.Due(true, now.Add(gatherFor)) || !o.Due(false, now) {
		t.Error("due at another time")
	}
	last := failures(5)
	if got := gather(last, false, 2*time.Second); !cmp.Equal(got, []int{0, 1, 2, 6, 5}) || last[0].State.Owed || !last[0].Report || !o.Until.IsZero() {
		t.Errorf("told of %v: %+v", got, last[0])
	}
	if got := gather(nil, false, 3*time.Second); got != nil || o.Due(false, now) {
		t.Errorf("told again of %v", got)
	}
}

// What a state owes is known after a restart, and told at once.
func TestRecall(t *testing.T) {
	s := &mail.State{Recipients: []mail.RecipientState{
		{Fate: mail.Failed, Owed: true, Reply: refused.Reply, Host: refused.Host, Attempts: 2},
		{Fate: mail.Failed},
		{Fate: mail.Expired, Owed: true},
		{Fate: mail.Deferred},
		{Fate: mail.Sent, Owed: true, As: mail.ActionDelivered},
	}}
	var o Owed
	if o.Clear(s); s.Recipients[0].Owed {
		t.Error("a mark stays for nothing")
	}
	s.Recipients[0].Owed, s.Recipients[2].Owed, s.Recipients[4].Owed, s.Recipients[4].As = true, true, true, mail.ActionDelivered
	o.Recall(s, time.Time{})
	if o.Clear(s); !s.Recipients[0].Owed {
		t.Error("the mark of what is owed is gone")
	}
	if !o.Due(true, now) {
		t.Error("it waits")
	}
	e := &mail.Envelope{Sender: smtp.Address{Local: "me"}, Recipients: make([]mail.Recipient, 5)}
	told := o.Gather(rules, e, nil, true, now)
	if !cmp.Equal(recipients(told), []int{0, 2, 4}) || told[2].Action != mail.ActionDelivered || told[0].Outcome.Reply != refused.Reply || told[0].Attempts != 2 || told[1].Outcome.Reply.Status != (smtp.Status{5, 4, 7}) {
		t.Errorf("%+v", told)
	}
}

// A DSN that could not be made is owed again, but for what is deferred instead.
func TestReturn(t *testing.T) {
	e := &mail.Envelope{Sender: smtp.Address{Local: "me"}, Recipients: make([]mail.Recipient, 4)}
	var o Owed
	o.Gather(rules, e, failures(0), true, now)
	vs := failures(1)
	told := o.Gather(rules, e, vs, false, now)
	WithoutDSN(rules, vs, now)
	o.Return(told, vs, now)
	if vs[0].State.Fate != mail.Deferred || vs[0].State.Owed || o.Due(true, now) {
		t.Errorf("%+v", vs[0])
	}
	if got := o.Gather(rules, e, nil, false, now); got != nil {
		t.Errorf("tried again at once: %v", got)
	}
	if got := recipients(o.Gather(rules, e, nil, false, now.Add(gatherFor))); !cmp.Equal(got, []int{0}) {
		t.Errorf("told of %v", got)
	}
}
