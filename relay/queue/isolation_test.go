package queue

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/mail"
	"tenma/relay/queue/fate"
	"tenma/relay/wire/smtp"
)

// A destination that hangs delays nobody else.
func TestHungDestination(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		gate := make(chan struct{})
		r.conf.LaneReady = 16
		r.reply = func(_ context.Context, a *mail.Attempt) []mail.Outcome {
			if a.Route.Domain == "hung.test" {
				<-gate
			}
			return fate.Same(sent(), len(a.To))
		}
		r.start()
		for range 500 {
			r.send("a@hung.test")
		}
		for i := range 500 {
			r.send(fmt.Sprintf("a@d%d.test", i%10), "b@hung.test")
		}
		synctest.Wait()
		if n := r.log.count(mail.EventDelivery); n != 500 {
			t.Errorf("%d delivered beside a hung destination", n)
		}
		if n := r.tries.Load(); n != 510 {
			t.Errorf("%d attempts, 10 of them hung", n)
		}
		sum, err := r.q.Summary(t.Context())
		if err != nil || sum.Running != 10 || sum.Ready != 990 || sum.Lanes[0].Lane != "s->hung.test" {
			t.Errorf("%+v, %v", sum, err)
		}
		if open := openLedgers(t, r.q); open > 16+10+2*10 {
			t.Errorf("%d ledgers are open", open)
		}
		close(gate)
		synctest.Wait()
		if r.spool.left() != 0 {
			t.Errorf("%d left", r.spool.left())
		}
		r.stop()
	})
}

func openLedgers(t *testing.T, q *Queue) int {
	n := 0
	if err := q.onShards(t.Context(), func(s *shard) { n += len(s.ledgers) }); err != nil {
		t.Error(err)
	}
	return n
}

// Inside a lane, mail that stands behind a hung connection goes out by one that
// works.
func TestHungConnection(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		gate := make(chan struct{})
		hung := 0
		var mu sync.Mutex
		r.conf.LaneConnections = 3
		r.reply = func(_ context.Context, a *mail.Attempt) []mail.Outcome {
			mu.Lock()
			hangs := hung < 2
			if hangs {
				hung++
			}
			mu.Unlock()
			if hangs {
				<-gate
			}
			time.Sleep(time.Millisecond)
			return fate.Same(sent(), len(a.To))
		}
		r.start()
		for range 200 {
			r.send("a@one.test")
		}
		pass(time.Second)
		if n := r.log.count(mail.EventDelivery); n != 198 {
			t.Errorf("%d delivered, 2 hang", n)
		}
		close(gate)
		synctest.Wait()
		pass(time.Second)
		if r.spool.left() != 0 {
			t.Errorf("%d left", r.spool.left())
		}
		r.stop()
	})
}

// hangFirst is a reply that keeps the first attempt until gate is closed and
// lets the others take a second.
func hangFirst(r *rig, gate chan struct{}) {
	var first atomic.Bool
	r.reply = func(_ context.Context, a *mail.Attempt) []mail.Outcome {
		if first.CompareAndSwap(false, true) {
			<-gate
		}
		time.Sleep(time.Second)
		return fate.Same(sent(), len(a.To))
	}
}

// A connection that works goes on with what stands behind a hung one, without
// ending first.
func TestStealsWhileItRuns(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		gate := make(chan struct{})
		var calls atomic.Int64
		hangFirst(r, gate)
		r.conf.LaneConnections = 2
		r.remote = func(ctx context.Context, a *mail.Attempt, next func() *mail.Attempt, done func(*mail.Attempt, []mail.Outcome)) {
			calls.Add(1)
			r.carry(ctx, a, next, done)
		}
		r.start()
		for range 2 + 2*aheadOfRun {
			r.send("a@one.test")
		}
		pass(time.Minute)
		if n := r.log.count(mail.EventDelivery); n != 1+2*aheadOfRun || calls.Load() != 2 {
			t.Errorf("%d delivered by %d calls", n, calls.Load())
		}
		close(gate)
		pass(time.Minute)
		r.stop()
	})
}

// What came to stand behind a hung connection while the other one was at its
// last message is taken over when that one ends.
func TestStealsWhenItEnds(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		gate := make(chan struct{})
		hangFirst(r, gate)
		r.conf.LaneConnections = 2
		r.start()
		r.send("a@one.test")
		synctest.Wait()
		r.send("a@one.test")
		pass(500 * time.Millisecond)
		for range aheadOfRun {
			r.send("a@one.test")
		}
		pass(time.Minute)
		if n := r.log.count(mail.EventDelivery); n != 1+aheadOfRun {
			t.Errorf("%d delivered", n)
		}
		close(gate)
		pass(time.Minute)
		r.stop()
	})
}

