package fate

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

var (
	now   = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	rules = &Rules{Retry: []time.Duration{10 * time.Minute, time.Hour}, Jitter: 0.1, Expire: 5 * 24 * time.Hour, DelayNotice: 4 * time.Hour}
)

func TestNextTry(t *testing.T) {
	far := now.Add(4 * 24 * time.Hour)
	for _, c := range []struct {
		what     string
		attempts int
		expiry   time.Time
		asked    time.Duration
		spread   float64
		want     time.Duration
	}{
		{"the first wait", 1, far, 0, 0, 10 * time.Minute},
		{"the second", 2, far, 0, 0, time.Hour},
		{"the last repeats", 9, far, 0, 0, time.Hour},
		{"no attempt yet counts as one", 0, far, 0, 0, 10 * time.Minute},
		{"jitter, early", 2, far, 0, -1, 54 * time.Minute},
		{"jitter, late", 2, far, 0, 1, 66 * time.Minute},
		{"whole seconds, rounded up", 1, far, 90*time.Second + 1, -1, 91 * time.Second},
		{"a stated wait shortens an early one", 1, far, 3 * time.Minute, -1, 3 * time.Minute},
		{"it is not kept to the second", 1, far, 3 * time.Minute, 1, 3*time.Minute + 18*time.Second},
		{"a stated wait does not shorten a late one", 4, far, 3 * time.Minute, 0, time.Hour},
		{"but lengthens it", 4, far, 3 * time.Hour, -1, 3 * time.Hour},
		{"no more than a day", 1, far, 1000 * time.Hour, -1, 24 * time.Hour},
		{"one last try before the end", 2, now.Add(50 * time.Minute), 0, 0, 45 * time.Minute},
		{"none too close behind this one", 2, now.Add(30 * time.Minute), 0, 0, 30 * time.Minute},
		{"none before the stated wait", 2, now.Add(50 * time.Minute), 46 * time.Minute, -1, 46 * time.Minute},
		{"none at all, if that lies beyond the end", 2, now.Add(50 * time.Minute), 51 * time.Minute, -1, 50 * time.Minute},
	} {
		if got := NextTry(rules, c.attempts, now, c.expiry, c.asked, c.spread).Sub(now); got != c.want {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
}

// Whatever comes in: after now, not before the stated wait unless the message
// ends first, never after its end, inside the jitter, and never so long that a
// Plan takes it for a clock error.
func TestNextTryBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		attempts := rapid.IntRange(1, 20).Draw(t, "attempts")
		asked := time.Duration(rapid.Int64Range(0, int64(48*time.Hour)).Draw(t, "asked"))
		left := time.Duration(rapid.IntRange(1, 5*24*3600).Draw(t, "left")) * time.Second
		spread := rapid.Float64Range(-1, 1).Draw(t, "spread")
		due := NextTry(rules, attempts, now, now.Add(left), asked, spread)
		wait := due.Sub(now)
		plain := rules.Retry[min(attempts, 2)-1]
		switch {
		case wait <= 0 || wait > left || due.Nanosecond() != 0:
			t.Fatalf("%v of %v", wait, left)
		case wait < min(asked, maxRetryAfter) && wait != left:
			t.Fatalf("%v, before the %v that were asked for", wait, asked)
		case asked == 0 && wait > plain*11/10+time.Second:
			t.Fatalf("%v, beyond the jitter", wait)
		case asked == 0 && wait < plain*9/10 && wait != left && wait != left-lastTry:
			t.Fatalf("%v, before the jitter", wait)
		case wait >= longest(rules):
			t.Fatalf("%v looks like a clock error", wait)
		}
	})
}

