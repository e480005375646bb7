package queue

import (
	"context"
	"testing"
	"time"

	"tenma/relay/mail"
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
		r.spool.entries[id] = &spool.Entry{ID: id, Envelope: mail.AppendEnvelope(nil, r.envelope("a@one.test"))}
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