// Thousands of messages to a domain whose DNS is slow make one lookup; other
// domains, slow ones too, do not wait for it.
func TestSlowDNS(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.conf.LaneReady = 64
		r.router.wait["slow.test"] = time.Minute
		for i := range 1000 {
			r.router.wait[smtp.Domain(fmt.Sprintf("d%d.test", i))] = time.Second
		}
		r.start()
		for range 2000 {
			r.send("a@slow.test")
		}
		for i := range 1000 {
			r.send(fmt.Sprintf("a@d%d.test", i))
		}
		pass(2 * time.Second)
		if n := r.log.count(mail.EventDelivery); n != 1000 {
			t.Errorf("%d delivered beside a slow domain", n)
		}
		pass(time.Minute)
		if r.spool.left() != 0 || r.router.lookups["slow.test"] != 1 {
			t.Errorf("%d left after %d lookups", r.spool.left(), r.router.lookups["slow.test"])
		}
		r.stop()
	})
}

// A DNS failure holds for all that wait for the answer, and for no one else.
func TestSlowDNSFailure(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.conf.LaneReady = 8
		r.router.wait["slow.test"] = 20 * time.Second
		r.router.fail["slow.test"] = fate.Ours(451, smtp.Status{4, 4, 3}, "no answer", "DNS", nil)
		r.start()
		for range 300 {
			r.send("a@slow.test")
		}
		pass(time.Minute)
		if n := r.log.count(mail.EventTransientFailure); n != 300 || r.router.lookups["slow.test"] > 2 {
			t.Errorf("%d deferred by %d lookups", n, r.router.lookups["slow.test"])
		}
		r.stop()
	})
}

// A Router whose cache keeps nothing is slow but gets on.
func TestForgetfulRouter(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.conf.LaneReady = 8
		r.router.forget = true
		r.start()
		for range 100 {
			r.send("a@one.test", "b@two.test")
		}
		pass(time.Second)
		if r.spool.left() != 0 {
			t.Errorf("%d left", r.spool.left())
		}
		r.stop()
	})
}

// With fewer runs than lanes each lane gets its turn.
func TestFewRunsManyLanes(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.conf.Shards, r.conf.MaxRunning, r.conf.LaneConnections = 1, 2, 2
		r.reply = func(_ context.Context, a *mail.Attempt) []mail.Outcome {
			time.Sleep(time.Second)
			return fate.Same(sent(), 1)
		}
		r.start()
		for range 1000 {
			r.send("a@big.test")
		}
		pass(10 * time.Second)
		for i := range 5 {
			r.send(fmt.Sprintf("a@small%d.test", i))
		}
		pass(30 * time.Second)
		small := 0
		for _, e := range r.log.all() {
			if e.Lane != "s->big.test" {
				small++
			}
		}
		if small != 5 {
			t.Errorf("%d of 5 small lanes had their turn", small)
		}
		pass(time.Hour)
		if r.spool.left() != 0 {
			t.Errorf("%d left", r.spool.left())
		}
		r.stop()
	})
}

// Urgent mail does not wait behind a lane's backlog.
func TestUrgentFirst(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.conf.LaneConnections, r.conf.LaneReady = 1, 10
		var order []mail.Priority
		r.reply = func(_ context.Context, a *mail.Attempt) []mail.Outcome {
			time.Sleep(time.Second)
			order = append(order, a.Envelope.Priority)
			return fate.Same(sent(), 1)
		}
		r.start()
		for range 100 {
			e := r.envelope("a@one.test")
			e.Priority = mail.Bulk
			r.add(e)
		}
		pass(10*time.Second + time.Millisecond)
		e := r.envelope("a@one.test")
		e.Priority = mail.Urgent
		r.add(e)
		pass(time.Hour)
		for i, p := range order {
			if p == mail.Urgent && i > 10+1+aheadOfRun {
				t.Errorf("the urgent one was number %d", i)
			}
		}
		if len(order) != 101 {
			t.Errorf("%d attempts", len(order))
		}
		r.stop()
	})
}

// Mail behind a connection that hangs for good expires in time, within the
// minute of the sweep.
func TestExpiresWhileItWaits(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		gate := make(chan struct{})
		r.conf.LaneConnections, r.conf.LaneReady, r.conf.Expire = 1, 4, time.Hour
		r.reply = func(_ context.Context, a *mail.Attempt) []mail.Outcome {
			if a.Route.Domain == "hung.test" {
				<-gate
			}
			return fate.Same(sent(), 1)
		}
		r.start()
		for range 20 {
			r.send("a@hung.test")
		}
		pass(time.Hour + 2*time.Minute)
		synctest.Wait()
		// One hangs, aheadOfRun stand in its channel.
		if n := r.log.count(mail.EventExpiration); n != 20-1-aheadOfRun {
			t.Errorf("%d expired", n)
		}
		close(gate)
		r.stop()
	})
}

// A Deliver that forgets an attempt loses nothing.
func TestForgetfulDeliver(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		first := true
		r.remote = func(ctx context.Context, a *mail.Attempt, next func() *mail.Attempt, done func(*mail.Attempt, []mail.Outcome)) {
			if first {
				first = false
				return
			}
			r.carry(ctx, a, next, done)
			done(a, fate.Same(sent(), 1)) // once too often
		}
		r.start()
		r.send("a@one.test")
		pass(time.Hour)
		if r.spool.left() != 0 || r.log.count(mail.EventDelivery) != 1 {
			t.Errorf("%d left, %d delivered", r.spool.left(), r.log.count(mail.EventDelivery))
		}
		r.stop()
	})
}
