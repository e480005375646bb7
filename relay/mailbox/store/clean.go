package store

import (
	"context"
	"time"

	"tenma/relay/mailbox/store/ledger"
	"tenma/relay/mailbox/store/ledger/blob"
	"tenma/spool"
)

// deliveredFor is how long a delivery is remembered, from the acceptance of
// its message: much longer than a queue tries.
const deliveredFor = 30 * day

// cleanAfter is how long removed messages wait for others to be cleared away
// with them.
const cleanAfter = time.Second

// clean clears away what is removed already: bodies, messages of removed
// folders, old memories. Whatever a crash interrupts is found again.
func (s *Store) clean(ctx context.Context) {
	daily := time.NewTicker(day)
	defer daily.Stop()
	s.tidyUp(ctx, s.buryAll, s.blobs.Sweep, s.forgetDeliveries)
	for {
		select {
		case <-ctx.Done():
			return
		case <-daily.C:
			s.tidyUp(ctx, s.forgetDeliveries)
			continue
		case <-s.blobs.Condemned():
		}
		wait := time.NewTimer(cleanAfter)
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
		s.tidyUp(ctx, s.buryAll, s.blobs.Sweep)
	}
}

func (s *Store) tidyUp(ctx context.Context, jobs ...func(context.Context) error) {
	for _, job := range jobs {
		if err := job(ctx); err != nil && ctx.Err() == nil && s.db.Err() == nil {
			s.o.Log.Error("mailboxes: clearing away what was removed failed; it is tried again", "error", err)
		}
	}
}

// pokeGraves makes clean look for removed folders.
func (s *Store) pokeGraves() { s.blobs.Poke() }

// graveStep is how many messages of a removed folder are cleared away in one
// change.
const graveStep = 500

// buryAll clears the messages of removed folders away.
func (s *Store) buryAll(ctx context.Context) error {
	type grave struct{ user, folder uint32 }
	for {
		var g *grave
		lower, upper := ledger.Graves()
		err := s.db.Scan(lower, upper, func(key, _ []byte) (bool, error) {
			user, folder := ledger.GraveOf(key)
			g = &grave{user, folder}
			return false, nil
		})
		if err != nil || g == nil {
			return err
		}
		if err := s.clearGrave(ctx, g.user, g.folder); err != nil {
			return err
		}
	}
}

func (s *Store) clearGrave(ctx context.Context, user, folder uint32) error {
	for {
		b := s.db.NewBatch()
		n := 0
		const all = 1<<32 - 1
		lower, upper := ledger.Infos(user, folder, 0, all)
		err := s.db.Scan(lower, upper, func(key, value []byte) (bool, error) {
			p := ledger.PlaceOf(key)
			info, err := ledger.DecodeInfo(value)
			if err != nil {
				return false, err
			}
			blob.Unref(b, info.Blob, info.BlobSize, p)
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

// forgetDeliveries forgets those of old messages.
func (s *Store) forgetDeliveries(ctx context.Context) error {
	lower, upper := ledger.Deliveries(spool.NewID(time.Now().Add(-deliveredFor), [10]byte{}))
	some := false
	err := s.db.Scan(lower, upper, func(_, _ []byte) (bool, error) {
		some = true
		return false, nil
	})
	if err != nil || !some {
		return err
	}
	b := s.db.NewBatch()
	b.DeleteRange(lower, upper)
	return s.db.Do(ctx, &ledger.Change{Batch: b, NoSync: true})
}

const day = 24 * time.Hour
