package queue

import (
	"context"
	"testing"
	"time"

	"tenma/relay/mail"
	"tenma/relay/queue/fate"
)

// A connection to a far receiver never waits for the queue: its next message is
// there before the reply to the one in hand, so that with commands riding
// behind the final dot each message takes one round trip.
func TestFarReceiverIsFed(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		const rtt, connections, messages = 50 * time.Millisecond, 5, 1000
		r.conf.LaneConnections, r.conf.LaneReady = connections, 64
		r.spool.getLag = time.Millisecond // most are read back
		r.remote = func(_ context.Context, a *mail.Attempt, next func() *mail.Attempt, done func(*mail.Attempt, []mail.Outcome)) {
			wait := 2 * rtt // for commands, then for the body
			for a != nil {
				ahead := next() // as the body is sent
				time.Sleep(wait)
				done(a, fate.Same(sent(), 1))
				if a, wait = ahead, rtt; a == nil {
					a, wait = next(), 2*rtt
				}
			}
		}
		for range messages {
			r.send("a@far.test")
		}
		begin := time.Now()
		r.start()
		for r.log.count(mail.EventDelivery) < messages {
			time.Sleep(rtt / 10)
		}
		took := time.Since(begin)
		if least := (messages/connections + 1) * rtt; took > least*102/100 {
			t.Errorf("%v for what %d connections can do in %v", took, connections, least)
		}
		r.stop()
	})
}
