package queue

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"tenma/relay/mail"
	"tenma/relay/queue/fate"
	"tenma/relay/wire/smtp"
)

// The sender of mail that waits untried, for a destination at rest, hears of the
// delay in time and once, with what the destination had said to others; unless it
// declined, or is null. The mail goes out when the destination is back.
func TestDelayIsToldAtRest(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		down := r.downHost()
		r.conf.RestAfter, r.conf.LaneReady = 3, 5
		r.conf.Expire, r.conf.DelayNotice = 48*time.Hour, 4*time.Hour
		r.conf.Retry = []time.Duration{20 * time.Hour}
		r.start()
		const all = 600 // in four hours there is a probe for 240
		var untold []int
		for i := range all {
			e := r.envelope("a@one.test")
			switch i {
			case all - 3:
				e.Sender = smtp.Address{}
			case all - 2:
				e.Recipients[0].Notify = mail.NotifyFailure
			case all - 1:
				e.Recipients[0].Notify = mail.NotifyNever
			}
			if i >= all-3 {
				untold = append(untold, i)
			}
			r.add(e)
		}
		pass(4*time.Hour - time.Minute)
		if n := r.log.count(mail.EventDelayed); n != 0 {
			t.Errorf("%d told too early", n)
		}
		tried := r.log.count(mail.EventTransientFailure)
		pass(5 * time.Minute)
		told := r.log.count(mail.EventDelayed)
		if least := all - len(untold) - r.log.count(mail.EventTransientFailure); least < 200 || told < least || told > least+10 {
			t.Errorf("%d told, %d were never tried", told, least)
		}
		if len(r.back.told()) != told {
			t.Errorf("%d reports of %d delays", len(r.back.told()), told)
		}
		for _, rep := range r.back.told() {
			if rep.Action != mail.ActionDelayed || rep.Outcome.Reply.Text != "no connection" || rep.Outcome.Host != "mx" || rep.WillRetry.IsZero() {
				t.Fatalf("%+v", rep)
			}
		}
		if more := r.log.count(mail.EventTransientFailure) - tried; more > 10 {
			t.Errorf("telling was an attempt for %d", more)
		}
		pass(3 * time.Hour)
		if hasTwice(r.log.all()) {
			t.Error("somebody was told twice, or against his wish")
		}
		down.Store(false)
		pass(30 * time.Hour)
		if n := r.log.count(mail.EventDelivery); n < all || r.spool.left() != 0 {
			t.Errorf("%d delivered, %d left", n, r.spool.left())
		}
		r.stop()
	})
}

// hasTwice reports two delays of one message, or one that nobody wanted to hear of.
func hasTwice(all []mail.Event) bool {
	var ids []string
	for _, e := range all {
		if e.Kind == mail.EventDelayed && e.Envelope.Recipients[0].Notify != 0 {
			return true // it had declined
		}
		if e.Kind == mail.EventDelayed {
			ids = append(ids, e.ID.String())
		}
	}
	n := len(ids)
	slices.Sort(ids)
	return len(slices.Compact(ids)) != n
}

// One notice tells of all recipients of a message that wait, wherever they stand; one
// whose attempt is under way stays there, and gets the message once.
func TestOneNoticeForAll(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var tries atomic.Int32
		r.reply = func(_ context.Context, a *mail.Attempt) []mail.Outcome {
			if a.Route.Domain == "slow.test" {
				tries.Add(1)
				time.Sleep(6 * time.Hour)
				return fate.Same(sent(), len(a.To))
			}
			if a.Envelope.Sender.IsNull() {
				return fate.Same(sent(), len(a.To))
			}
			return fate.Same(later(), len(a.To))
		}
		r.conf.Expire, r.conf.DelayNotice = 24*time.Hour, 4*time.Hour
		r.start()
		r.send("a@one.test", "b@slow.test", "c@two.test")
		pass(5*time.Hour + 30*time.Minute)
		var told []int
		for _, rep := range r.back.told() {
			if rep.Action == mail.ActionDelayed {
				told = append(told, rep.Recipient)
			}
		}
		slices.Sort(told)
		if !slices.Equal(told, []int{0, 1, 2}) || r.back.asked() != 1 {
			t.Errorf("%v were told of, in %d notices", told, r.back.asked())
		}
		pass(24 * time.Hour)
		if tries.Load() != 1 || r.spool.left() != 0 {
			t.Errorf("%d tries, %d left", tries.Load(), r.spool.left())
		}
		r.stop()
	})
}
