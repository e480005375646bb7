package store

import (
	"context"
	"slices"
	"time"

	"tenma/relay/mailbox/store/ledger"
	"tenma/relay/mailbox/store/ledger/blob"
	"tenma/relay/mailbox/store/list"
)

// uids gives the UIDs of messages with these numbers, rising, each once.
func (v *View) uids(seqs []int) []uint32 {
	all := make([]uint32, 0, len(seqs))
	for _, seq := range seqs {
		if uid := v.UID(seq); uid != 0 {
			all = append(all, uid)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// writable is why the view's folder cannot be changed, if so. box.mu is held.
func (v *View) writable() error {
	switch {
	case v.readOnly:
		return ErrReadOnly
	case v.b.removed:
		return ErrNoAccount
	case v.f.dead:
		return ErrNoFolder
	}
	return nil
}

// Store changes flags of the messages with these numbers. With a
// mod-sequence other than 0, those that have changed since are left as they
// are and given in failed (RFC 7162 section 3.1.3). The caller tells the
// client; Update will not tell the same again. Errors: ErrReadOnly,
// ErrKeywords.
func (v *View) Store(ctx context.Context, seqs []int, op Op, flags []string, unchangedSince uint64) (failed []int, err error) {
	b, f := v.b, v.f
	if err := b.s.db.Err(); err != nil {
		return nil, err
	}
	uids := v.uids(seqs)
	b.mu.Lock()
	if err := v.writable(); err != nil {
		b.mu.Unlock()
		return nil, err
	}
	c := b.begin()
	c.origin = v
	if op != DelFlags {
		if err := c.learn(f, flags); err != nil {
			b.mu.Unlock()
			return nil, err
		}
	}
	bits := f.bits(flags)
	changed, before := make([]list.Entry, 0, len(uids)), make([]uint64, 0, len(uids))
	var same []list.Entry
	modSeq := f.rec.ModSeq + 1
	for _, uid := range uids {
		_, e, ok := f.cur.Find(uid)
		if !ok {
			continue
		}
		if unchangedSince != 0 && e.ModSeq > unchangedSince {
			seq, _ := v.Seq(uid)
			failed = append(failed, seq)
			continue
		}
		next := op.apply(Flags(e.Flags), bits)
		if next == Flags(e.Flags) {
			same = append(same, e)
			continue
		}
		f.count(e, -1)
		before = append(before, e.ModSeq)
		e.Flags, e.ModSeq = uint64(next), modSeq
		f.count(e, 1)
		changed = append(changed, e)
		c.batch.Set(ledger.ItemKey(f.place(uid)), ledger.Item{Flags: e.Flags, ModSeq: e.ModSeq, Size: e.Size}.Encode())
	}
	var w *ledger.Change
	if len(changed) > 0 {
		c.step(f)
		f.cur = f.cur.Set(changed)
	}
	if len(c.folder) > 0 || len(same) > 0 && f.pending > 0 {
		// What was so already may be the work of another session that is not
		// durable yet: then it is waited for, with nothing of our own.
		c.noUser = c.noUser || len(c.folder) == 0
		w = c.submit(nil)
	}
	b.mu.Unlock()
	if w != nil {
		if err := b.s.db.Wait(ctx, w); err != nil {
			return nil, err
		}
	}
	v.own(changed, before)
	v.own(same, nil)
	return failed, nil
}

func (op Op) apply(now, bits Flags) Flags {
	switch op {
	case AddFlags:
		return now | bits
	case DelFlags:
		return now &^ bits
	}
	return bits
}

// own puts what Store made of messages into the view. Where somebody else had
// changed one since the last Update (before tells the mod-sequence that our change
// met), Update still has to tell: the caller may have been asked to say nothing
// of its own change (.SILENT).
func (v *View) own(entries []list.Entry, before []uint64) {
	if len(entries) == 0 {
		return
	}
	for i, e := range entries {
		met := e.ModSeq
		if before != nil {
			met = before[i]
		}
		if _, old, _ := v.list.Find(e.UID); old.ModSeq != met {
			v.hidden = append(v.hidden, e.UID)
		}
	}
	v.list = v.list.Set(entries)
	v.b.mu.Lock()
	v.keywords = v.f.shown.Keywords
	v.b.mu.Unlock()
}

// Expunge removes messages marked \Deleted: all, or those among seqs if it
// is not nil. They leave this view in Update, as with anyone's.
func (v *View) Expunge(ctx context.Context, seqs []int) error {
	var uids []uint32
	if seqs == nil {
		v.b.mu.Lock()
		now := v.f.cur
		v.b.mu.Unlock()
		v.list.Range(0, v.Len(), func(_ int, e list.Entry) bool {
			if _, e, ok := now.Find(e.UID); ok && Flags(e.Flags)&Deleted != 0 {
				uids = append(uids, e.UID)
			}
			return true
		})
	} else {
		uids = v.uids(seqs)
	}
	return v.remove(ctx, uids, Deleted)
}

// Remove removes messages whatever their flags, in one step (POP3's QUIT,
// retention).
func (v *View) Remove(ctx context.Context, seqs []int) error { return v.remove(ctx, v.uids(seqs), 0) }

// remove removes those that have all flags of must.
func (v *View) remove(ctx context.Context, uids []uint32, must Flags) error {
	b, f := v.b, v.f
	if err := b.s.db.Err(); err != nil {
		return err
	}
	infos, err := v.infos(uids)
	if err != nil {
		return err
	}
	b.mu.Lock()
	if err := v.writable(); err != nil {
		b.mu.Unlock()
		return err
	}
	c := b.begin()
	var gone []uint32
	for i := range infos {
		if _, e, ok := f.cur.Find(infos[i].UID); ok && Flags(e.Flags)&must == must {
			c.drop(f, e, &infos[i].Info)
			gone = append(gone, e.UID)
		}
	}
	if len(gone) == 0 {
		b.mu.Unlock()
		return nil
	}
	c.step(f)
	f.cur = f.cur.Remove(gone)
	w := c.submit(b.s.blobs.Poke)
	b.mu.Unlock()
	return b.s.db.Wait(ctx, w)
}

// drop takes a message out of a folder, but for the list.
func (c *change) drop(f *folder, e list.Entry, info *ledger.Info) {
	p := f.place(e.UID)
	f.count(e, -1)
	c.batch.Delete(ledger.ItemKey(p))
	c.batch.Delete(ledger.InfoKey(p))
	if f.rec.Marked {
		c.batch.Delete(ledger.RetrievedKey(p))
	}
	blob.Unref(c.batch, info.Blob, info.BlobSize, p)
}

// infos reads what is kept of messages, in order; those that are gone are left
// out.
func (v *View) infos(uids []uint32) ([]ledger.Known, error) {
	user, folder := v.folderID()
	return v.b.s.db.ReadInfos(user, folder, uids)
}

// MarkRetrieved notes that messages were fetched by POP3, for retention
// (RFC 2449 section 6.7). Only the first time counts.
func (v *View) MarkRetrieved(ctx context.Context, seqs []int) error {
	b, f := v.b, v.f
	if err := b.s.db.Err(); err != nil {
		return err
	}
	marked := map[uint32]bool{}
	if err := v.EachRetrieved(ctx, func(seq int, _ time.Time) bool {
		marked[v.UID(seq)] = true
		return true
	}); err != nil {
		return err
	}
	uids := slices.DeleteFunc(v.uids(seqs), func(uid uint32) bool { return marked[uid] })
	if len(uids) == 0 {
		return nil
	}
	b.mu.Lock()
	if err := v.writable(); err != nil {
		b.mu.Unlock()
		return err
	}
	c := b.begin()
	f.rec.Marked = true
	c.touch(f)
	c.origin = v
	now := ledger.Seconds(time.Now())
	for _, uid := range uids {
		if _, _, ok := f.cur.Find(uid); ok {
			c.batch.Set(ledger.RetrievedKey(f.place(uid)), now)
		}
	}
	w := c.submit(nil)
	b.mu.Unlock()
	return b.s.db.Wait(ctx, w)
}

// EachRetrieved calls fn for the messages that were fetched by POP3, with the
// time of the first, until it says false.
func (v *View) EachRetrieved(ctx context.Context, fn func(seq int, at time.Time) bool) error {
	user, folder := v.folderID()
	if v.Len() == 0 {
		return nil
	}
	lower, upper := ledger.Retrieved(user, folder, v.UID(1), v.UID(v.Len()))
	return v.b.s.db.Scan(lower, upper, func(key, value []byte) (bool, error) {
		seq, ok := v.Seq(ledger.PlaceOf(key).UID)
		return !ok || fn(seq, ledger.Time(value)), ctx.Err()
	})
}
