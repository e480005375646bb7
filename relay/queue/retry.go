package queue

import "time"

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

// expiry is when trying ends for a message received then.
func expiry(c *Config, received, own time.Time) time.Time {
	if !own.IsZero() {
		return ceilSecond(own)
	}
	return ceilSecond(received.Add(c.Expire))
}

// nextTry says when a recipient is tried again after its attempt number
// attempts (from 1) was deferred now. asked is the wait that the remote stated,
// 0 for none: it is never tried before that. spread, from -1 to 1, places the
// try within the jitter. The answer is in whole seconds and never after expiry;
// the answer expiry itself means that there will be no further attempt.
func nextTry(c *Config, attempts int, now, expiry time.Time, asked time.Duration, spread float64) time.Time {
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
	due := ceilSecond(now.Add(wait))
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

// ceilSecond rounds up, since the spool keeps whole seconds and a try must not
// come before its time.
func ceilSecond(t time.Time) time.Time {
	t = t.Round(0)
	if f := t.Truncate(time.Second); f.Before(t) {
		return f.Add(time.Second)
	}
	return t
}

// longestWait is more than nextTry ever waits. A due time further away than
// this was written under another clock.
func longestWait(c *Config) time.Duration {
	longest := maxRetryAfter + time.Minute
	for _, w := range c.Retry {
		longest = max(longest, w+time.Duration(float64(w)*c.Jitter)+time.Second)
	}
	return longest
}

// clockStep is by how much the wall clock ran ahead of (or fell behind) real
// time between two readings.
func clockStep(wallBefore, wallNow time.Time, elapsed time.Duration) time.Duration {
	return wallNow.Round(0).Sub(wallBefore.Round(0)) - elapsed
}
