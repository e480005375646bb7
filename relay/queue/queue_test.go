package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/mail"
	"tenma/relay/queue/fate"
	"tenma/relay/wire/smtp"
	"tenma/spool"
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
		pass(5*24*time.Hour + time.Minute)
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
		if r.log.count(mail.EventDelayed) != 1 || r.log.count(mail.EventExpiration) != 1 || len(r.back.told()) != 2 {
			t.Errorf("%d delayed, %d expired, %d reports", r.log.count(mail.EventDelayed), r.log.count(mail.EventExpiration), len(r.back.told()))
		}
		if last := r.back.told()[1]; last.Action != mail.ActionFailed || last.Outcome.Reply.Text != "greylisted" || last.Outcome.Host != "mx" {
			t.Errorf("the last report is %+v", last)
		}
		if r.spool.left() != 0 {
			t.Errorf("%d left", r.spool.left())
		}
		r.stop()
	})
}

// A remote that asks for a wait is not tried before it, and not much later.
func TestStatedWait(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		start := time.Now()
		var second time.Duration
		r.reply = func(_ context.Context, a *mail.Attempt) []mail.Outcome {
			if a.Number == 2 {
				second = time.Since(start)
				return fate.Same(sent(), 1)
			}
			o := later()
			o.RetryAfter = 3 * time.Minute
			return fate.Same(o, 1)
		}
		r.start()
		r.send("a@grey.test")
		pass(time.Hour)
		if second < 3*time.Minute || second > 4*time.Minute {
			t.Errorf("tried again after %v", second)
		}
		r.stop()
	})
}

// Recipients of one message go their own ways: sent, refused, deferred. What
// is final stays so; the refusal is told at once, the rest is tried again alone.
func TestPartialResults(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var mu sync.Mutex
		var again []int
		r.reply = func(_ context.Context, a *mail.Attempt) []mail.Outcome {
			if a.Envelope.Sender.IsNull() {
				return fate.Same(sent(), 1)
			}
			if a.Number > 1 {
				mu.Lock()
				defer mu.Unlock()
				again = append(again, a.To...)
				return fate.Same(sent(), len(a.To))
			}
			outs := make([]mail.Outcome, len(a.To))
			for i, to := range a.To {
				outs[i] = map[string]mail.Outcome{"ok": sent(), "no": never(), "later": later()}[a.Envelope.Recipients[to].Address.Local]
			}
			return outs
		}
		r.start()
		id := r.send("ok@one.test", "no@one.test", "later@one.test", "ok@two.test", "later@three.test")
		pass(time.Minute)
		if s := r.spool.state(id); s == nil || s.Recipients[0].Fate != mail.Sent || s.Recipients[1].Fate != mail.Failed ||
			s.Recipients[2].Fate != mail.Deferred || s.Recipients[2].Attempts != 1 || s.Recipients[4].Fate != mail.Deferred {
			t.Errorf("stored: %+v", s)
		}
		if len(r.back.told()) != 1 || r.back.told()[0].Recipient != 1 {
			t.Errorf("reports: %+v", r.back.told())
		}
		pass(time.Hour)
		if len(again) != 2 || r.spool.left() != 0 {
			t.Errorf("tried again: %v; %d left", again, r.spool.left())
		}
		if n := r.log.count(mail.EventDelivery); n != 5 { // 4 recipients and the DSN
			t.Errorf("%d deliveries", n)
		}
		r.stop()
	})
}

// Promise 7, and what a DSN's own failure comes to: an event and nothing else.
func TestNullSenderGetsNoDSN(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.reply = func(_ context.Context, a *mail.Attempt) []mail.Outcome { return fate.Same(never(), len(a.To)) }
		r.start()
		e := r.envelope("a@one.test")
		e.Sender = addr("x@y.test")
		e.Sender.Local, e.Sender.Domain = "", ""
		r.add(e)
		pass(time.Second)
		if len(r.back.told()) != 0 || r.log.count(mail.EventBounce) != 1 || r.spool.left() != 0 {
			t.Errorf("%d reports, %d bounces, %d left", len(r.back.told()), r.log.count(mail.EventBounce), r.spool.left())
		}
		r.stop()
	})
}

