package maillog

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tenma/relay/mail"
)

// Errors of Flush and Health.
var (
	// ErrLost says that an event that decides a recipient's fate did not fit
	// into the buffer any more. It lasts until the process is restarted.
	ErrLost = errors.New("maillog: events were lost")
	// ErrClosed is returned by Flush after Close if records were left over.
	ErrClosed = errors.New("maillog: closed")
)

// Log is the mail log. All methods may be called from any goroutine.
//
// It keeps promise 5 of package relay, that a final event reaches the mail log
// before its entry's removal is durable, in this way: Flush returns nil only
// when every record taken before the call is written (with Config.Sync: on
// stable storage). Who removes an entry records its event, calls Flush, and
// goes on only after nil.
//
// When the disk fails or is full, records stay in memory, Flush and Health give
// the error, and the write is tried again every second. Nothing is lost while
// the buffer lasts, and the first success makes Flush return nil again. When
// the buffer is full, events that decide nothing (Reception, TransientFailure
// and the like) are dropped and counted, since no promise hangs on them. Final
// events have four times the room, which is beyond anything that can be under
// way while removals wait. If even that is used up, Flush gives ErrLost until
// the process is restarted: no removal passes it, so after the restart the
// spool hands those entries out again and their fate is recorded then. The
// price is a repeated delivery, which promise 3 allows; a fate without a record
// is what promise 5 forbids.
//
// Rejected: dropping a final event and letting later Flush calls succeed (the
// caller cannot know that the record it waits for is gone), and blocking Record
// (it would stop a shard of the queue, and with it mail that fares well).
type Log struct {
	cfg     Config
	node    []byte // nodeid as JSON
	records [mail.EventAdminRebind + 1]prometheus.Counter
	scratch sync.Pool     // of *[]byte: records are made outside the lock
	waiting chan struct{} // something was recorded; wakes Run
	many    chan struct{} // wakeOctets wait; ends Run's delay
	seal    chan struct{} // a segment was closed; wakes the sealer

	mu       sync.Mutex // guards what follows, held for moments only
	buf      []byte     // recorded, not yet taken by the writer
	recorded int64      // octets ever recorded
	done     int64      // of these, octets that are safe
	count    int64      // records taken
	dropped  int64      // records not taken
	lost     bool       // a final event was among them
	err      error      // of the last write
	closed   bool

	io      sync.Mutex // held by the one who writes; guards what follows
	open    *segment   // nil: the next write makes one
	backlog []byte     // taken from buf, not yet safe
	taken   int64      // recorded at the time of taking
	retryAt time.Time  // after a failure: no write before this
}

// New opens the log in cfg.Dir and makes the directory if it is missing. A
// segment that a crash left with a torn line is closed. Records are written
// from then on by Flush, or in the background by Run.
func New(cfg Config) (*Log, error) {
	if cfg.Dir == "" {
		return nil, errors.New("maillog: no directory")
	}
	l := &Log{
		cfg:     cfg.withDefaults(),
		node:    appendString(nil, cfg.NodeID),
		waiting: make(chan struct{}, 1),
		many:    make(chan struct{}, 1),
		seal:    make(chan struct{}, 1),
	}
	l.scratch.New = func() any { b := make([]byte, 0, 2048); return &b }
	for k := range l.records {
		l.records[k] = l.cfg.Metrics.Records.WithLabelValues(mail.EventKind(k).String())
	}
	if err := l.resume(); err != nil {
		return nil, fmt.Errorf("maillog: open %s: %w", cfg.Dir, err)
	}
	return l, nil
}

// final reports the events that promise 5 is about: those after which an entry
// may be removed, the message that came back with what it told included.
func final(k mail.EventKind) bool {
	switch k {
	case mail.EventDelivery, mail.EventBounce, mail.EventExpiration, mail.EventAdminBounce, mail.EventOOB, mail.EventFeedback:
		return true
	}
	return false
}

