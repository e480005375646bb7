package store

import (
	"context"
	"slices"
	"strings"

	"tenma/relay/mailbox/store/ledger"
	"tenma/relay/mailbox/store/list"
	"tenma/relay/mailbox/store/name"
)

func (f *folder) public() Folder {
	r := &f.shown
	return Folder{
		Name: f.rec.Name, Use: Use(f.rec.Use), Subscribed: f.rec.Subscribed, NoSelect: f.rec.NoSelect,
		UIDValidity: r.Validity, UIDNext: r.Next, ModSeq: r.ModSeq, Messages: r.Messages, Unseen: r.Unseen, Deleted: r.Deleted,
		Recent: min(f.rec.Recent, r.Messages), Octets: r.Octets, DeletedSize: r.DeletedSize,
	}
}

// Folders gives all folders, INBOX first, then by name.
func (m *Mailbox) Folders() []Folder {
	b := m.b
	b.mu.Lock()
	all := make([]Folder, 0, len(b.folders))
	for _, f := range b.folders {
		all = append(all, f.public())
	}
	b.mu.Unlock()
	order := func(f Folder) string {
		if f.Name == name.Inbox {
			return ""
		}
		return f.Name
	}
	slices.SortFunc(all, func(x, y Folder) int { return strings.Compare(order(x), order(y)) })
	return all
}

// Folder gives one. Its error is ErrNoFolder.
func (m *Mailbox) Folder(folder string) (Folder, error) {
	clean, _ := name.Clean(folder)
	m.b.mu.Lock()
	defer m.b.mu.Unlock()
	f := m.b.folders[clean]
	if f == nil {
		return Folder{}, ErrNoFolder
	}
	return f.public(), nil
}

// FolderFor gives the name of the folder with a use, if there is one.
func (m *Mailbox) FolderFor(use Use) (string, bool) {
	m.b.mu.Lock()
	defer m.b.mu.Unlock()
	best := ""
	for n, f := range m.b.folders {
		if f.rec.Use == string(use) && !f.rec.NoSelect && (best == "" || n < best) {
			best = n
		}
	}
	return best, best != ""
}

// edit works a change of the folders out and waits for it.
func (m *Mailbox) edit(ctx context.Context, fn func(c *change) error) error {
	b := m.b
	if err := b.s.db.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	if b.removed {
		b.mu.Unlock()
		return ErrNoAccount
	}
	c := b.begin()
	if err := fn(c); err != nil {
		b.mu.Unlock()
		return err
	}
	w := c.submit(b.s.blobs.Poke)
	b.mu.Unlock()
	return b.s.db.Wait(ctx, w)
}

// Create makes a folder and those above it. Errors: ErrExists, ErrName,
// ErrFolders.
func (m *Mailbox) Create(ctx context.Context, folder string, use Use) error {
	clean, ok := name.Clean(folder)
	if !ok {
		return ErrName
	}
	return m.edit(ctx, func(c *change) error {
		if f := c.b.folders[clean]; f != nil && !f.rec.NoSelect {
			return ErrExists
		}
		if err := c.room(clean); err != nil {
			return err
		}
		c.parents(clean)
		c.make(clean, use)
		return nil
	})
}

// room looks whether a folder and those above it may be made.
func (c *change) room(n string) error {
	more := 0
	for ; n != ""; n = name.Parent(n) {
		if c.b.folders[n] == nil {
			more++
		}
	}
	if len(c.b.folders)+more > c.b.s.bounds.Load().Folders {
		return ErrFolders
	}
	return nil
}

// parents makes what is missing above a name.
func (c *change) parents(n string) {
	for n = name.Parent(n); n != ""; n = name.Parent(n) {
		if c.b.folders[n] == nil {
			c.make(n, NoUse)
		}
	}
}

