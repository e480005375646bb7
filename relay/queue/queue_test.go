package queue

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/mail"
	"tenma/relay/queue/fate"
)

func TestDelivers(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.start()
		for range 100 {
			r.send("a@one.test", "b@two.test", "c@one.test")
		}
		synctest.Wait()
		if r.spool.left() != 0 || r.log.count(mail.EventDelivery) != 300 || r.tries.Load() != 200 {
			t.Errorf("%d left, %d delivered in %d attempts", r.spool.left(), r.log.count(mail.EventDelivery), r.tries.Load())
		}
		r.stop()
	})
}

// Five days of greylisting by a remote that never lets up: the schedule, one
// delay notice, and at the end an expiry with one DSN.
func TestGreylistedForFiveDays(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.conf.DelayNotice = 4 * time.Hour
		var at []time.Duration
		start := time.Now()
		r.reply = func(_ context.Context, a *mail.Attempt) []mail.Outcome {
			if a.Envelope.Sender.IsNull() {
				return fate.Same(sent(), 1)
			}
			at = append(at, time.Since(start))
			return fate.Same(later(), len(a.To))
		}
		r.start()
		r.send("a@grey.test")
		time.Sleep(5*24*time.Hour + time.Minute)
		synctest.Wait()
		want := []time.Duration{0, 10 * time.Minute, 30 * time.Minute, 90 * time.Minute, 150 * time.Minute}
		for i, w := range want {
			if at[i].Round(time.Second) != w {
				t.Errorf("attempt %d at %v, not %v", i+1, at[i], w)
			}
		}
		if n := len(at); n < 119 || n > 123 {
			t.Errorf("%d attempts", n)
		}
		if r.log.count(mail.EventDelayed) != 1 || r.log.count(mail.EventExpiration) != 1 || len(r.back.reports) != 2 {
			t.Errorf("%d delayed, %d expired, %d reports", r.log.count(mail.EventDelayed), r.log.count(mail.EventExpiration), len(r.back.reports))
		}
		if last := r.back.reports[1]; last.Action != mail.ActionFailed || last.Outcome.Reply.Text != "greylisted" || last.Outcome.Host != "mx" {
			t.Errorf("the last report is %+v", last)
		}
		if r.spool.left() != 0 {
			t.Errorf("%d left", r.spool.left())
		}
		r.stop()
	})
}
