package mailbox

import (
	"cmp"
	"context"
	"errors"
	"time"

	"tenma/relay/mail"
	"tenma/relay/mailbox/post/rules"
	"tenma/relay/wire/smtp"
)

// The janitor looks through all mailboxes every janitorEvery: retention is told
// in days, so a quarter of one is near enough. It begins when the start of the
// relay, with all it has to read, is over.
const (
	janitorFirst = 5 * time.Minute
	janitorEvery = 6 * time.Hour
	// janitorStep is how many messages go in one change, so that deliveries into
	// the same mailbox never wait long behind it.
	janitorStep = 500
	// janitorRest is between two mailboxes in which there was something to do.
	janitorRest = 100 * time.Millisecond
)

// janitor removes what was kept long enough: messages in Trash and Junk, those in
// INBOX that POP3 has fetched, memories of who was answered.
func (s *Store) janitor(ctx context.Context) {
	for wait := janitorFirst; pause(ctx, wait); wait = janitorEvery {
		err := s.Accounts(func(account string) bool {
			did, err := s.tidy(ctx, account, time.Now())
			if err != nil && ctx.Err() == nil && !errors.Is(err, ErrNoAccount) {
				s.log.Error("old mail could not be removed; it is tried again", "account", account, "error", err)
			}
			return !did && ctx.Err() == nil || pause(ctx, janitorRest)
		})
		if err != nil && ctx.Err() == nil {
			s.log.Error("old mail could not be removed; it is tried again", "error", err)
		}
	}
}

// pause waits, or is false when ctx is cancelled.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// tidy looks through one mailbox, and reports whether it found anything to do.
func (s *Store) tidy(ctx context.Context, account string, now time.Time) (did bool, err error) {
	var set mail.Settings
	if a, err := smtp.ParseMailbox(account); err == nil && s.deps.Resolver != nil {
		var known bool
		if set, known = s.deps.Resolver.Settings(a); !known {
			return false, nil // whose account was removed may get it back
		}
	}
	cfg := s.cfg.Load()
	m, err := s.Open(account)
	if err != nil {
		return false, err
	}
	defer m.Close()
	var errs []error
	for _, r := range []struct {
		use  Use
		days int
	}{{Trash, cmp.Or(set.TrashDays, cfg.TrashDays)}, {Junk, cmp.Or(set.JunkDays, cfg.JunkDays)}} {
		if name, ok := m.FolderFor(r.use); ok && r.days > 0 {
			n, err := expire(ctx, m, name, olderThan(now.AddDate(0, 0, -r.days)))
			did, errs = did || n > 0, append(errs, err)
		}
	}
	if days := cmp.Or(set.POP3Days, cfg.POP3Days); days > 0 {
		n, err := expire(ctx, m, "INBOX", retrievedBefore(now.AddDate(0, 0, -days)))
		did, errs = did || n > 0, append(errs, err)
	}
	errs = append(errs, s.ForgetNotes(ctx, account, now.AddDate(0, 0, -rules.VacationDays)))
	return did, errors.Join(errs...)
}

// finder gives the numbers of messages that are to go, at most janitorStep.
type finder func(ctx context.Context, v *View) ([]int, error)

// olderThan finds what came into the folder before a time. Messages lie in the
// order in which they came.
func olderThan(limit time.Time) finder {
	return func(ctx context.Context, v *View) (seqs []int, err error) {
		err = v.Each(ctx, 1, v.Len(), func(seq int, m *Message) bool {
			if !m.Saved.Before(limit) || len(seqs) == janitorStep {
				return false
			}
			seqs = append(seqs, seq)
			return true
		})
		return seqs, err
	}
}

// retrievedBefore finds what POP3 first fetched before a time.
func retrievedBefore(limit time.Time) finder {
	return func(ctx context.Context, v *View) (seqs []int, err error) {
		err = v.EachRetrieved(ctx, func(seq int, at time.Time) bool {
			if at.Before(limit) {
				seqs = append(seqs, seq)
			}
			return len(seqs) < janitorStep
		})
		return seqs, err
	}
}

// expire removes what find finds, step by step. It looks before it touches: a
// view that may write takes \Recent from the sessions of people.
func expire(ctx context.Context, m *Mailbox, folder string, find finder) (n int, err error) {
	look := true
	for {
		if f, err := m.Folder(folder); err != nil || f.Messages == 0 {
			return n, nil // also when somebody has just removed it
		}
		v, err := m.Select(folder, look)
		if err != nil {
			return n, err
		}
		seqs, err := find(ctx, v)
		if err == nil && !look && len(seqs) > 0 {
			err = v.Remove(ctx, seqs)
			n += len(seqs)
		}
		v.Close()
		if err != nil || len(seqs) == 0 || !look && len(seqs) < janitorStep {
			return n, err
		}
		look = false
	}
}
