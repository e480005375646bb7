package store

import (
	"context"
	"fmt"
	"sync"

	"tenma/relay/mailbox/store/ledger"
	"tenma/relay/mailbox/store/name"
)

// box is the state of one account's mailbox in memory. It is there while
// somebody has the mailbox open or a change is on its way, and a while longer.
//
// A change is worked out under mu against the newest state, submitted to the
// ledger before mu is given up, and awaited without it: so changes of a mailbox
// become durable in the order in which they were worked out, and any number of
// them share a sync. What sessions see is the state as last published, that
// is, on stable storage.
type box struct {
	s       *Store
	account string
	ready   chan struct{} // closed when loaded, or err is set
	err     error

	users int // guarded by Store.mu

	mu       sync.Mutex // never held over I/O or while waiting for the committer
	user     ledger.User
	folders  map[string]*folder
	octets   int64 // of all messages, with what is on its way
	messages int64
	arriving map[ledger.Delivery]bool
	pop3     bool
	removed  bool
}

// acquire gives the mailbox of an account, loaded, and holds it.
func (s *Store) acquire(account string) (*box, error) {
	account = fold(account)
	s.mu.Lock()
	b := s.boxes[account]
	mine := b == nil
	if mine {
		b = &box{s: s, account: account, ready: make(chan struct{}), folders: map[string]*folder{}, arriving: map[ledger.Delivery]bool{}}
		s.boxes[account] = b
	}
	b.holdLocked()
	s.mu.Unlock()
	if mine {
		if b.err = s.load(b); b.err != nil {
			s.mu.Lock()
			delete(s.boxes, account) // the next one tries again
			s.mu.Unlock()
		}
		close(b.ready)
	}
	<-b.ready
	if b.err != nil {
		return nil, fmt.Errorf("mailbox of %s: %w", account, b.err)
	}
	return b, nil
}

// Release gives up a hold of acquire's.
func (b *box) Release() {
	b.mu.Lock()
	n := len(b.folders)
	b.mu.Unlock()
	b.release(n)
}

// load reads a mailbox, or makes it.
func (s *Store) load(b *box) error {
	rec, err := s.db.Get(ledger.AccountKey(b.account))
	if err != nil {
		return err
	}
	if rec == nil {
		return s.create(b)
	}
	if b.user, err = ledger.DecodeUser(rec); err != nil {
		return err
	}
	lower, upper := ledger.Folders(b.user.ID)
	return s.db.Scan(lower, upper, func(key, value []byte) (bool, error) {
		rec, err := ledger.DecodeFolder(value)
		if err != nil {
			return false, err
		}
		f := b.folder(ledger.FolderOf(key), rec)
		b.folders[rec.Name] = f
		b.octets += rec.Octets
		b.messages += int64(rec.Messages)
		return true, nil
	})
}

// create makes a mailbox with the folders that every client looks for.
func (s *Store) create(b *box) error {
	s.metaMu.Lock()
	b.user = ledger.User{ID: s.meta.NextUser, Validity: s.meta.Validity}
	s.meta.NextUser++
	b.mu.Lock()
	c := b.begin()
	c.batch.Set(ledger.MetaKey(), s.meta.Encode())
	for _, f := range []struct {
		name string
		use  Use
	}{{name.Inbox, NoUse}, {"Drafts", Drafts}, {"Sent", Sent}, {"Trash", Trash}, {"Junk", Junk}, {"Archive", Archive}} {
		c.make(f.name, f.use).rec.Subscribed = true
	}
	w := c.submit(nil)
	b.mu.Unlock()
	s.metaMu.Unlock()
	return s.db.Wait(context.Background(), w)
}

// Mailbox is the mail of one account, open. It may be used from any goroutine.
// All who have one open share its state.
//
// What a method that returned nil has changed is on stable storage.
type Mailbox struct {
	b    *box
	once sync.Once
}

// Mailbox opens the mailbox of an account, which is made with INBOX, Drafts, Sent,
// Trash, Junk and Archive when it is first used. Close must be called.
func (s *Store) Mailbox(account string) (*Mailbox, error) {
	b, err := s.acquire(account)
	if err != nil {
		return nil, err
	}
	return &Mailbox{b: b}, nil
}

// Close gives the mailbox up. Its views must be closed before.
func (m *Mailbox) Close() { m.once.Do(m.b.Release) }

// Account is the name by which it is kept.
func (m *Mailbox) Account() string { return m.b.account }

// Usage is what the mailbox takes.
func (m *Mailbox) Usage() Usage {
	b := m.b
	limit := b.s.limit(b.account)
	b.mu.Lock()
	defer b.mu.Unlock()
	return Usage{Octets: b.octets, Messages: b.messages, Limit: limit}
}

// LockPOP3 is the exclusive lock of POP3 (RFC 1939 section 4): ErrInUse if
// another has it. IMAP is not hindered.
func (m *Mailbox) LockPOP3() (unlock func(), err error) {
	b := m.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pop3 {
		return nil, ErrInUse
	}
	b.pop3 = true
	var once sync.Once
	return func() {
		once.Do(func() {
			b.mu.Lock()
			b.pop3 = false
			b.mu.Unlock()
		})
	}, nil
}

// Remove deletes the mailbox of an account with all its mail. Sessions that have
// it open find their folders gone. An account of the same name begins anew.
func (s *Store) Remove(ctx context.Context, account string) error {
	rec, err := s.db.Get(ledger.AccountKey(fold(account)))
	if err != nil || rec == nil {
		return err
	}
	b, err := s.acquire(account)
	if err != nil {
		return err
	}
	defer b.Release()
	s.metaMu.Lock()
	b.mu.Lock()
	if b.removed {
		b.mu.Unlock()
		s.metaMu.Unlock()
		return nil
	}
	b.removed = true
	s.mu.Lock()
	delete(s.boxes, b.account)
	s.mu.Unlock()
	s.meta.Validity = max(s.meta.Validity, b.user.Validity)
	c := b.begin()
	c.batch.Set(ledger.MetaKey(), s.meta.Encode())
	for _, f := range b.folders {
		c.bury(f)
	}
	c.batch.DeleteRange(ledger.Notes(b.user.ID))
	c.batch.Delete(ledger.AccountKey(b.account))
	c.noUser = true
	w := c.submit(nil)
	b.mu.Unlock()
	s.metaMu.Unlock()
	return s.db.Wait(ctx, w)
}
