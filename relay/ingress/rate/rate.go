// Package rate says how fast one account may submit mail: a password that was
// stolen, or a program in a loop, should not send for the whole night.
//
// An account may send its hour's number at once, and after that as many an hour
// as they come free one after the other (the generic cell rate algorithm of
// ITU-T I.371 annex A: one point in time per account and kind is all the state
// there is). Time is passed in.
package rate

import (
	"sync"
	"time"
)

// Limits are numbers an hour; 0: no limit.
type Limits struct {
	Messages   int
	Recipients int
}

// Table is what accounts have sent of late. It may be used from any goroutine.
// Its zero value is empty. It grows with the accounts that have sent within the
// last hour.
type Table struct {
	mu       sync.Mutex
	accounts map[string]*account
	sweepAt  int // how many accounts are looked through for those to forget
}

// account says when all that was sent would have come free.
type account struct{ messages, recipients time.Time }

// leastSweep keeps small tables from being looked through all the time.
const leastSweep = 64

// Message books a message. If there were too many, nothing is booked and wait
// says when the next one may be.
func (t *Table) Message(name string, l Limits, now time.Time) (wait time.Duration) {
	if l.Messages <= 0 {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return book(&t.account(name, now).messages, l.Messages, now)
}

// Recipient is Message for one recipient of a message.
func (t *Table) Recipient(name string, l Limits, now time.Time) (wait time.Duration) {
	if l.Recipients <= 0 {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return book(&t.account(name, now).recipients, l.Recipients, now)
}

// book takes one of perHour.
func book(free *time.Time, perHour int, now time.Time) time.Duration {
	next := now
	if free.After(now) {
		next = *free
	}
	next = next.Add(time.Hour / time.Duration(perHour))
	if wait := next.Sub(now) - time.Hour; wait > 0 {
		return wait
	}
	*free = next
	return 0
}

// account gives that of a name, new if need be.
func (t *Table) account(name string, now time.Time) *account {
	if a := t.accounts[name]; a != nil {
		return a
	}
	if len(t.accounts) >= max(t.sweepAt, leastSweep) {
		for n, a := range t.accounts {
			if !a.messages.After(now) && !a.recipients.After(now) {
				delete(t.accounts, n)
			}
		}
		t.sweepAt = 2 * len(t.accounts)
	}
	if t.accounts == nil {
		t.accounts = map[string]*account{}
	}
	a := &account{}
	t.accounts[name] = a
	return a
}
