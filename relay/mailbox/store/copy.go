package store

import (
	"context"
	"slices"
	"time"

	"tenma/relay/mailbox/store/flag"
	"tenma/relay/mailbox/store/ledger"
	"tenma/relay/mailbox/store/list"
	"tenma/relay/mailbox/store/name"
)

// Copy and Move bring messages into another folder, with flags and dates,
// all or none. Those that are gone are left out. Errors: ErrNoFolder,
// ErrQuota (Copy), ErrReadOnly (Move), ErrKeywords.
func (v *View) Copy(ctx context.Context, seqs []int, folder string) (Copied, error) {
	return v.copy(ctx, seqs, folder, false)
}

// Move: see Copy.
func (v *View) Move(ctx context.Context, seqs []int, folder string) (Copied, error) {
	return v.copy(ctx, seqs, folder, true)
}

func (v *View) copy(ctx context.Context, seqs []int, folder string, move bool) (Copied, error) {
	b := v.b
	s := b.s
	if err := s.db.Err(); err != nil {
		return Copied{}, err
	}
	if !move {
		if err := s.o.MinFree(); err != nil {
			return Copied{}, err
		}
	}
	limit := s.limit(b.account)
	infos, err := v.infos(v.uids(seqs))
	if err != nil {
		return Copied{}, err
	}
	b.mu.Lock()
	to, all, err := v.prepare(folder, move, infos, limit)
	if err != nil || len(all) == 0 {
		b.mu.Unlock()
		if err != nil {
			return Copied{}, err
		}
		return Copied{UIDValidity: to.rec.Validity}, nil
	}
	c := b.begin()
	copied, err := v.transfer(c, to, all, move)
	if err != nil {
		b.mu.Unlock()
		return Copied{}, err
	}
	w := c.submit(nil)
	b.mu.Unlock()
	if err := s.db.Wait(ctx, w); err != nil {
		return Copied{}, err
	}
	return copied, nil
}

// passenger is a message that is to be copied.
type passenger struct {
	list.Entry
	info *ledger.Info
}

// prepare looks whether messages can go into a folder, and which of them are
// still there. box.mu is held.
func (v *View) prepare(target string, move bool, infos []ledger.Known, limit int64) (to *folder, all []passenger, err error) {
	b := v.b
	clean, _ := name.Clean(target)
	to = b.folders[clean]
	switch {
	case to == nil:
		return nil, nil, ErrNoFolder
	case move:
		err = v.writable()
	case v.f.dead:
		err = ErrNoFolder
	}
	if err == nil {
		err = to.takes(len(infos))
	}
	if err != nil {
		return nil, nil, err
	}
	var size int64
	for i := range infos {
		if _, e, ok := v.f.cur.Find(infos[i].UID); ok {
			all = append(all, passenger{e, &infos[i].Info})
			size += int64(e.Size)
		}
	}
	if !move && limit > 0 && b.octets+size > limit {
		return nil, nil, ErrQuota
	}
	return to, all, nil
}

// transfer adds the messages and, for a move, removes them where they were.
func (v *View) transfer(c *change, to *folder, all []passenger, move bool) (Copied, error) {
	f := v.f
	var used Flags
	for _, p := range all {
		used |= Flags(p.Flags)
	}
	table := flag.Table(f.rec.Keywords) // bits of keywords differ from folder to folder
	if err := c.learn(to, table.Used(used)); err != nil {
		return Copied{}, err
	}
	copied := Copied{UIDValidity: to.rec.Validity}
	modSeq := c.step(to)
	now := time.Now().Unix()
	added := make([]list.Entry, 0, len(all))
	for _, p := range all {
		info := *p.info
		info.Saved = now
		e := c.add(to, modSeq, table.Translate(Flags(p.Flags), to.rec.Keywords), &info)
		added = append(added, e)
		copied.From, copied.To = append(copied.From, p.UID), append(copied.To, e.UID)
	}
	to.added(added)
	if move {
		for _, p := range all {
			c.drop(f, p.Entry, p.info)
		}
		if f != to {
			c.step(f)
		}
		f.cur = f.cur.Remove(slices.Clone(copied.From))
	}
	return copied, nil
}
