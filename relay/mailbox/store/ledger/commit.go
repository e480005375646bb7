package ledger

import (
	"context"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// maxGroup is how many octets a group takes before it is written; what is left
// makes the next one. A sync of 8 MiB takes 10-50 ms on ordinary disks, which
// bounds what a small message waits behind a burst of large ones.
const maxGroup = 8 << 20

// Change is one atomic step.
type Change struct {
	Batch *Batch
	// Build makes the batch in the committer, when all that was submitted
	// before is committed and nothing else is: it may read what it is about to
	// change. It must be quick, since everybody waits.
	Build func(b *Batch) error
	// NoSync: the change need not be durable by itself. It is in the log before
	// every later one.
	NoSync bool
	// Published is called in the committer when the change is durable (or, with
	// NoSync, applied), in the order of Submit, before Wait returns. It may not
	// wait for anything that waits for the committer.
	Published func()

	done chan struct{}
	err  error
}

// Batch collects what a change writes.
type Batch struct{ b *pebble.Batch }

// NewBatch makes an empty one.
func (d *DB) NewBatch() *Batch { return &Batch{d.db.NewBatch()} }

// Errors of a batch in memory do not happen: it was made by NewBatch and not
// committed yet.

// Set writes a record.
func (b *Batch) Set(key, value []byte) { _ = b.b.Set(key, value, nil) }

// Delete removes a record.
func (b *Batch) Delete(key []byte) { _ = b.b.Delete(key, nil) }

// DeleteSized is Delete for a record whose value has that many octets: so much
// room will come free.
func (b *Batch) DeleteSized(key []byte, size int) { _ = b.b.DeleteSized(key, uint32(size), nil) }

// DeleteRange removes all from lower to before upper.
func (b *Batch) DeleteRange(lower, upper []byte) { _ = b.b.DeleteRange(lower, upper, nil) }

// Err is why no change would be taken now, if so.
func (d *DB) Err() error {
	if err := d.fence.Err(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.phase >= phaseEnding {
		return ErrClosed
	}
	return nil
}

// Submit queues c and returns at once. c is the committer's from then on. One
// that is refused (Wait tells why) is never published.
func (d *DB) Submit(c *Change) {
	c.done = make(chan struct{})
	err := d.fence.Err()
	d.mu.Lock()
	if err == nil && d.phase >= phaseEnding {
		err = ErrClosed
	}
	if err == nil {
		d.queue = append(d.queue, c)
	}
	d.mu.Unlock()
	if err != nil {
		c.err = err
		close(c.done)
		return
	}
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Wait returns when c is durable, or says why that is not certain: the disk
// failed, ctx ended, or it took too long.
func (d *DB) Wait(ctx context.Context, c *Change) error {
	select {
	case <-c.done:
		return c.err
	default:
	}
	timer := time.NewTimer(d.o.Timeout)
	defer timer.Stop()
	select {
	case <-c.done:
		return c.err
	case <-d.fence.Sick():
		select {
		case <-c.done: // it was in time
			return c.err
		default:
		}
		return d.fence.Err()
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return ErrTimeout
	}
}

// Do is Submit and Wait.
func (d *DB) Do(ctx context.Context, c *Change) error {
	d.Submit(c)
	return d.Wait(ctx, c)
}

func (d *DB) commitLoop(stop <-chan struct{}) {
	for {
		if group := d.take(); len(group) > 0 {
			if !d.commit(group) {
				return
			}
			continue
		}
		select {
		case <-stop:
			if d.end() {
				return
			}
			continue
		default:
		}
		select {
		case <-d.wake:
		case <-stop:
		case <-d.fence.Sick():
			return
		}
	}
}

// end takes no more, unless something came meanwhile.
func (d *DB) end() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue) > 0 {
		return false
	}
	d.phase = phaseEnding
	return true
}

// take gives the changes of the next group.
func (d *DB) take() []*Change {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, size := 0, 0
	for n < len(d.queue) && size < maxGroup {
		c := d.queue[n]
		if c.Build != nil && n > 0 {
			break
		}
		n++
		if c.Build != nil {
			break
		}
		size += c.Batch.b.Len()
	}
	group := d.queue[:n:n]
	if d.queue = d.queue[n:]; len(d.queue) == 0 {
		d.queue = nil
	}
	return group
}

// commit stores a group and tells everybody. It is false when the disk failed.
func (d *DB) commit(group []*Change) bool {
	begun := time.Now()
	if c := group[0]; c.Build != nil {
		c.Batch = d.NewBatch()
		if c.err = c.Build(c.Batch); c.err != nil {
			_ = c.Batch.b.Close()
			close(c.done)
			return true
		}
	}
	whole, sync := group[0].Batch.b, !group[0].NoSync
	if len(group) > 1 {
		whole = d.db.NewBatch()
		for _, c := range group {
			_ = whole.Apply(c.Batch.b, nil) // both are whole and uncommitted
			sync = sync || !c.NoSync
		}
	}
	if !whole.Empty() {
		opts := pebble.NoSync
		if sync {
			opts = pebble.Sync
		}
		// Pebble may try a failing table for ever, and the fence may park us.
		watch := time.AfterFunc(d.o.Timeout, func() { d.fence.Fail("commit", d.o.Dir, ErrTimeout) })
		err := d.db.Apply(whole, opts)
		watch.Stop()
		if err != nil {
			d.fence.Fail("commit", d.o.Dir, err)
		}
	}
	if d.fence.Err() != nil {
		return false
	}
	if len(group) > 1 {
		_ = whole.Close()
	}
	if d.o.OnGroup != nil && sync {
		d.o.OnGroup(len(group), time.Since(begun))
	}
	for _, c := range group {
		_ = c.Batch.b.Close()
		if c.Published != nil {
			c.Published()
		}
		close(c.done)
	}
	return true
}
