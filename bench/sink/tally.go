package sink

import (
	"sync/atomic"
	"time"

	"tenma/bench/load"
)

// Stats are what a sink has seen since the last Reset. A message is what
// comes in one transaction: sent to two recipients in two transactions it is
// one and a duplicate. Refused is RefusedRecipients and RefusedMessages.
type Stats struct {
	load.SinkStats
	Others     int64 `json:"others"`     // of Untagged: those of other runs
	Recipients int64 `json:"recipients"` // of all messages
	Stored     int64 `json:"stored"`     // files written
	Open       int64 `json:"open"`       // connections now
	TLS        int64 `json:"tls"`        // handshakes
	// What manners did.
	RefusedConns      int64 `json:"refused_conns"`
	RefusedRecipients int64 `json:"refused_recipients"`
	RefusedMessages   int64 `json:"refused_messages"` // after MAIL, DATA or the end of the message
	Dropped           int64 `json:"dropped"`          // connections closed without a reply
	// Mistakes of clients: unknown commands, wrong order, lines without end.
	Mistakes int64 `json:"mistakes"`
	Down     bool  `json:"down"`
}

// tally counts one run. All of it may be used from any goroutine.
type tally struct {
	run atomic.Pointer[string] // nil until it is known

	messages, unique, untagged, others, recipients, bytes, signatures, stored atomic.Int64
	conns, peak, tls                                                          atomic.Int64
	refusedConns, refusedRecipients, refusedMessages                          atomic.Int64
	dropped, mistakes                                                         atomic.Int64
	first, last                                                               atomic.Int64

	chunks [load.MaxMessages / chunkSize]atomic.Pointer[chunk]
}

// chunkSize is how many numbers' arrivals are kept in one piece of memory, 1
// MiB: what a run needs is there once its numbers come.
const chunkSize = 1 << 16

type chunk [chunkSize]arrival

type arrival struct {
	first atomic.Int64  // Unix time in ns
	count atomic.Uint32 // arrivals
}

func newTally(run string) *tally {
	t := &tally{}
	if run != "" {
		t.run.Store(&run)
	}
	return t
}

func (t *tally) name() string {
	if run := t.run.Load(); run != nil {
		return *run
	}
	return ""
}

// counts reports whether messages of a run are counted; the first run that is
// asked about is, if none was named.
func (t *tally) counts(run string) bool {
	own := t.run.Load()
	if own == nil {
		run := run // the caller's stays off the heap
		t.run.CompareAndSwap(nil, &run)
		own = t.run.Load()
	}
	return *own == run
}

// arrived notes a message of the run and tells how often it has come now.
func (t *tally) arrived(n uint32, now time.Time) uint32 {
	c := t.chunks[n/chunkSize].Load()
	if c == nil {
		t.chunks[n/chunkSize].CompareAndSwap(nil, new(chunk))
		c = t.chunks[n/chunkSize].Load()
	}
	at := now.UnixNano()
	t.messages.Add(1)
	a := &c[n%chunkSize]
	count := a.count.Add(1)
	if count > 1 {
		return count
	}
	a.first.Store(at)
	t.unique.Add(1)
	if t.first.Load() == 0 {
		t.first.CompareAndSwap(0, at)
	}
	raise(&t.last, at)
	return count
}

// raise makes v at least n.
func raise(v *atomic.Int64, n int64) {
	for old := v.Load(); n > old && !v.CompareAndSwap(old, n); old = v.Load() {
	}
}

// each gives the arrivals in the order of their numbers. One that is being
// noted right now may have no time yet: it is left out.
func (t *tally) each(f func(n, count uint32, first int64)) {
	for i := range t.chunks {
		c := t.chunks[i].Load()
		if c == nil {
			continue
		}
		for j := range c {
			if first := c[j].first.Load(); first != 0 {
				f(uint32(i*chunkSize+j), c[j].count.Load(), first)
			}
		}
	}
}

func (t *tally) stats() Stats {
	s := Stats{
		Others: t.others.Load(), Recipients: t.recipients.Load(), Stored: t.stored.Load(), TLS: t.tls.Load(),
		RefusedConns: t.refusedConns.Load(), RefusedRecipients: t.refusedRecipients.Load(), RefusedMessages: t.refusedMessages.Load(),
		Dropped: t.dropped.Load(), Mistakes: t.mistakes.Load(),
	}
	s.SinkStats = load.SinkStats{
		Run: t.name(), Unique: t.unique.Load(), // before the total, which is no less
		Total: t.messages.Load(), Untagged: t.untagged.Load(), Refused: s.RefusedRecipients + s.RefusedMessages,
		Conns: t.conns.Load(), PeakConns: t.peak.Load(), Signatures: t.signatures.Load(), Bytes: t.bytes.Load(),
		First: t.first.Load(), Last: t.last.Load(),
	}
	s.Duplicates = s.Total - s.Unique
	return s
}