// Promise 5: when the spool hears of a fate, the log has it.
func TestEventBeforeSettlement(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		kinds := []mail.EventKind{mail.EventDelivery, mail.EventBounce, mail.EventTransientFailure}
		r.reply = func(_ context.Context, a *mail.Attempt) []mail.Outcome {
			return []mail.Outcome{map[string]mail.Outcome{"0": sent(), "1": never(), "2": later()}[a.Envelope.Recipients[0].Address.Local]}
		}
		settled := 0
		r.spool.onSettle = func(s spool.Settlement) {
			settled++
			r.log.mu.Lock()
			defer r.log.mu.Unlock()
			for _, e := range r.log.events {
				if e.ID == s.ID {
					return
				}
			}
			t.Errorf("%v was settled before it was recorded", s.ID)
		}
		r.start()
		for i := range kinds {
			e := r.envelope(strconv.Itoa(i) + "@one.test")
			e.Recipients[0].Notify = mail.NotifyNever
			r.add(e)
		}
		pass(time.Minute)
		if settled != len(kinds) {
			t.Errorf("%d settlements", settled)
		}
		r.stop()
	})
}

// NXDOMAIN returns mail at once; a silent DNS keeps it.
func TestNoRoute(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.router.fail["gone.test"] = fate.Ours(550, smtp.Status{5, 1, 2}, "no such domain", "DNS", nil)
		r.router.fail["silent.test"] = fate.Ours(451, smtp.Status{4, 4, 3}, "no answer", "DNS", nil)
		r.start()
		r.send("a@gone.test")
		id := r.send("a@silent.test")
		pass(time.Second)
		if len(r.back.told()) != 1 || r.log.count(mail.EventBounce) != 1 {
			t.Errorf("%d reports, %d bounces", len(r.back.told()), r.log.count(mail.EventBounce))
		}
		if s := r.spool.state(id); s == nil || s.Recipients[0].Fate != mail.Deferred || s.Recipients[0].Reply.Code != 451 {
			t.Errorf("stored: %+v", s)
		}
		if sum, err := r.q.Summary(t.Context()); err != nil || len(sum.Lanes) == 0 || sum.Lanes[0].Lane != "?silent.test" || sum.Lanes[0].LastReply != "451 4.4.3 no answer" {
			t.Errorf("%+v, %v", sum.Lanes, err)
		}
		r.router.mu.Lock()
		delete(r.router.fail, "silent.test")
		r.router.mu.Unlock()
		pass(time.Hour)
		if r.spool.left() != 0 {
			t.Errorf("%d left", r.spool.left())
		}
		r.stop()
	})
}

func TestDiscardAndLocal(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.router.kind["sink.test"], r.router.kind["home.test"] = mail.Discard, mail.Local
		r.start()
		e := r.envelope("a@sink.test", "b@home.test")
		e.Recipients[1].Notify = mail.NotifySuccess
		r.add(e)
		pass(time.Second)
		if r.tries.Load() != 2 || r.log.count(mail.EventDelivery) != 3 || r.spool.left() != 0 { // the DSN is one of each
			t.Errorf("%d attempts, %d delivered, %d left", r.tries.Load(), r.log.count(mail.EventDelivery), r.spool.left())
		}
		if len(r.back.told()) != 1 || r.back.told()[0].Action != mail.ActionDelivered {
			t.Errorf("reports: %+v", r.back.told())
		}
		r.stop()
	})
}

// Untried recipients go again at once and cost no attempt, but not for ever.
func TestUntried(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.reply = func(_ context.Context, a *mail.Attempt) []mail.Outcome {
			if a.Number > 1 {
				return fate.Same(sent(), len(a.To))
			}
			outs := fate.Same(sent(), len(a.To))
			outs[len(outs)-1].Untried = true
			return outs
		}
		r.start()
		id := r.send("a@one.test", "b@one.test")
		pass(time.Second)
		if r.tries.Load() != fate.MaxUntried || r.log.count(mail.EventTransientFailure) != 1 {
			t.Errorf("%d tries, %d deferred", r.tries.Load(), r.log.count(mail.EventTransientFailure))
		}
		if s := r.spool.state(id); s == nil || s.Recipients[0].Fate != mail.Sent || s.Recipients[1].Fate != mail.Deferred || s.Recipients[1].Attempts != 1 {
			t.Errorf("stored: %+v", s)
		}
		pass(time.Hour)
		if r.spool.left() != 0 {
			t.Errorf("%d left", r.spool.left())
		}
		r.stop()
	})
}

