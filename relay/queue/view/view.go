// Package view is the queue as an operator sees it: the filter that selects
// messages, the messages and lanes that come back, and the search in the spool.
package view

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"tenma/relay/mail"
	"tenma/spool"
)

// Filter selects queued messages. Fields that are set must all hold. A Filter
// with neither IDs nor any other field selects nothing unless All is set.
type Filter struct {
	IDs       []spool.ID
	Recipient string // address, any case
	Domain    string // of a recipient
	Sender    string // address, or "@domain"
	Tenant    string
	Campaign  string
	OlderThan time.Duration
	All       bool
	After     spool.ID // List only: page on behind this id
	Limit     int      // List only: at most so many; 0: 100
}

// Message is a queued message as an operator sees it.
type Message struct {
	ID       spool.ID
	Envelope *mail.Envelope
	State    *mail.State // Recipients runs parallel to Envelope.Recipients
	Lanes    []mail.Lane // in which it waits or runs now; empty when it is not in memory
}

// Summary is the queue at a glance.
type Summary struct {
	Messages   int64 // entries in the spool
	Ready      int64 // items that wait for a free connection
	Deferred   int64 // items in memory that wait for their time
	Parked     int64 // entries that left memory until their time
	Running    int64 // attempts under way
	Rebuilding bool  // stored entries are still being read after a start
	Lanes      []LaneSummary
}

// Sort puts the lane with the longest backlog first.
func (s *Summary) Sort() {
	slices.SortFunc(s.Lanes, func(a, b LaneSummary) int {
		return cmp.Or(cmp.Compare(b.Ready+b.Running+b.Deferred, a.Ready+a.Running+a.Deferred), cmp.Compare(a.Lane, b.Lane))
	})
}

// LaneSummary is one lane at a glance.
type LaneSummary struct {
	Lane      mail.Lane
	Ready     int64
	Deferred  int64
	Running   int64
	Oldest    time.Time // acceptance of the oldest item; zero: empty
	LastReply string    // of the latest attempt, with the host's name
	LastAt    time.Time
	Resting   time.Time // it cannot be reached, and is tried again then; zero: it does not rest
	Since     time.Time // it rests since then

	first spool.ID // the oldest that waits as an item
}

// Has takes an item into account.
func (l *LaneSummary) Has(id spool.ID) {
	if l.first.IsZero() || bytes.Compare(id[:], l.first[:]) < 0 {
		l.first = id
	}
	l.Seen(id.Time())
}

// Seen takes the time of an item into account.
func (l *LaneSummary) Seen(t time.Time) {
	if !t.IsZero() && (l.Oldest.IsZero() || t.Before(l.Oldest)) {
		l.Oldest = t
	}
}