func TestJudge(t *testing.T) {
	ok := mail.Outcome{Reply: smtp.Reply{Code: 250}}
	no := mail.Outcome{Reply: smtp.Reply{Code: 550}}
	later := mail.Outcome{Reply: smtp.Reply{Code: 451, Text: "later"}}
	expanded := mail.Outcome{Reply: smtp.Reply{Code: 250}, Expanded: true}
	null := smtp.Address{}
	me := smtp.Address{Local: "me", Domain: "own.test"}
	for _, c := range []struct {
		what     string
		outcome  mail.Outcome
		sender   smtp.Address
		notify   mail.Notify
		age      time.Duration
		told     bool
		dsn      bool
		local    bool
		fate     mail.Fate
		event    mail.EventKind
		report   bool
		action   mail.Action
		delayed  bool
		nextTold bool
	}{
		{what: "sent", outcome: ok, sender: me, fate: mail.Sent, event: mail.EventDelivery, action: mail.ActionRelayed},
		{what: "sent, to be told", outcome: ok, sender: me, notify: mail.NotifySuccess, fate: mail.Sent, event: mail.EventDelivery, report: true, action: mail.ActionRelayed},
		{what: "sent, the next hop tells", outcome: ok, dsn: true, sender: me, notify: mail.NotifySuccess, fate: mail.Sent, event: mail.EventDelivery, action: mail.ActionRelayed},
		{what: "delivered to several", outcome: expanded, local: true, sender: me, notify: mail.NotifySuccess, fate: mail.Sent, event: mail.EventDelivery, report: true, action: mail.ActionExpanded},
		{what: "delivered here", outcome: ok, local: true, sender: me, notify: mail.NotifySuccess, fate: mail.Sent, event: mail.EventDelivery, report: true, action: mail.ActionDelivered},
		{what: "refused", outcome: no, sender: me, fate: mail.Failed, event: mail.EventBounce, report: true, action: mail.ActionFailed},
		{what: "refused, not to be told", outcome: no, sender: me, notify: mail.NotifyNever, fate: mail.Failed, event: mail.EventBounce, action: mail.ActionFailed},
		{what: "refused, only success to be told", outcome: no, sender: me, notify: mail.NotifySuccess, fate: mail.Failed, event: mail.EventBounce, action: mail.ActionFailed},
		{what: "a DSN refused", outcome: no, sender: null, fate: mail.Failed, event: mail.EventBounce, action: mail.ActionFailed},
		{what: "a DSN sent, success to be told", outcome: ok, sender: null, notify: mail.NotifySuccess, fate: mail.Sent, event: mail.EventDelivery, action: mail.ActionRelayed},
		{what: "deferred", outcome: later, sender: me, fate: mail.Deferred, event: mail.EventTransientFailure, action: mail.ActionDelayed},
		{what: "no reply at all", sender: me, fate: mail.Deferred, event: mail.EventTransientFailure, action: mail.ActionDelayed},
		{what: "deferred for long", outcome: later, sender: me, age: 4 * time.Hour, fate: mail.Deferred, event: mail.EventTransientFailure, report: true, action: mail.ActionDelayed, delayed: true, nextTold: true},
		{what: "deferred for long, told before", outcome: later, sender: me, age: 5 * time.Hour, told: true, fate: mail.Deferred, event: mail.EventTransientFailure, action: mail.ActionDelayed, nextTold: true},
		{what: "deferred for long, failure only", outcome: later, sender: me, notify: mail.NotifyFailure, age: 5 * time.Hour, fate: mail.Deferred, event: mail.EventTransientFailure, action: mail.ActionDelayed},
		{what: "a DSN deferred for long", outcome: later, sender: null, age: 5 * time.Hour, fate: mail.Deferred, event: mail.EventTransientFailure, action: mail.ActionDelayed},
		{what: "expired", outcome: later, sender: me, age: 5 * 24 * time.Hour, fate: mail.Expired, event: mail.EventExpiration, report: true, action: mail.ActionFailed},
		{what: "a DSN expired", outcome: later, sender: null, age: 5 * 24 * time.Hour, fate: mail.Expired, event: mail.EventExpiration, action: mail.ActionFailed},
		{what: "sent at the last moment", outcome: ok, sender: me, age: 6 * 24 * time.Hour, fate: mail.Sent, event: mail.EventDelivery, action: mail.ActionRelayed},
	} {
		e := &mail.Envelope{Sender: c.sender, Received: now.Add(-c.age), Recipients: []mail.Recipient{{Notify: c.notify}}}
		c.outcome.DSN = c.dsn
		v := Judge(rules, e, 0, mail.RecipientState{Attempts: 3, DelayTold: c.told}, &c.outcome, c.local, now, 0)
		if v.State.Fate != c.fate || v.Event != c.event || v.Report != c.report || v.Action != c.action || v.Delayed != c.delayed || v.State.DelayTold != c.nextTold {
			t.Errorf("%s: %+v", c.what, v)
		}
		if v.State.Attempts != 4 || v.State.Reply != c.outcome.Reply {
			t.Errorf("%s: attempts %d, reply %v", c.what, v.State.Attempts, v.State.Reply)
		}
		if (v.State.Fate == mail.Deferred) == v.State.Due.IsZero() {
			t.Errorf("%s: due %v", c.what, v.State.Due)
		}
	}
}