// What is due beyond the horizon leaves memory and comes back by Feed.
func TestHorizon(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.conf.Retry = []time.Duration{3 * time.Hour}
		r.reply = func(_ context.Context, a *mail.Attempt) []mail.Outcome {
			if a.Number > 1 {
				return fate.Same(sent(), 1)
			}
			return fate.Same(later(), 1)
		}
		r.start()
		for range 10 {
			r.send("a@one.test")
		}
		pass(time.Minute)
		sum, err := r.q.Summary(t.Context())
		if err != nil || sum.Parked != 10 || sum.Deferred != 0 || sum.Ready != 0 {
			t.Errorf("%+v, %v", sum, err)
		}
		pass(4 * time.Hour)
		if r.spool.left() != 0 || r.tries.Load() != 20 {
			t.Errorf("%d left, %d tries", r.spool.left(), r.tries.Load())
		}
		r.stop()
	})
}

// While the spool is sick nothing goes out; what was running is settled when
// it is well again.
func TestSickSpoolHoldsDeliveries(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		sick := func(err error) {
			r.spool.mu.Lock()
			r.spool.health = err
			r.spool.mu.Unlock()
		}
		r.conf.LaneConnections = 1
		r.reply = func(_ context.Context, a *mail.Attempt) []mail.Outcome {
			time.Sleep(time.Second)
			return fate.Same(sent(), 1)
		}
		r.start()
		r.send("a@one.test")
		synctest.Wait()
		sick(fmt.Errorf("disk: %w", spool.ErrSick))
		for range 5 {
			r.send("a@one.test")
		}
		pass(time.Minute)
		if n := r.tries.Load(); n > 2 { // the second may have started before the settlement failed
			t.Errorf("%d attempts while the spool was sick", n)
		}
		sick(fmt.Errorf("disk: %w", spool.ErrFull)) // no reason to stop: mail that leaves makes room
		pass(time.Minute)
		if r.spool.left() != 0 || r.tries.Load() != 6 {
			t.Errorf("%d left after %d attempts", r.spool.left(), r.tries.Load())
		}
		sick(fmt.Errorf("mail log: %w", spool.ErrStalled))
		pass(time.Second)
		r.send("a@one.test")
		pass(time.Minute)
		if n := r.tries.Load(); n != 6 {
			t.Errorf("%d attempts while settlements waited", n-6)
		}
		sick(nil)
		pass(time.Minute)
		if r.spool.left() != 0 {
			t.Error("deliveries did not go on")
		}
		r.stop()
	})
}

type fakeSigner struct {
	n    atomic.Int64
	fail atomic.Bool
}

func (f *fakeSigner) Wants(e *mail.Envelope) bool { return !e.Sender.IsNull() }

func (f *fakeSigner) Sign(_ context.Context, _ *mail.Envelope, body io.Reader) ([]byte, error) {
	f.n.Add(1)
	time.Sleep(time.Second)
	if _, err := io.ReadAll(body); err != nil {
		return nil, err
	}
	if f.fail.Load() {
		return nil, errors.New("no key")
	}
	return []byte("DKIM-Signature: x\r\n"), nil
}

// A message is signed once, whatever its lanes and attempts, and never goes out
// unsigned.
func TestSignedOnce(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		signer := &fakeSigner{}
		r.signer = signer
		r.reply = func(_ context.Context, a *mail.Attempt) []mail.Outcome {
			if string(a.Header) != "DKIM-Signature: x\r\nReceived: x\r\n" {
				t.Errorf("header %q", a.Header)
			}
			if a.Number < 3 {
				return fate.Same(later(), len(a.To))
			}
			return fate.Same(sent(), len(a.To))
		}
		r.start()
		r.send("a@one.test", "b@two.test", "c@three.test")
		pass(5 * time.Hour)
		if signer.n.Load() != 1 || r.tries.Load() != 9 || r.spool.left() != 0 {
			t.Errorf("signed %d times in %d attempts, %d left", signer.n.Load(), r.tries.Load(), r.spool.left())
		}
		r.stop()
	})
}