// make makes a folder, or makes a NoSelect one real.
func (c *change) make(n string, use Use) *folder {
	b := c.b
	f := b.folders[n]
	if f == nil {
		f = b.folder(b.user.NextFolder, ledger.Folder{Name: n})
		b.user.NextFolder++
		b.folders[n] = f
	}
	b.user.Validity = validity(b.user.Validity)
	f.rec = ledger.Folder{
		Name: n, Use: string(use), Subscribed: f.rec.Subscribed,
		Validity: b.user.Validity, Next: 1, FirstRecent: 1, ModSeq: 1,
	}
	f.shown = f.rec
	c.touch(f)
	return f
}

// bury removes a folder; its messages are cleared away later.
func (c *change) bury(f *folder) {
	b := c.b
	delete(b.folders, f.rec.Name)
	b.octets -= f.rec.Octets
	b.messages -= int64(f.rec.Messages)
	b.user.Lost = max(b.user.Lost, f.rec.Validity)
	f.dead = true
	c.touch(f)
	c.batch.Delete(ledger.FolderKey(b.user.ID, f.id))
	if f.rec.Next > 1 {
		c.batch.Set(ledger.GraveKey(b.user.ID, f.id), nil)
		c.after = append(c.after, b.s.blobs.Poke)
	}
}

// children reports whether there are folders below n.
func (b *box) children(n string) bool {
	for other := range b.folders {
		if name.Below(other, n) {
			return true
		}
	}
	return false
}

// ghostly reports that a folder is only a subscription to one that is gone.
func (b *box) ghostly(f *folder) bool { return f.rec.NoSelect && !b.children(f.rec.Name) }

// taken reports that there is more than such a subscription under a name.
func (b *box) taken(n string) bool {
	f := b.folders[n]
	return f != nil && !b.ghostly(f)
}

// tidy removes NoSelect levels above n that have lost their purpose.
func (c *change) tidy(n string) {
	for n = name.Parent(n); n != ""; n = name.Parent(n) {
		f := c.b.folders[n]
		if f == nil || !f.rec.NoSelect || f.rec.Subscribed || c.b.children(n) {
			return
		}
		c.bury(f)
	}
}

// Delete removes a folder with its messages; one with folders below it
// becomes NoSelect, and so does one that is subscribed to (RFC 9051 section
// 6.3.5 forbids to end the subscription). Errors: ErrNoFolder, ErrInbox.
func (m *Mailbox) Delete(ctx context.Context, folder string) error {
	clean, _ := name.Clean(folder)
	return m.edit(ctx, func(c *change) error {
		b := c.b
		f := b.folders[clean]
		switch {
		case f == nil || f.rec.NoSelect:
			return ErrNoFolder
		case clean == name.Inbox:
			return ErrInbox
		}
		c.bury(f)
		if f.rec.Subscribed || b.children(clean) {
			c.ghost(clean, f.rec.Subscribed)
		}
		c.tidy(clean)
		return nil
	})
}

// ghost makes a NoSelect folder.
func (c *change) ghost(n string, subscribed bool) {
	f := c.b.folder(c.b.user.NextFolder, ledger.Folder{Name: n, Subscribed: subscribed, NoSelect: true, Next: 1, FirstRecent: 1})
	c.b.user.NextFolder++
	c.b.folders[n] = f
	c.touch(f)
}

// Subscribe adds or removes a subscription. It is ErrNoFolder to subscribe to a
// folder that does not exist; to end what is none is no error.
func (m *Mailbox) Subscribe(ctx context.Context, folder string, on bool) error {
	clean, _ := name.Clean(folder)
	return m.edit(ctx, func(c *change) error {
		f := c.b.folders[clean]
		switch {
		case f == nil && on:
			return ErrNoFolder
		case f == nil:
			return nil
		}
		f.rec.Subscribed = on
		c.touch(f)
		if !on && f.rec.NoSelect && !c.b.children(clean) {
			c.bury(f)
			c.tidy(clean)
		}
		return nil
	})
}

