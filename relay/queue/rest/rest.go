// Package rest decides when a destination that cannot be reached is left alone.
//
// A smarthost that is down refuses as many connections as there are messages
// for it, and each costs a dial, a settlement and a line in the mail log. After
// a number of failures in a row its lane therefore rests: what waits there goes
// on waiting, untried, and one message at a time is the probe, after a second,
// two, four, at last every minute. The first session that opens wakes the lane,
// and all that was ready there goes out. What had been tried before goes when its
// own next try is due: it came back with a reply, and the schedule answers that.
package rest

import (
	"time"

	"tenma/relay/mail"
)

const (
	// first and longest bound the time between two probes. A minute costs the
	// host nothing, and is little beside the waits of the schedule.
	first   = time.Second
	longest = time.Minute
)

// Rest is the state of one lane. The zero value is a lane in good order.
type Rest struct {
	failures int
	wait     time.Duration
	since    time.Time
	until    time.Time // zero: does not rest
}

// Unreached reports an outcome without a session: nobody answered, or the host
// sent us away before the first message. Faults of TLS do not count, since they
// may be those of one domain's policy and not of the hosts.
func Unreached(o *mail.Outcome) bool {
	if o.Untried || o.Fate() != mail.Deferred {
		return false
	}
	return o.Command == "CONNECT" || o.Command == "EHLO" || o.Command == "AUTH"
}

// Runs is how many connections the lane may have, of most: none while it
// rests, one for the probe when that is over.
func (r *Rest) Runs(most int, now time.Time) int {
	switch {
	case r.until.IsZero():
		return most
	case now.Before(r.until):
		return 0
	}
	return min(1, most)
}

// Resting reports that the lane has not been reached since its rest began, and
// when its next probe is due.
func (r *Rest) Resting() (until time.Time, resting bool) { return r.until, !r.until.IsZero() }

// Span gives when the rest began and when its next probe is due; zero: the lane
// does not rest.
func (r *Rest) Span() (since, until time.Time) { return r.since, r.until }

// Failed notes an attempt that opened no session. began is true if the lane
// rests from now on, after so many failures in a row.
func (r *Rest) Failed(after int, now time.Time) (began bool) {
	r.failures++
	switch {
	case r.until.IsZero() && r.failures < after, now.Before(r.until):
		return false // in the latter case it had begun before the rest
	case r.until.IsZero():
		r.wait, r.since, began = first, now, true
	default:
		r.wait = min(2*r.wait, longest)
	}
	r.until = now.Add(r.wait)
	return began
}

// Reached notes a session. ended is true if the lane was at rest.
func (r *Rest) Reached() (ended bool) {
	ended = !r.until.IsZero()
	*r = Rest{}
	return ended
}

// Probe makes the next probe due now.
func (r *Rest) Probe(now time.Time) {
	if !r.until.IsZero() {
		r.until = now
	}
}
