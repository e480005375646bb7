package store

import (
	"fmt"
	"math"

	"tenma/relay/mailbox/store/flag"
	"tenma/relay/mailbox/store/ledger"
	"tenma/relay/mailbox/store/list"
)

// folder is the state of one folder. box.mu guards it.
//
// Its list of messages is there while a view is open, or cached. Without it
// messages can still be added: delivery needs the counters only.
type folder struct {
	box   *box
	id    uint32
	rec   ledger.Folder // newest
	shown ledger.Folder // published
	dead  bool          // removed
	gone  bool          // removed, and published

	views   map[*View]bool
	pending int // changes submitted and not published

	loaded bool
	load   *loading     // somebody reads the list
	cur    list.List    // newest
	pub    list.List    // published
	atLoad list.List    // cur when it was loaded
	tail   []list.Entry // while not loaded: what may not be in the database yet
}

type loading struct {
	done chan struct{}
	err  error
}

func (b *box) folder(id uint32, rec ledger.Folder) *folder {
	return &folder{box: b, id: id, rec: rec, shown: rec, views: map[*View]bool{}}
}

func (f *folder) place(uid uint32) ledger.Place {
	return ledger.Place{User: f.box.user.ID, Folder: f.id, UID: uid}
}

// want loads the list if it is not there. box.mu is held, given up meanwhile, and
// held again. The folder must have a view, or the list may be dropped again.
func (f *folder) want() error {
	b := f.box
	for !f.loaded {
		if l := f.load; l != nil {
			b.mu.Unlock()
			<-l.done
			b.mu.Lock()
			if l.err != nil {
				return l.err
			}
			continue
		}
		l := &loading{done: make(chan struct{})}
		f.load = l
		// All with UIDs below are in the database, and nobody can remove or change
		// one without the list. What is added from now on stays in tail.
		next := f.shown.Next
		user, id, n := b.user.ID, f.id, int(f.shown.Messages)
		b.mu.Unlock()
		all, err := b.s.readList(user, id, next, n)
		b.mu.Lock()
		f.load = nil
		l.err = err
		close(l.done)
		if err != nil {
			return err
		}
		f.cur = list.Of(all)
		for len(f.tail) > 0 && f.tail[0].UID < next {
			f.tail = f.tail[1:] // was published before we began
		}
		f.cur = f.cur.Append(f.tail...)
		f.atLoad, f.tail, f.loaded = f.cur, nil, true
		f.pub = f.cur.Until(f.shown.Next)
	}
	return nil
}

// readList reads the list of a folder up to before UID next.
func (s *Store) readList(user, folder, next uint32, messages int) ([]list.Entry, error) {
	all := make([]list.Entry, 0, messages)
	err := s.db.EachItem(user, folder, next, func(uid uint32, i ledger.Item) {
		all = append(all, list.Entry{UID: uid, Size: i.Size, Flags: i.Flags, ModSeq: i.ModSeq})
	})
	return all, err
}

// count adds n times a message with these flags to the counters; n is 1 or -1.
func (f *folder) count(e list.Entry, n int) {
	r := &f.rec
	size := int64(n) * int64(e.Size)
	bump(&r.Messages, n)
	r.Octets += size
	if Flags(e.Flags)&Seen == 0 {
		bump(&r.Unseen, n)
	}
	if Flags(e.Flags)&Deleted != 0 {
		bump(&r.Deleted, n)
		r.DeletedSize += size
	}
	if e.UID >= r.FirstRecent {
		bump(&r.Recent, n)
	}
	f.box.octets += size
	f.box.messages += int64(n)
}

func bump(v *uint32, n int) { *v = uint32(int(*v) + n) }

// add puts a message into a folder. The caller has looked at the quota.
func (c *change) add(f *folder, modSeq uint64, flags Flags, info *ledger.Info) list.Entry {
	e := list.Entry{UID: f.rec.Next, Size: uint32(int64(len(info.Prefix)) + info.BlobSize), Flags: uint64(flags), ModSeq: modSeq}
	f.rec.Next++
	f.count(e, 1)
	p := f.place(e.UID)
	c.batch.Set(ledger.ItemKey(p), ledger.Item{Flags: e.Flags, ModSeq: e.ModSeq, Size: e.Size}.Encode())
	c.batch.Set(ledger.InfoKey(p), info.Encode())
	c.batch.Set(ledger.RefKey(info.Blob, p), nil)
	return e
}

// added ends a series of add: the list learns of it.
func (f *folder) added(all []list.Entry) {
	if f.loaded {
		f.cur = f.cur.Append(all...)
	} else {
		f.tail = append(f.tail, all...)
	}
}

// errUIDs is a folder that has used all UIDs. At a thousand messages a second
// that takes seven weeks; copying into a new folder helps.
var errUIDs = fmt.Errorf("%w: the folder has used up its UIDs", ErrFolders)

// takes reports whether n messages can be added.
func (f *folder) takes(n int) error {
	switch {
	case f.box.removed:
		return ErrNoAccount
	case f.dead || f.rec.NoSelect:
		return ErrNoFolder
	case int64(f.rec.Next)+int64(n) >= math.MaxUint32:
		return errUIDs
	}
	return nil
}

// learn adds the keywords among these names to the folder's table. Errors:
// ErrKeywords.
func (c *change) learn(f *folder, names []string) error {
	table, ok := flag.Table(f.rec.Keywords).With(names)
	if !ok {
		return fmt.Errorf("%w: %.100q", ErrKeywords, names)
	}
	if len(table) > len(f.rec.Keywords) {
		f.rec.Keywords = table
		c.touch(f)
	}
	return nil
}

// bits gives the flags of these names; keywords that the folder does not have are
// left out.
func (f *folder) bits(names []string) Flags { return flag.Table(f.rec.Keywords).Bits(names) }
