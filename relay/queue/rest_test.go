package queue

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"tenma/relay/mail"
	"tenma/relay/queue/fate"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// downHost is a Deliver to one.test, which opens no session while it is down,
// and to others.
func (r *rig) downHost() *atomic.Bool {
	down := &atomic.Bool{}
	down.Store(true)
	r.remote = func(ctx context.Context, a *mail.Attempt, next func() *mail.Attempt, done func(*mail.Attempt, []mail.Outcome)) {
		if a.Route.Domain == "one.test" && down.Load() {
			r.tries.Add(1)
			time.Sleep(time.Millisecond)
			o := mail.Outcome{Reply: smtp.Reply{Code: 451, Status: smtp.Status{4, 4, 1}, Text: "no connection"}, Command: "CONNECT", Host: "mx"}
			done(a, fate.Same(o, len(a.To)))
			return
		}
		r.carry(ctx, a, next, done)
	}
	return down
}

// A destination that refuses connections is tried RestAfter times, and then by
// one message at a time, ever more rarely; other mail goes on. When it is back
// all that waited goes out with the next probe.
func TestRestingLane(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		down := r.downHost()
		r.conf.LaneReady, r.conf.RestAfter = 100, 50
		r.conf.Retry = []time.Duration{time.Hour}
		r.start()
		for range 500 {
			r.send("a@one.test")
		}
		r.send("a@two.test")
		pass(500 * time.Millisecond)
		// Besides the fifty, those that were under way already.
		if n := r.tries.Load() - 1; n < 50 || n > 50+10 || r.log.count(mail.EventDelivery) != 1 {
			t.Errorf("%d tries, %d delivered elsewhere", n, r.log.count(mail.EventDelivery))
		}
		sum, err := r.q.Summary(t.Context())
		if err != nil || len(sum.Lanes) != 2 || sum.Lanes[0].Resting.IsZero() || sum.Lanes[0].LastReply == "" || !sum.Lanes[1].Resting.IsZero() {
			t.Errorf("%+v, %v", sum.Lanes, err)
		}
		if d := sum.Lanes[0].Resting.Sub(sum.Lanes[0].Since); d != time.Second || !sum.Lanes[1].Since.IsZero() {
			t.Errorf("%v from the beginning of the rest to its first probe; %+v", d, sum.Lanes[1])
		}
		before := r.tries.Load()
		pass(7 * time.Second) // probes after 1, 3, 7 seconds
		if n := r.tries.Load() - before; n != 3 {
			t.Errorf("%d probes", n)
		}
		pass(20 * time.Minute)
		if n := r.tries.Load() - before; n < 20 || n > 30 {
			t.Errorf("%d probes in 20 minutes", n)
		}
		down.Store(false)
		pass(61 * time.Second)
		if tried := 500 - r.log.count(mail.EventDelivery) + 1; tried != r.log.count(mail.EventTransientFailure) {
			t.Errorf("%d are not delivered, %d were tried before", tried, r.log.count(mail.EventTransientFailure))
		}
		r.stop()
	})
}

// Failures that are not in a row put nothing to rest.
func TestRestNeedsARow(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		down := r.downHost()
		r.conf.RestAfter = 3
		r.start()
		for i := range 20 {
			down.Store(i%3 != 2)
			r.send("a@one.test")
			pass(time.Second)
		}
		if n := r.tries.Load(); n != 20 {
			t.Errorf("%d of 20 were tried", n)
		}
		r.stop()
	})
}

// "Retry now" does not wait for the next probe.
func TestRetryProbes(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		down := r.downHost()
		r.conf.RestAfter = 2
		r.start()
		var last spool.ID
		for range 30 {
			last = r.send("a@one.test")
		}
		pass(10 * time.Minute)
		down.Store(false)
		if _, err := r.q.Retry(t.Context(), Filter{IDs: []spool.ID{last}}); err != nil {
			t.Error(err)
		}
		pass(time.Second)
		if r.log.count(mail.EventDelivery) < 5 {
			t.Errorf("%d delivered", r.log.count(mail.EventDelivery))
		}
		r.stop()
	})
}

// Mail that expires without ever having been tried is returned with what its
// destination had said to others.
func TestExpiresAtRest(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.downHost()
		r.conf.RestAfter, r.conf.LaneReady, r.conf.Expire = 3, 5, time.Hour
		r.conf.Retry = []time.Duration{2 * time.Hour}
		r.start()
		for range 200 {
			r.send("a@one.test")
		}
		pass(time.Hour + 3*time.Minute)
		untried := 0
		for _, e := range r.log.all() {
			if e.Kind != mail.EventExpiration {
				continue
			}
			if e.Attempts == 0 {
				untried++
			}
			if e.Outcome.Reply.Text != "no connection" || e.Outcome.Host != "mx" {
				t.Fatalf("%+v", e.Outcome)
			}
		}
		if untried < 50 || r.log.count(mail.EventExpiration) != 200 {
			t.Errorf("%d of %d that expired were never tried", untried, r.log.count(mail.EventExpiration))
		}
		r.stop()
	})
}
