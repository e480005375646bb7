// Package fate holds the rules of the queue as plain functions: when a recipient
// is tried again (NextTry), what an outcome means for it (Judge, Expire), and
// what of a message is to be done now (Plan, ByDestination). Nothing here does I/O,
// has state, or reads a clock.
package fate

import "time"

// Rules are the part of the queue's configuration that decides fates.
type Rules struct {
	Retry       []time.Duration // waits after the 1st, 2nd ... attempt, at least one; the last repeats
	Jitter      float64         // each wait is spread by this part both ways, 0 to 0.5
	Expire      time.Duration   // since a message was received
	DelayNotice time.Duration   // a delay DSN after this; 0: none
}

const (
	// maxRetryAfter bounds the wait that a remote may state: a day, so that no
	// remote can put mail off past its sender's patience.
	maxRetryAfter = 24 * time.Hour
	// exactTries is for how many attempts a stated wait also shortens our own.
	// Greylisting lets the second or third try pass; a remote that still asks
	// for a minute at the fourth gets the schedule.
	exactTries = 3
	// lastTry is how long before its expiry a message gets its last attempt.
	lastTry = 5 * time.Minute
)

// Expiry is when trying ends for a message received then.
func Expiry(c *Rules, received, own time.Time) time.Time {
	if !own.IsZero() {
		return ceil(own)
	}
	return ceil(received.Add(c.Expire))
}

// NextTry says when a recipient is tried again after its attempt number
// attempts (from 1) was deferred now. asked is the wait that the remote stated,
// 0 for none: it is never tried before that. spread, from -1 to 1, places the
// try within the jitter. The answer is in whole seconds and never after expiry;
// the answer expiry itself means that there will be no further attempt.
func NextTry(c *Rules, attempts int, now, expiry time.Time, asked time.Duration, spread float64) time.Time {
	wait := c.Retry[min(max(attempts, 1), len(c.Retry))-1]
	wait += time.Duration(float64(wait) * c.Jitter * spread)
	if asked = min(asked, maxRetryAfter); asked > 0 {
		// A little late, spread so that a site's greylisted mail does not come
		// back as one burst.
		stated := asked + time.Duration(float64(min(asked/10, time.Minute))*(spread+1)/2)
		if attempts <= exactTries || stated > wait {
			wait = stated
		}
	}
	due := ceil(now.Add(wait))
	if due.Before(expiry) {
		return due
	}
	// The next wait would outlast the message: one more try shortly before the
	// end, unless that is too close behind this one, or before the stated wait.
	last := expiry.Add(-lastTry).Truncate(time.Second)
	if left := last.Sub(now); left >= wait/2 && left >= asked && left > 0 {
		return last
	}
	return expiry
}

// ceil rounds up, since the spool keeps whole seconds and a try must not
// come before its time.
func ceil(t time.Time) time.Time {
	t = t.Round(0)
	if f := t.Truncate(time.Second); f.Before(t) {
		return f.Add(time.Second)
	}
	return t
}

// longest is more than NextTry ever waits. A due time further away than
// this was written under another clock.
func longest(c *Rules) time.Duration {
	longest := maxRetryAfter + time.Minute + 2*time.Second // the spread of a stated wait, rounded up
	for _, w := range c.Retry {
		longest = max(longest, w+time.Duration(float64(w)*c.Jitter)+time.Second)
	}
	return longest
}

// ClockStep is by how much the wall clock ran ahead of (or fell behind) real
// time between two readings.
func ClockStep(wallBefore, wallNow time.Time, elapsed time.Duration) time.Duration {
	return wallNow.Round(0).Sub(wallBefore.Round(0)) - elapsed
}
