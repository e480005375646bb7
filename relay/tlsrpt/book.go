package tlsrpt

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

const (
	day = 24 * time.Hour
	// maxDomains bounds the domains of one day, those that want no reports
	// included. Sessions with more are not counted.
	maxDomains = 1 << 16
	// maxOctets bounds what all accounts hold together, besides the bare counts.
	maxOctets = 16 << 20
	// askWithin is the time within which a domain is asked after its first session
	// of a day: not all at once at midnight.
	askWithin = 10 * time.Minute
	// tellWithin is the time after midnight within which reports go out, so that
	// receivers do not get those of all senders at once (RFC 8460 section 4.1).
	tellWithin = 4 * time.Hour
)

// book is what was counted: today's accounts, and closed ones that are still to
// be told.
type book struct {
	mu     sync.Mutex
	today  time.Time                // guarded by mu
	open   map[smtp.Domain]*account // guarded by mu: today's
	octets int                      // guarded by mu: of all accounts
	dice   *rand.Rand               // guarded by mu
	fresh  bool                     // guarded by mu: there is something that was not saved
	// closed is guarded by mu; the accounts in it are Run's, but for the time in
	// which it hands them to goroutines that it waits for.
	closed []*account
}

func newBook(seed uint64) *book {
	return &book{open: map[smtp.Domain]*account{}, dice: rand.New(rand.NewPCG(seed, 8460))}
}

// count notes a session; false says that there is no room for its domain.
func (b *book) count(r *mail.TLSResult, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rollLocked(now)
	a := b.open[r.Domain]
	if a == nil {
		if a = b.admit(r.Domain, now); a == nil {
			return false
		}
	}
	if a.wish == unwanted {
		return true
	}
	before := a.octets
	a.add(r, func(octets int) bool { return b.octets+a.octets-before+octets <= maxOctets })
	b.octets += a.octets - before
	b.fresh = true
	return true
}

// admit opens the account of a domain; nil: there are too many. b.mu is held.
func (b *book) admit(d smtp.Domain, now time.Time) *account {
	if len(b.open) >= maxDomains {
		return nil
	}
	a := &account{domain: d, day: b.today, ask: now.Add(b.within(askWithin))}
	b.open[d] = a
	return a
}

// roll closes the accounts of a day that is over.
func (b *book) roll(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rollLocked(now)
}

func (b *book) rollLocked(now time.Time) {
	midnight := now.UTC().Truncate(day)
	if !midnight.After(b.today) { // a clock that was set back goes on with the day it had
		return
	}
	for _, a := range b.open {
		b.close(a)
	}
	b.today, b.open = midnight, map[smtp.Domain]*account{}
}

// close puts an account among those that are to be told. b.mu is held.
func (b *book) close(a *account) {
	if a.wish == unwanted || len(a.policies) == 0 {
		return
	}
	a.due = a.day.Add(day + b.within(tellWithin))
	b.closed = append(b.closed, a)
	b.fresh = true
}

// asking gives at most n domains of today that are to be asked by now.
func (b *book) asking(now time.Time, n int) (all []*account) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.open {
		if len(all) == n {
			break
		}
		if a.wish == unasked && !now.Before(a.ask) {
			all = append(all, a)
		}
	}
	return all
}

// answered notes whether a domain wants reports; unasked: ask again at again.
func (b *book) answered(a *account, w wish, again time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a.wish, a.ask = w, again
	if w == unwanted {
		b.octets -= a.octets
		a.policies, a.octets = nil, 0
		b.closed = slices.DeleteFunc(b.closed, func(c *account) bool { return c == a }) // midnight may have passed
	}
	b.fresh = true
}

// telling gives the closed accounts that are due.
func (b *book) telling(now time.Time) (all []*account) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.closed {
		if !now.Before(a.due) {
			all = append(all, a)
		}
	}
	return all
}

// told drops closed accounts.
func (b *book) told(over []*account) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fresh = true
	for _, a := range over {
		b.octets -= a.octets
	}
	b.closed = slices.DeleteFunc(b.closed, func(a *account) bool { return slices.Contains(over, a) })
}

// held is how many domains there are of which something is to be told.
func (b *book) held() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.open {
		if a.wish != unwanted {
			n++
		}
	}
	return n + len(b.closed)
}

// within gives a part of d, at random. b.mu is held.
func (b *book) within(d time.Duration) time.Duration { return time.Duration(b.dice.Int64N(int64(d))) }