// An expiry tells of the last reply; without one, of itself.
func TestExpire(t *testing.T) {
	e := &mail.Envelope{Sender: smtp.Address{Local: "me"}, Recipients: make([]mail.Recipient, 1)}
	last := smtp.Reply{Code: 451, Status: smtp.Status{4, 7, 1}, Text: "greylisted"}
	v := Expire(e, 0, mail.RecipientState{Fate: mail.Deferred, Attempts: 7, Reply: last, Host: "mx"})
	if v.Outcome.Reply != last || v.Outcome.Host != "mx" || v.State.Fate != mail.Expired || v.State.Attempts != 7 || !v.Report {
		t.Errorf("%+v %+v", v, v.Outcome)
	}
	v = Expire(e, 0, mail.RecipientState{})
	if v.Outcome.Reply.Status != (smtp.Status{5, 4, 7}) || v.State.Reply.Code != 0 {
		t.Errorf("%+v %+v", v, v.Outcome)
	}
}

func TestWithoutDSN(t *testing.T) {
	vs := []Verdict{
		{Report: true, State: mail.RecipientState{Fate: mail.Failed}, Event: mail.EventBounce},
		{Report: false, State: mail.RecipientState{Fate: mail.Failed}, Event: mail.EventBounce},
		{Report: true, State: mail.RecipientState{Fate: mail.Sent}, Event: mail.EventDelivery},
		{Report: true, Delayed: true, State: mail.RecipientState{Fate: mail.Deferred, DelayTold: true}, Event: mail.EventTransientFailure},
	}
	WithoutDSN(rules, vs, now)
	want := []mail.Fate{mail.Deferred, mail.Failed, mail.Sent, mail.Deferred}
	for i, v := range vs {
		if v.State.Fate != want[i] || v.Report || v.Delayed || v.State.DelayTold {
			t.Errorf("%d: %+v", i, v)
		}
	}
}

func TestPlan(t *testing.T) {
	e := &mail.Envelope{Received: now.Add(-time.Hour), Recipients: make([]mail.Recipient, 7)}
	s := &mail.State{Recipients: []mail.RecipientState{
		{},
		{Fate: mail.Deferred, Due: now},
		{Fate: mail.Deferred, Due: now.Add(time.Hour)},
		{Fate: mail.Deferred, Due: now.Add(time.Minute)},
		{Fate: mail.Sent},
		{Fate: mail.Deferred}, // out
		{Fate: mail.Deferred, Due: now.Add(100 * 24 * time.Hour)}, // another clock's
	}}
	out := []bool{5: true, 6: false}
	var p Plan
	p.Set(rules, e, s, out, now)
	if d := cmp.Diff(Plan{Due: []int{0, 1, 6}, Next: now.Add(time.Minute), NextOne: 3}, p); d != "" {
		t.Error(d)
	}
	p.Set(rules, e, s, out, now.Add(5*24*time.Hour-time.Hour))
	if d := cmp.Diff([]int{0, 1, 2, 3, 6}, p.Expired); d != "" || len(p.Due) != 0 || !p.Next.IsZero() {
		t.Errorf("%+v", p)
	}
	s.Held = true
	p.Set(rules, e, s, out, now.Add(5*24*time.Hour))
	if len(p.Due)+len(p.Expired) != 0 || !p.Next.IsZero() {
		t.Errorf("held: %+v", p)
	}
}

// hosts knows the domains whose mail goes to one configured host.
type hosts map[smtp.Domain]mail.Lane

func (h hosts) Cached(d smtp.Domain, _ *mail.Envelope) (mail.Route, *mail.Outcome, bool) {
	if lane, ok := h[d]; ok {
		return mail.Route{Kind: mail.ByHost, Lane: lane}, nil, true
	}
	return mail.Route{Kind: mail.ByMX, Lane: "same site"}, nil, d != "unknown.test"
}

func TestByDestination(t *testing.T) {
	e := &mail.Envelope{}
	for _, d := range []smtp.Domain{"b.test", "a.test", "b.test", "c.test", "s1.test", "other.test", "s2.test", "unknown.test", "s1.test"} {
		e.Recipients = append(e.Recipients, mail.Recipient{Address: smtp.Address{Local: "x", Domain: d}})
	}
	routes := hosts{"s1.test": "smart", "s2.test": "smart", "other.test": "other"}
	var got [][]int
	take := func(_ smtp.Domain, to []int) { got = append(got, to) }
	ByDestination(e, []int{0, 1, 2, 4, 5, 6, 7, 8}, routes, take)
	ByDestination(e, []int{3}, routes, take)
	if d := cmp.Diff([][]int{{0, 2}, {1}, {4, 6, 8}, {5}, {7}, {3}}, got); d != "" {
		t.Error(d)
	}
}

func TestClockStep(t *testing.T) {
	if s := ClockStep(now, now.Add(-time.Hour+time.Minute), time.Minute); s != -time.Hour {
		t.Errorf("%v", s)
	}
}
