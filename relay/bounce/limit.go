package bounce

import (
	"sync"
	"sync/atomic"
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

const (
	// period is what Config.PerSender counts in.
	period = time.Hour
	// strangersPart is the part of Config.PerSender, by one over it, that a domain
	// gets for mail of clients that may not relay.
	strangersPart = 10
	// maxSenders bounds the memory, some 200 octets each. Beyond it the count
	// begins anew: who sends to so many is not held back by a count for each.
	maxSenders = 50_000
)

// limiter counts the DSNs that an address was sent within an hour. A program that
// has gone wrong, or an account that was stolen, can make failures by the
// thousand, and who is in their MAIL FROM would drown in notices.
//
// Senders of mail that came in from strangers may be made up, and what returns
// there is backscatter. Most such mail is refused at RCPT, before it is ours; for
// what fails later, behind a forward say, all senders of a domain count as one.
//
// The count is lost at a restart.
type limiter struct {
	most atomic.Int64

	mu     sync.Mutex
	counts map[smtp.Address]*count // guarded by mu
}

type count struct {
	until time.Time
	n     int64
}

// take asks for one more DSN about e. ok is false if there is none; with the last
// one quiet says until when there will be no other.
func (l *limiter) take(e *mail.Envelope, now time.Time) (quiet time.Time, ok bool) {
	most, who := l.most.Load(), e.Sender
	if most <= 0 {
		return time.Time{}, true
	}
	if !vouched(e) {
		most, who = max(1, most/strangersPart), smtp.Address{Domain: who.Domain}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.counts[who]
	if c == nil || !now.Before(c.until) {
		if len(l.counts) >= maxSenders {
			l.counts = nil
		}
		if l.counts == nil {
			l.counts = map[smtp.Address]*count{}
		}
		c = &count{until: now.Add(period)}
		l.counts[who] = c
	}
	c.n++
	if c.n == most {
		quiet = c.until
	}
	return quiet, c.n <= most
}

// vouched reports mail of a client that may relay, or of our own.
func vouched(e *mail.Envelope) bool {
	return e.Trusted || e.Account != "" || e.Origin != mail.FromSMTP
}
