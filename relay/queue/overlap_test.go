package queue

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/mail"
	"tenma/relay/mail/stored"
	"tenma/relay/queue/fate"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// TestFedWhileRead: Feed hands out a message while it is being read back for an
// operator whose wish changes nothing. It goes out all the same.
func TestFedWhileRead(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.spool.getLag = time.Second
		id := r.id()
		r.spool.fed[id] = true // Feed has not come to it
		r.spool.entries[id] = &spool.Entry{ID: id, Envelope: stored.AppendEnvelope(nil, r.envelope("a@one.test"))}
		r.start()
		go r.q.Release(context.Background(), Filter{IDs: []spool.ID{id}})
		// The operator's search reads it once, the ledger's owner after that.
		pass(1500 * time.Millisecond)
		r.spool.mu.Lock()
		delete(r.spool.fed, id)
		r.spool.changed()
		r.spool.mu.Unlock()
		pass(time.Minute)
		if r.spool.left() != 0 || r.tries.Load() != 1 {
			t.Errorf("%d left, %d tries", r.spool.left(), r.tries.Load())
		}
		r.stop()
	})
}

// TestStopBetweenSettlements stops the queue while one settlement of a message is
// under way and the next, of a recipient that nobody tried, waits for it. Both are
// made before Run returns.
func TestStopBetweenSettlements(t *testing.T) {
	for range 20 { // a count that falls to zero between them may be noticed or not
		bubble(t, func(t *testing.T, r *rig) {
			r.spool.lag = 2 * time.Second
			r.router.wait["no.test"] = time.Second
			r.router.fail["no.test"] = fate.Ours(550, smtp.Status{5, 1, 2}, "no such domain", "DNS", nil)
			r.start()
			r.send("a@one.test", "b@no.test")
			pass(1500 * time.Millisecond)
			r.stop()
			if r.log.count(mail.EventBounce) != 1 || r.spool.left() != 1 { // the DSN
				t.Errorf("%d bounces, %d left", r.log.count(mail.EventBounce), r.spool.left())
			}
		})
	}
}

// TestFedLate: of two messages that Feed read and then had to wait with, one is
// removed and one held before the shards take them. The first is dropped, the
// second known as held.
func TestFedLate(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.q = New(r.conf, Deps{Spool: r.spool, Router: r.router, Record: r.log})
		r.q.ctx = t.Context()
		for range ahead {
			r.q.credit <- struct{}{}
		}
		gone, held := r.send("a@one.test"), r.send("b@one.test")
		for _, id := range []spool.ID{gone, held} {
			e := *r.spool.entries[id]
			go r.q.take(e)
		}
		synctest.Wait()
		r.spool.settle1(spool.Settlement{ID: gone, Remove: true})
		r.spool.settle1(spool.Settlement{ID: held, State: []byte("held")})
		<-r.q.credit
		<-r.q.credit
		synctest.Wait()
		var got []msg
		for _, s := range r.q.shards {
			got = append(got, s.box.Take(nil)...)
		}
		if len(got) != 1 || string(got[0].entry.State) != "held" || len(r.q.credit) != ahead-1 {
			t.Errorf("handed on: %+v, credit %d", got, len(r.q.credit))
		}
	})
}
