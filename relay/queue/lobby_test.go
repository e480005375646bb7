package queue

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"tenma/relay/mail"
	"tenma/relay/queue/fate"
)

// Mail for thousands of destinations that are all slow, first to be looked up
// and then to take it, stays within the places of the shards; mail for others
// goes on, and in the end all is delivered, each once.
func TestManyDestinations(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		const domains, most = 2000, 100
		var quick atomic.Bool
		r.conf.Shards, r.conf.LaneConnections, r.conf.MaxRunning = 2, 1, 200
		r.reply = func(_ context.Context, a *mail.Attempt) []mail.Outcome {
			if a.Route.Domain != "good.test" && !quick.Load() {
				time.Sleep(10 * time.Second)
			}
			return fate.Same(sent(), len(a.To))
		}
		r.router.known["good.test"] = true
		for i := range domains {
			d := fmt.Sprintf("d%d.test", i)
			r.router.wait[addr("a@"+d).Domain] = 20 * time.Second
			r.send("a@"+d, "b@"+d)
			r.send("c@" + d)
		}
		r.prepare = func(q *Queue) {
			for _, s := range q.shards {
				s.most = most
			}
		}
		r.start()
		check := func() {
			t.Helper()
			_ = r.q.onShards(t.Context(), func(s *shard) {
				// Besides: one more of each lane, and what runs.
				if n := s.open; n > 2*most+2 {
					t.Errorf("%d parts are open", n)
				}
				if n := len(s.lanes); n > 3*most+idleLanes {
					t.Errorf("%d lanes", n)
				}
			})
		}
		pass(10 * time.Second)
		check()
		sum, err := r.q.Summary(t.Context())
		if err != nil || sum.Ready != 2*domains {
			t.Errorf("%d ready, %v", sum.Ready, err)
		}
		r.send("a@good.test")
		pass(time.Second)
		if r.log.count(mail.EventDelivery) != 1 {
			t.Error("slow look-ups keep others waiting")
		}
		for range 10 {
			pass(30 * time.Second)
			check()
		}
		quick.Store(true)
		pass(20 * time.Minute)
		if n := r.log.count(mail.EventDelivery); n != 3*domains+1 || r.spool.left() != 0 {
			t.Errorf("%d delivered, %d left", n, r.spool.left())
		}
		_ = r.q.onShards(t.Context(), func(s *shard) {
			if s.open != 0 || s.lobby.open != [2]int{} || s.lobby.looking != [2]int{} || s.items.Overflowing() != 0 {
				t.Errorf("%d %v %v %d in the end", s.open, s.lobby.open, s.lobby.looking, s.items.Overflowing())
			}
		})
		r.stop()
	})
}