// Rename moves a folder and those below it. INBOX's messages move and INBOX
// stays (RFC 9051 section 6.3.6). UIDs stay; UIDVALIDITY of a name that was in
// use before is larger than it was then. Errors: ErrNoFolder, ErrExists,
// ErrName, ErrFolders.
func (m *Mailbox) Rename(ctx context.Context, from, to string) error {
	from, _ = name.Clean(from)
	to, ok := name.Clean(to)
	if !ok || name.Below(to, from) && from != name.Inbox {
		return ErrName
	}
	if from == name.Inbox {
		return m.renameInbox(ctx, to)
	}
	return m.edit(ctx, func(c *change) error {
		b := c.b
		switch f := b.folders[from]; {
		case f == nil || b.ghostly(f):
			return ErrNoFolder
		case b.taken(to) || to == from:
			return ErrExists
		}
		if err := c.room(to); err != nil {
			return err
		}
		var move []*folder
		for n, f := range b.folders {
			if n == from || name.Below(n, from) {
				target, ok := name.Clean(to + n[len(from):])
				if !ok {
					return ErrName
				}
				if other := b.folders[target]; other != nil && target != to {
					return ErrExists
				}
				move = append(move, f)
			}
		}
		if f := b.folders[to]; f != nil {
			c.bury(f) // only a subscription
		}
		c.parents(to)
		for _, f := range move {
			delete(b.folders, f.rec.Name)
		}
		lost := b.user.Lost // as it was: folders of one move do not stand in each other's way
		for _, f := range move {
			was := f.rec.Name
			f.rec.Name = to + was[len(from):]
			b.folders[f.rec.Name] = f
			b.user.Lost = max(b.user.Lost, f.rec.Validity)
			if f.rec.Validity <= lost {
				c.renew(f)
			}
			c.touch(f)
		}
		c.tidy(from)
		return nil
	})
}

// renew gives a folder a new UIDVALIDITY. Sessions that have it open have to
// open it again.
func (c *change) renew(f *folder) {
	c.b.user.Validity = validity(c.b.user.Validity)
	f.rec.Validity = c.b.user.Validity
	c.after = append(c.after, func() {
		for v := range f.views {
			v.gone = true
		}
	})
}

// renameInbox gives INBOX's messages to a new folder. Nothing is copied: the
// new folder takes over the number under which they are kept, and INBOX gets
// another one. UIDVALIDITY and UIDNEXT of INBOX stay, those who have it open see
// the messages go.
func (m *Mailbox) renameInbox(ctx context.Context, to string) error {
	if to == name.Inbox {
		return ErrExists
	}
	v, err := m.Select(name.Inbox, true) // keeps the list in memory
	if err != nil {
		return err
	}
	defer v.Close()
	b := m.b
	var made *folder
	err = m.edit(ctx, func(c *change) error {
		inbox := b.folders[name.Inbox]
		if b.taken(to) {
			return ErrExists
		}
		if err := c.room(to); err != nil {
			return err
		}
		if f := b.folders[to]; f != nil {
			c.bury(f)
		}
		c.parents(to)
		f := c.make(to, NoUse)
		// f takes the number, the messages and their UIDs.
		inbox.id, f.id = f.id, inbox.id
		moved := inbox.rec
		moved.Name, moved.Use, moved.Subscribed, moved.Validity = to, "", f.rec.Subscribed, f.rec.Validity
		f.rec, f.loaded, f.cur = moved, true, inbox.cur
		f.shown = ledger.Folder{Name: to, Validity: moved.Validity, Next: moved.Next, ModSeq: moved.ModSeq, Keywords: moved.Keywords}
		r := &inbox.rec
		r.ModSeq++
		r.Messages, r.Unseen, r.Deleted, r.Recent, r.Octets, r.DeletedSize = 0, 0, 0, 0, 0, 0
		inbox.cur = list.List{}
		c.touch(inbox)
		made = f
		return nil
	})
	if err == nil {
		b.s.idleList(made)
	}
	return err
}
