package queue

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/mail"
	"tenma/relay/queue/fate"
	"tenma/spool"
)

func deferOnce(_ context.Context, a *mail.Attempt) []mail.Outcome {
	if a.Number == 1 {
		return fate.Same(later(), len(a.To))
	}
	return fate.Same(sent(), len(a.To))
}

// expect runs an operator's method.
func expect(t *testing.T, what string, f func(context.Context, Filter) (int, error), by Filter, want int) {
	t.Helper()
	if n, err := f(t.Context(), by); n != want || err != nil {
		t.Errorf("%s: %d, %v; want %d", what, n, err, want)
	}
}

func TestRetryNow(t *testing.T) {
	for _, wait := range []time.Duration{10 * time.Minute, 5 * time.Hour} { // in memory, and parked
		bubble(t, func(t *testing.T, r *rig) {
			r.conf.Retry = []time.Duration{wait}
			r.reply = deferOnce
			r.start()
			for range 5 {
				r.send("a@one.test", "b@two.test")
			}
			id := r.send("a@three.test")
			pass(time.Minute)
			expect(t, "retry nothing", r.q.Retry, Filter{}, 0)
			expect(t, "retry by domain", r.q.Retry, Filter{Domain: "TWO.test"}, 5)
			synctest.Wait()
			if r.spool.left() != 1 || r.tries.Load() != 21 {
				t.Errorf("%d left, %d tries", r.spool.left(), r.tries.Load())
			}
			expect(t, "retry by id", r.q.Retry, Filter{IDs: []spool.ID{id, r.id()}}, 1)
			synctest.Wait()
			if r.spool.left() != 0 {
				t.Errorf("%d left", r.spool.left())
			}
			pass(24 * time.Hour)
			if r.tries.Load() != 22 {
				t.Errorf("%d tries in the end", r.tries.Load())
			}
			r.stop()
		})
	}
}

// A deleted message leaves no DSN and one AdminBounce for each recipient; an
// attempt that runs finishes first, and its outcome stands.
func TestDelete(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.conf.LaneConnections = 1
		r.reply = func(_ context.Context, a *mail.Attempt) []mail.Outcome {
			time.Sleep(time.Minute)
			if a.Route.Domain == "two.test" {
				return fate.Same(later(), 1)
			}
			return fate.Same(sent(), 1)
		}
		r.start()
		running := r.send("a@one.test", "b@two.test")
		pass(time.Second)
		for range 9 {
			r.send("a@one.test", "c@one.test")
		}
		expect(t, "delete the waiting", r.q.Delete, Filter{Recipient: "C@one.test"}, 9)
		if time.Since(running.Time()) > 2*time.Second {
			t.Error("it waited for another message")
		}
		expect(t, "delete the running", r.q.Delete, Filter{All: true}, 1)
		if d, b, left := r.log.count(mail.EventDelivery), r.log.count(mail.EventAdminBounce), r.spool.left(); d != 1 || b != 19 || left != 0 {
			t.Errorf("%d delivered, %d removed, %d left", d, b, left)
		}
		if len(r.back.told()) != 0 {
			t.Errorf("reports: %v", r.back.told())
		}
		pass(time.Hour)
		if r.tries.Load() != 2 {
			t.Errorf("%d tries", r.tries.Load())
		}
		r.stop()
	})
}

// A hold outlasts a restart.
func TestHoldAndRelease(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.reply = deferOnce
		r.start()
		for range 3 {
			r.send("a@one.test")
		}
		pass(time.Minute)
		expect(t, "hold", r.q.Hold, Filter{Sender: "@own.test"}, 3)
		expect(t, "hold again", r.q.Hold, Filter{All: true}, 0)
		pass(24 * time.Hour)
		expect(t, "retry", r.q.Retry, Filter{All: true}, 0)
		r.stop()
		r.spool = r.spool.crash()
		r.start()
		pass(24 * time.Hour)
		if r.tries.Load() != 3 {
			t.Errorf("%d tries of held mail", r.tries.Load()-3)
		}
		expect(t, "release", r.q.Release, Filter{All: true}, 3)
		synctest.Wait()
		if r.spool.left() != 0 {
			t.Errorf("%d left", r.spool.left())
		}
		r.stop()
	})
}

// While a hold waits for a running attempt, nothing else of the message starts.
func TestHoldStartsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.conf.Retry = []time.Duration{30 * time.Second}
		r.reply = func(_ context.Context, a *mail.Attempt) []mail.Outcome {
			if a.Route.Domain == "two.test" {
				return fate.Same(later(), 1)
			}
			time.Sleep(time.Minute)
			return fate.Same(later(), 1)
		}
		r.start()
		r.send("a@one.test", "b@two.test")
		pass(10 * time.Second)
		expect(t, "hold", r.q.Hold, Filter{All: true}, 1)
		pass(time.Hour)
		if r.tries.Load() != 2 {
			t.Errorf("%d attempts", r.tries.Load())
		}
		r.stop()
	})
}

func TestListAndShow(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.reply = deferOnce
		r.start()
		var ids []spool.ID
		for range 5 {
			ids = append(ids, r.send("a@one.test", "b@two.test"))
			pass(time.Second)
		}
		ms, err := r.q.List(t.Context(), Filter{Domain: "one.test", Limit: 2})
		if err != nil || len(ms) != 2 || ms[0].ID != ids[0] || len(ms[0].Lanes) != 1 || ms[0].State.Recipients[1].Attempts != 1 {
			t.Fatalf("%+v, %v", ms, err)
		}
		ms, err = r.q.List(t.Context(), Filter{All: true, After: ms[1].ID})
		if err != nil || len(ms) != 3 {
			t.Errorf("%d more, %v", len(ms), err)
		}
		if m, err := r.q.Show(t.Context(), ids[4]); err != nil || m.Envelope.Recipients[1].Address.Domain != "two.test" {
			t.Errorf("%+v, %v", m, err)
		}
		if _, err := r.q.Show(t.Context(), r.id()); err != spool.ErrNotFound {
			t.Errorf("an unknown id: %v", err)
		}
		sum, err := r.q.Summary(t.Context())
		if err != nil || sum.Messages != 5 || sum.Deferred != 5 || len(sum.Lanes) != 2 || sum.Lanes[1].LastReply != "mx: 451 4.7.1 greylisted" {
			t.Errorf("%+v, %v", sum, err)
		}
		r.stop()
	})
}

// Operators and attempts at the same time: every recipient comes to one end.
func TestOperatorsRace(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.conf.LaneConnections, r.conf.LaneReady = 2, 5
		r.spool.lag = 3 * time.Millisecond
		r.reply = func(ctx context.Context, a *mail.Attempt) []mail.Outcome {
			time.Sleep(7 * time.Millisecond)
			return deferOnce(ctx, a)
		}
		r.start()
		for i := range 300 {
			r.send("a@one.test", "b@two.test", "c@three.test")
			if i%10 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		done := make(chan bool)
		for _, f := range []func(context.Context, Filter) (int, error){r.q.Hold, r.q.Retry, r.q.Release, r.q.Delete, r.q.Retry} {
			go func() {
				_, err := f(context.Background(), Filter{All: true})
				done <- err == nil
			}()
			pass(20 * time.Millisecond)
		}
		for range 5 {
			if !<-done {
				t.Error("an operation failed")
			}
		}
		if _, err := r.q.Release(t.Context(), Filter{All: true}); err != nil {
			t.Error(err)
		}
		pass(24 * time.Hour)
		if r.spool.left() != 0 {
			t.Errorf("%d left", r.spool.left())
		}
		checkEnds(t, r.log, 300*3)
		r.stop()
	})
}
