package store

import (
	"context"
	"encoding/binary"
	"slices"
	"time"

	"tenma/relay/mailbox/store/ledger"
)

// Notes are what the rules of delivery remember of an account: points in time,
// to the second, each under a short key.

// Note gives the time that SetNote kept, the zero time if there is none.
func (s *Store) Note(account, key string) (time.Time, error) {
	b, err := s.acquire(account)
	if err != nil {
		return time.Time{}, err
	}
	defer b.Release()
	rec, err := s.db.Get(ledger.NoteKey(b.user.ID, key))
	if err != nil || rec == nil {
		return time.Time{}, err
	}
	return noteTime(rec), nil
}

func noteTime(rec []byte) time.Time {
	if len(rec) != 8 {
		return time.Time{}
	}
	return time.Unix(int64(binary.BigEndian.Uint64(rec)), 0)
}

// SetNote keeps a time under a key.
func (s *Store) SetNote(ctx context.Context, account, key string, at time.Time) error {
	return s.changeUser(ctx, account, func(c *change) {
		c.batch.Set(ledger.NoteKey(c.b.user.ID, key), binary.BigEndian.AppendUint64(nil, uint64(at.Unix())))
	})
}

// notesStep is how many notes are forgotten in one change.
const notesStep = 500

// ForgetNotes forgets the notes of an account that are older than before.
func (s *Store) ForgetNotes(ctx context.Context, account string, before time.Time) error {
	b, err := s.acquire(account)
	if err != nil {
		return err
	}
	defer b.Release()
	for {
		var old [][]byte
		lower, upper := ledger.Notes(b.user.ID)
		err := s.db.Scan(lower, upper, func(key, rec []byte) (bool, error) {
			if noteTime(rec).Before(before) {
				old = append(old, slices.Clone(key))
			}
			return len(old) < notesStep, nil
		})
		if err == nil && len(old) > 0 {
			err = s.changeUser(ctx, account, func(c *change) {
				for _, key := range old {
					c.batch.Delete(key)
				}
			})
		}
		if err != nil || len(old) < notesStep {
			return err
		}
	}
}

// Level tells how many octets a mailbox takes, and the last SetLevel, 0 at first.
func (s *Store) Level(account string) (used int64, level int, err error) {
	b, err := s.acquire(account)
	if err != nil {
		return 0, 0, err
	}
	defer b.Release()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.octets, int(b.user.Warned), nil
}

// SetLevel keeps a number of percent of the quota of which the owner was told.
func (s *Store) SetLevel(ctx context.Context, account string, level int) error {
	return s.changeUser(ctx, account, func(c *change) { c.b.user.Warned = uint32(level) })
}

// changeUser makes a change of an account's own record or notes.
func (s *Store) changeUser(ctx context.Context, account string, fn func(c *change)) error {
	b, err := s.acquire(account)
	if err != nil {
		return err
	}
	defer b.Release()
	b.mu.Lock()
	if b.removed {
		b.mu.Unlock()
		return ErrNoAccount
	}
	c := b.begin()
	fn(c)
	w := c.submit(nil)
	b.mu.Unlock()
	return s.db.Wait(ctx, w)
}