func TestUnsignableIsDeferred(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		signer := &fakeSigner{}
		signer.fail.Store(true)
		r.signer = signer
		r.start()
		id := r.send("a@one.test", "b@two.test")
		pass(time.Minute)
		if s := r.spool.state(id); r.tries.Load() != 0 || s == nil || s.Recipients[0].Reply.Status != (smtp.Status{4, 7, 5}) {
			t.Errorf("%d attempts, stored %+v", r.tries.Load(), s)
		}
		signer.fail.Store(false)
		pass(time.Hour)
		if r.spool.left() != 0 || r.tries.Load() != 2 {
			t.Errorf("%d left, %d attempts", r.spool.left(), r.tries.Load())
		}
		r.stop()
	})
}

// A DSN that cannot be composed defers what needs it.
func TestComposeFails(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.back.fail = errors.New("no body")
		r.reply = func(_ context.Context, a *mail.Attempt) []mail.Outcome {
			if a.Envelope.Sender.IsNull() {
				return fate.Same(sent(), 1)
			}
			return fate.Same(never(), len(a.To))
		}
		r.start()
		id := r.send("a@one.test")
		pass(time.Minute)
		if s := r.spool.state(id); s == nil || s.Recipients[0].Fate != mail.Deferred {
			t.Errorf("stored: %+v", s)
		}
		r.back.mu.Lock()
		r.back.fail = nil
		r.back.mu.Unlock()
		pass(time.Hour)
		if r.spool.left() != 0 || len(r.back.told()) != 1 {
			t.Errorf("%d left, %d reports", r.spool.left(), len(r.back.told()))
		}
		r.stop()
	})
}

// Cancelling: running attempts finish and are settled; nothing new starts.
func TestDrain(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.conf.LaneConnections = 2
		r.spool.lag = 30 * time.Millisecond
		r.reply = func(_ context.Context, a *mail.Attempt) []mail.Outcome {
			time.Sleep(10 * time.Minute) // the final dot's patience
			if a.Envelope.Recipients[0].Address.Local == "no" {
				return fate.Same(never(), 1)
			}
			return fate.Same(sent(), 1)
		}
		r.start()
		r.send("yes@one.test")
		r.send("no@one.test")
		synctest.Wait()
		for range 10 {
			r.send("yes@one.test")
		}
		pass(time.Minute)
		r.stop()
		if r.tries.Load() != 2 || r.log.count(mail.EventDelivery) != 1 || r.log.count(mail.EventBounce) != 1 {
			t.Errorf("%d attempts, %d delivered, %d refused", r.tries.Load(), r.log.count(mail.EventDelivery), r.log.count(mail.EventBounce))
		}
		if r.spool.left() != 11 { // ten never tried, and the DSN
			t.Errorf("%d left", r.spool.left())
		}
		if _, err := r.q.Summary(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("Summary after the end: %v", err)
		}
	})
}

// An attempt that comes back untried because of the stop, while its message is
// being settled for another lane, keeps nobody waiting.
func TestDrainUntriedWhileSettling(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.spool.lag = 10 * time.Second
		r.reply = func(ctx context.Context, a *mail.Attempt) []mail.Outcome {
			outs := fate.Same(sent(), 1)
			if a.Route.Domain == "two.test" {
				<-ctx.Done()
				outs[0].Untried = true
			}
			return outs
		}
		r.start()
		id := r.send("a@one.test", "b@two.test")
		pass(time.Second)
		r.stop()
		if s := r.spool.state(id); s == nil || s.Recipients[0].Fate != mail.Sent || s.Recipients[1].Fate != mail.Pending || s.Recipients[1].Attempts != 0 {
			t.Errorf("stored: %+v", s)
		}
	})
}

// The wall clock is set back by a year and on by an hour: mail waits about as
// long as it would have.
func TestClockIsSet(t *testing.T) {
	for _, step := range []time.Duration{-365 * 24 * time.Hour, -10 * time.Minute, time.Hour} {
		bubble(t, func(t *testing.T, r *rig) {
			var offset atomic.Int64
			start := time.Now()
			var second time.Duration
			r.reply = func(_ context.Context, a *mail.Attempt) []mail.Outcome {
				if a.Number == 1 {
					return fate.Same(later(), 1)
				}
				second = time.Since(start)
				return fate.Same(sent(), 1)
			}
			r.wall = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
			r.start()
			r.send("a@one.test")
			pass(time.Minute)
			offset.Store(int64(step))
			pass(time.Hour)
			if second < 9*time.Minute || second > 21*time.Minute {
				t.Errorf("clock set by %v: tried again after %v", step, second)
			}
			r.stop()
		})
	}
}
