package blob

import (
	"bytes"
	"context"
	"time"

	"tenma/relay/mailbox/store/ledger"
	"tenma/spool"
)

// Clean clears away what is removed already, until ctx is cancelled: messages of
// removed folders, bodies that nobody needs, memories of old deliveries. Whatever a
// crash interrupts is found again. trouble is told what did not work; it is tried
// again.
func (s *Store) Clean(ctx context.Context, trouble func(error)) {
	daily := time.NewTicker(24 * time.Hour)
	defer daily.Stop()
	do := func(jobs ...func(context.Context) error) {
		for _, job := range jobs {
			if err := job(ctx); err != nil && ctx.Err() == nil && s.db.Err() == nil {
				trouble(err)
			}
		}
	}
	do(s.bury, s.Sweep, s.forget)
	for {
		select {
		case <-ctx.Done():
			return
		case <-daily.C:
			do(s.bury, s.Sweep, s.forget)
			continue
		case <-s.wake:
		}
		wait := time.NewTimer(cleanAfter)
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
		do(s.bury, s.Sweep)
	}
}

// cleanAfter is how long removed messages wait for others to be cleared away
// with them.
const cleanAfter = time.Second

// graveStep is how many messages of a removed folder are cleared away in one
// change.
const graveStep = 500

// bury clears the messages of removed folders away.
func (s *Store) bury(ctx context.Context) error {
	for {
		var user, folder uint32
		some := false
		lower, upper := ledger.Graves()
		err := s.db.Scan(lower, upper, func(key, _ []byte) (bool, error) {
			user, folder = ledger.GraveOf(key)
			some = true
			return false, nil
		})
		if err != nil || !some {
			return err
		}
		if err := s.clearGrave(ctx, user, folder); err != nil {
			return err
		}
	}
}

func (s *Store) clearGrave(ctx context.Context, user, folder uint32) error {
	for {
		b := s.db.NewBatch()
		n := 0
		const all = 1<<32 - 1
		err := s.db.EachInfo(user, folder, 0, all, func(uid uint32, value []byte) (bool, error) {
			p := ledger.Place{User: user, Folder: folder, UID: uid}
			info, err := ledger.DecodeInfo(value)
			if err != nil {
				return false, err
			}
			Unref(b, info.Blob, info.BlobSize, p)
			b.Delete(ledger.InfoKey(p))
			n++
			return n < graveStep, nil
		})
		if err != nil {
			return err
		}
		if n < graveStep {
			b.DeleteRange(ledger.Items(user, folder, 0, all))
			b.DeleteRange(ledger.Retrieved(user, folder, 0, all))
			b.Delete(ledger.GraveKey(user, folder))
		}
		if err := s.db.Do(ctx, &ledger.Change{Batch: b, NoSync: true}); err != nil || n < graveStep {
			return err
		}
	}
}

// deliveredFor is how long a delivery is remembered: much longer than a queue
// tries.
const deliveredFor = 30 * 24 * time.Hour

// forgetStep is how many deliveries are forgotten in one change.
const forgetStep = 5000

// forget forgets the deliveries of long ago. Their keys lie in the order in which
// messages were accepted, so those of old messages are looked at alone. A message
// that an operator held for long is delivered long after that, and may be repeated
// like any other: what counts is when it was delivered.
func (s *Store) forget(ctx context.Context) error {
	before := time.Now().Add(-deliveredFor)
	lower, upper := ledger.Deliveries(spool.NewID(before, [10]byte{}))
	for {
		n := 0
		b := s.db.NewBatch()
		err := s.db.Scan(lower, upper, func(key, value []byte) (bool, error) {
			if ledger.Time(value).Before(before) {
				b.Delete(key)
				n++
			}
			lower = append(bytes.Clone(key), 0) // the next look begins behind it
			return n < forgetStep, nil
		})
		if err != nil || n == 0 {
			return err
		}
		if err := s.db.Do(ctx, &ledger.Change{Batch: b, NoSync: true}); err != nil || n < forgetStep {
			return err
		}
	}
}