// Record takes an event. It never waits for the disk. The event and what it
// points to are read during the call only.
func (l *Log) Record(e *mail.Event) {
	p := l.scratch.Get().(*[]byte)
	b := appendRecord((*p)[:0], e, l.node)
	limit := l.cfg.Buffer
	if final(e.Kind) {
		limit *= 4
	}
	l.mu.Lock()
	taken := !l.closed && l.recorded-l.done+int64(len(b)) <= limit
	if taken {
		l.buf = append(l.buf, b...)
		l.recorded += int64(len(b))
		l.count++
	} else {
		l.dropped++
		l.lost = l.lost || final(e.Kind)
	}
	first, many := taken && len(l.buf) == len(b), len(l.buf) >= wakeOctets
	l.mu.Unlock()

	if int(e.Kind) < len(l.records) && taken {
		l.records[e.Kind].Inc()
	} else if !taken {
		l.cfg.Metrics.Dropped.Inc()
	}
	if first {
		signal(l.waiting)
	}
	if many {
		signal(l.many)
	}
	if cap(b) <= 64<<10 { // one huge record should not be kept for ever
		*p = b
		l.scratch.Put(p)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Flush returns nil when every record that was taken before the call is
// written, and synced if Config.Sync says so. Callers at the same time share
// one sync. It needs no Run. The error is that of the last write, ErrLost or
// ErrClosed; the records are kept, see Log.
func (l *Log) Flush() error {
	target, err, ok := l.safe(-1)
	if ok {
		return err
	}
	// Whoever comes while another writes waits here, and finds that the next
	// writer in line has taken its records along.
	l.io.Lock()
	defer l.io.Unlock()
	if _, err, ok = l.safe(target); ok {
		return err
	}
	return l.write()
}

// safe reports whether the first target octets are safe; -1 means all so far.
func (l *Log) safe(target int64) (int64, error, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if target < 0 {
		target = l.recorded
	}
	switch {
	case l.lost:
		return target, ErrLost, l.done >= l.recorded // keep writing what is left
	case l.done >= target:
		return target, nil, true
	case l.closed:
		return target, ErrClosed, true
	}
	return target, nil, false
}

// write makes safe all that was recorded so far. io is held.
func (l *Log) write() error {
	now := time.Now()
	if now.Before(l.retryAt) {
		return l.Health()
	}
	l.take()
	if len(l.backlog) == 0 {
		return l.Health()
	}
	err := l.store()
	l.cfg.Metrics.FlushSeconds.Observe(time.Since(now).Seconds())
	if err != nil {
		err = fmt.Errorf("maillog: %w", err)
		l.cfg.Metrics.WriteErrors.Inc()
		l.retryAt = now.Add(retryDelay)
	}

	l.mu.Lock()
	before := l.err
	l.err = err
	if err == nil {
		l.done = l.taken
	}
	left := l.recorded - l.done
	l.mu.Unlock()

	l.cfg.Metrics.BufferBytes.Set(float64(left))
	switch {
	case err != nil && before == nil:
		l.cfg.Log.Error("mail log cannot be written, will retry", "error", err, "kept_bytes", left)
	case err == nil && before != nil:
		l.cfg.Log.Info("mail log is written again")
	}
	if err != nil {
		return err
	}
	if l.open != nil && l.open.size >= l.cfg.SegmentSize {
		l.rotate()
	}
	return l.Health()
}

// take moves the buffer to the backlog; the two change places when the backlog
// is empty, so that records are copied once.
func (l *Log) take() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.backlog) == 0 {
		l.backlog, l.buf = l.buf, l.backlog[:0]
	} else {
		l.backlog = append(l.backlog, l.buf...)
		l.buf = l.buf[:0]
	}
	if cap(l.buf) > 4<<20 { // grown in trouble
		l.buf = nil
	}
	l.taken = l.recorded
}

// Health is nil while the log can be written, else the error that Flush gives.
func (l *Log) Health() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost {
		return ErrLost
	}
	return l.err
}

// Stats are figures of a Log.
type Stats struct {
	Records int64 // taken
	Dropped int64 // not taken for lack of room
	Waiting int64 // octets that are not safe yet
	Err     error // as Health gives it
}

// Stats gives the present figures.
func (l *Log) Stats() Stats {
	err := l.Health()
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{Records: l.count, Dropped: l.dropped, Waiting: l.recorded - l.done, Err: err}
}

// Close writes what is left and closes the open segment, which the next New
// goes on with. Nothing is taken afterwards. Call it after Run has returned
// and after the last Flush.
func (l *Log) Close() error {
	err := l.Flush()
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.io.Lock()
	defer l.io.Unlock()
	if l.open != nil {
		err = errors.Join(err, l.open.file.Close())
		l.open = nil
	}
	return err
}
