package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/mail"
	"tenma/relay/queue/fate"
)

// setFail makes the returner fail, or work again.
func (f *fakeReturner) setFail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
}

// byLocal replies as the local part says: no, or later, else yes; slow ones after
// some seconds.
func byLocal(slow time.Duration) func(context.Context, *mail.Attempt) []mail.Outcome {
	return func(_ context.Context, a *mail.Attempt) []mail.Outcome {
		switch a.Envelope.Recipients[a.To[0]].Address.Local {
		case "no":
			return fate.Same(never(), len(a.To))
		case "slow":
			time.Sleep(slow)
		case "slowno":
			time.Sleep(slow)
			return fate.Same(never(), len(a.To))
		}
		return fate.Same(sent(), len(a.To))
	}
}

// A message all of whose recipients have their fate stays while a DSN about it is
// owed: one that could not be made is tried again.
func TestOwedStays(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.reply = byLocal(5 * time.Second)
		r.back.setFail(errors.New("no body"))
		r.start()
		id := r.send("no@one.test", "slow@two.test")
		pass(10 * time.Second)
		if s := r.spool.state(id); s == nil || s.Recipients[0].Fate != mail.Failed || !s.Recipients[0].Owed || s.Recipients[1].Fate != mail.Sent {
			t.Fatalf("stored: %+v", s)
		}
		r.back.setFail(nil)
		pass(time.Minute)
		if r.spool.left() != 0 || len(r.back.told()) != 1 || r.back.told()[0].Recipient != 0 {
			t.Errorf("%d left, %+v", r.spool.left(), r.back.told())
		}
		if n := r.log.count(mail.EventBounce); n != 1 {
			t.Errorf("%d records of the failure", n)
		}
		r.stop()
	})
}

// An operator who deletes what waits does not take the DSN away that is owed for
// what has failed.
func TestOwedAndDelete(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.reply = byLocal(10 * time.Second)
		r.conf.LaneConnections = 1
		r.start()
		r.send("slow@two.test") // has the only connection
		pass(time.Second)
		r.send("no@one.test", "slow@two.test")
		pass(time.Second)
		if n, err := r.q.Delete(t.Context(), Filter{Recipient: "no@one.test"}); n != 1 || err != nil {
			t.Fatalf("deleted %d, %v", n, err)
		}
		pass(time.Minute)
		if r.spool.left() != 0 || len(r.back.told()) != 1 {
			t.Errorf("%d left, %+v", r.spool.left(), r.back.told())
		}
		if b, d := r.log.count(mail.EventBounce), r.log.count(mail.EventAdminBounce); b != 1 || d != 1 {
			t.Errorf("%d failures, %d deletions", b, d)
		}
		r.stop()
	})
}

// Whatever the hosts of a message's recipients say, and however long they take:
// each recipient has one fate in the end, with one record, and its sender hears of
// each failure once, of a delay at most once, and of nothing that NOTIFY excludes.
func TestEveryRecipientOnce(t *testing.T) {
	for seed := range uint64(60) {
		bubble(t, func(t *testing.T, r *rig) {
			random := rand.New(rand.NewPCG(seed, 1))
			var mu sync.Mutex
			r.conf.DelayNotice = 4 * time.Hour
			r.reply = func(_ context.Context, a *mail.Attempt) []mail.Outcome {
				mu.Lock()
				wait := time.Duration(random.IntN(70)) * time.Second
				outs := make([]mail.Outcome, len(a.To))
				for i := range outs {
					switch n := random.IntN(10); {
					case a.Envelope.Sender.IsNull() || n < 2:
						outs[i] = sent()
					case n < 5:
						outs[i] = never()
					case n < 6:
						outs[i] = mail.Outcome{Untried: true}
					default:
						outs[i] = later()
					}
				}
				mu.Unlock()
				time.Sleep(wait)
				return outs
			}
			e := r.envelope()
			for i := range 1 + random.IntN(12) {
				e.Recipients = append(e.Recipients, mail.Recipient{
					Address: addr(fmt.Sprintf("u%d@d%d.test", i, random.IntN(8))), Notify: []mail.Notify{0, mail.NotifyNever, mail.NotifyFailure, mail.NotifyDelay | mail.NotifyFailure}[random.IntN(4)],
				})
			}
			r.start()
			id := r.add(e)
			pass(10 * 24 * time.Hour)
			synctest.Wait()
			ends, failed, told := map[int]int{}, map[int]bool{}, map[string]int{}
			for _, ev := range r.log.all() {
				if ev.ID == id && (ev.Kind == mail.EventDelivery || ev.Kind == mail.EventBounce || ev.Kind == mail.EventExpiration) {
					ends[ev.Recipient]++
					failed[ev.Recipient] = ev.Kind != mail.EventDelivery
				}
			}
			for _, rep := range r.back.told() {
				told[fmt.Sprint(rep.Recipient, rep.Action)]++
			}
			for i := range e.Recipients {
				due := 0
				if failed[i] && e.Recipients[i].Notify.OnFailure() {
					due = 1
				}
				if ends[i] != 1 || told[fmt.Sprint(i, mail.ActionFailed)] != due || told[fmt.Sprint(i, mail.ActionDelayed)] > 1 {
					t.Errorf("seed %d, recipient %d: %d ends, failed %v, told %v", seed, i, ends[i], failed[i], told)
				}
			}
			if r.spool.left() != 0 {
				t.Errorf("seed %d: %d entries left", seed, r.spool.left())
			}
			r.stop()
		})
	}
}
