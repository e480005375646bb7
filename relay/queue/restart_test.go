package queue

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tenma/relay/mail"
	"tenma/relay/queue/fate"
	"tenma/spool"
)

// checkEnds wants each of n recipients (DSNs apart) to have come to exactly one
// end. A delivery whose settlement was lost in a crash is repeated, so the same
// end may be there several times.
func checkEnds(t interface{ Errorf(string, ...any) }, log *fakeLog, n int) {
	type who struct {
		id spool.ID
		to int
	}
	ends := map[who]mail.EventKind{}
	for _, e := range log.all() {
		if e.Envelope.Sender.IsNull() {
			continue
		}
		switch e.Kind {
		case mail.EventDelivery, mail.EventBounce, mail.EventExpiration, mail.EventAdminBounce:
			w := who{e.ID, e.Recipient}
			if before, ok := ends[w]; ok && before != e.Kind {
				t.Errorf("%v %d came to two ends: %v and %v", e.ID, e.Recipient, before, e.Kind)
			}
			ends[w] = e.Kind
		}
	}
	if len(ends) != n {
		t.Errorf("%d of %d recipients came to an end", len(ends), n)
	}
}

// The queue dies again and again, with settlements under way, and is started on
// what was durable: nothing is lost, each recipient comes to one end, and each
// refused recipient is told of by one DSN.
func TestRestartsLoseNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		lag := time.Duration(rapid.IntRange(0, 50).Draw(rt, "lag")) * time.Millisecond
		pauses := rapid.SliceOfN(rapid.IntRange(0, 2000), 1, 6).Draw(rt, "pauses")
		messages := rapid.IntRange(1, 20).Draw(rt, "messages")
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.conf = Config{Shards: 2, Retry: []time.Duration{time.Second, 3 * time.Second}, Horizon: 2 * time.Second, LaneConnections: 2, LaneReady: 2}
			r.spool.lag = lag
			r.reply = func(ctx context.Context, a *mail.Attempt) []mail.Outcome {
				select {
				case <-time.After(100 * time.Millisecond):
				case <-ctx.Done():
				}
				outs := fate.Same(sent(), len(a.To))
				for i, to := range a.To {
					switch l := a.Envelope.Recipients[to].Address.Local; {
					case l == "no":
						outs[i] = never()
					case l == "later" && a.Number < 3:
						outs[i] = later()
					case l == "untried" && a.Queued.Equal(a.Envelope.Received) && time.Now().UnixNano()%3 == 0:
						outs[i].Untried = true
					}
				}
				return outs
			}
			r.start()
			for i := range messages {
				r.send("yes@one.test", "no@two.test", "later@one.test", "later@three.test", fmt.Sprintf("untried@d%d.test", i))
			}
			for _, ms := range pauses {
				time.Sleep(time.Duration(ms) * time.Millisecond)
				next := r.spool.crash() // from here on nothing becomes durable
				r.stop()
				r.spool = next
				r.start()
			}
			pass(time.Hour)
			if n := r.spool.left(); n != 0 {
				rt.Errorf("%d left", n)
			}
			checkEnds(rt, r.log, messages*5)
			dsns := map[spool.ID]bool{}
			for _, e := range r.log.all() {
				if e.Envelope.Sender.IsNull() && e.Kind == mail.EventDelivery {
					dsns[e.ID] = true
				}
			}
			if len(dsns) != messages {
				rt.Errorf("%d DSNs for %d messages", len(dsns), messages)
			}
			r.stop()
		})
	})
}
