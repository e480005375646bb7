package store

import (
	"slices"

	"tenma/relay/mailbox/store/ledger"
	"tenma/relay/mailbox/store/list"
)

// change is one step of one mailbox while it is worked out, with box.mu held
// from begin to submit. It alters the newest state and collects what is to be
// written; submit adds the records of the folders that were touched, which
// carry all counters, so that these are never apart from what they count.
type change struct {
	b      *box
	batch  *ledger.Batch
	folder []*folder // touched
	origin *View     // knows already
	noUser bool      // the account's record is not to be written
	after  []func()  // when published, with box.mu held
}

func (b *box) begin() *change { return &change{b: b, batch: b.s.db.NewBatch()} }

// touch notes that a folder's record has changed.
func (c *change) touch(f *folder) {
	if !slices.Contains(c.folder, f) {
		c.folder = append(c.folder, f)
	}
}

// step is touch for what sessions must be able to notice: it gives the next
// mod-sequence (RFC 7162 section 3.1.1).
func (c *change) step(f *folder) uint64 {
	c.touch(f)
	f.rec.ModSeq++
	return f.rec.ModSeq
}

// picture is what a folder was when a change was submitted: what it will be
// seen to be when that is durable.
type picture struct {
	f      *folder
	rec    ledger.Folder
	list   list.List
	loaded bool
}

// seal writes the records and gives what is to be done when they are durable.
func (c *change) seal() (published func()) {
	b := c.b
	b.hold() // until it is published
	if !c.noUser {
		c.batch.Set(ledger.AccountKey(b.account), b.user.Encode())
	}
	pictures := make([]picture, 0, len(c.folder))
	for _, f := range c.folder {
		if !f.dead {
			c.batch.Set(ledger.FolderKey(b.user.ID, f.id), f.rec.Encode())
		}
		f.pending++
		pictures = append(pictures, picture{f, f.rec, f.cur, f.loaded})
	}
	return func() {
		b.mu.Lock()
		for _, p := range pictures {
			p.publish(c.origin)
		}
		for _, fn := range c.after {
			fn()
		}
		n := len(b.folders)
		b.mu.Unlock()
		b.release(n)
	}
}

// submit sends the change on its way. more is called when it is published,
// without locks.
func (c *change) submit(more func()) *ledger.Change {
	published := c.seal()
	w := &ledger.Change{Batch: c.batch, Published: func() {
		published()
		if more != nil {
			more()
		}
	}}
	c.b.s.db.Submit(w)
	return w
}

// publish makes a picture what sessions see. box.mu is held.
func (p *picture) publish(origin *View) {
	f := p.f
	f.pending--
	f.shown = p.rec
	switch {
	case p.loaded:
		f.pub, f.atLoad = p.list, list.List{}
	case f.loaded: // the list came meanwhile
		f.pub = f.atLoad.Until(p.rec.Next)
	case f.load == nil:
		f.tail = slices.DeleteFunc(f.tail, func(e list.Entry) bool { return e.UID < p.rec.Next })
	}
	if f.dead {
		f.gone = true
	}
	for v := range f.views {
		if v != origin {
			v.poke()
		}
	}
}
