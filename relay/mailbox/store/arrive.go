package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"tenma/relay/mailbox/store/digest"
	"tenma/relay/mailbox/store/ledger"
	"tenma/relay/mailbox/store/ledger/blob"
	"tenma/relay/mailbox/store/list"
	"tenma/relay/mailbox/store/name"
	"tenma/spool"
)

// maxMessage is the largest message that can be kept, whatever is configured:
// lists hold sizes in 32 bits.
const maxMessage = math.MaxUint32 - 64<<10

// Append adds a message to a folder. Errors: ErrNoFolder, ErrQuota,
// ErrTooLarge, ErrKeywords, and what reading the body gave. The body may
// block; nothing is locked meanwhile.
func (m *Mailbox) Append(ctx context.Context, folder string, msg NewMessage) (uidValidity, uid uint32, err error) {
	b := m.b
	s := b.s
	clean, _ := name.Clean(folder)
	switch {
	case msg.Size < 0 || msg.Size > s.bounds.Load().MessageSize || msg.Size > maxMessage:
		return 0, 0, ErrTooLarge
	case s.db.Err() != nil:
		return 0, 0, s.db.Err()
	}
	if err := s.o.MinFree(); err != nil {
		return 0, 0, err
	}
	limit := s.limit(b.account)
	b.mu.Lock()
	_, err = b.canAppend(clean, msg.Size, limit) // now, before the body is read
	b.mu.Unlock()
	if err != nil {
		return 0, 0, err
	}
	body, err := s.blobs.Receive(ctx, msg.Size, func(w io.Writer) error {
		_, err := io.Copy(w, msg.Body)
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	now := time.Now()
	if msg.Date.IsZero() {
		msg.Date = now
	}
	d := digest.Make(body.Head, body.Structure())
	info := &ledger.Info{Blob: body.ID, BlobSize: body.Size, Date: msg.Date.Unix(), Saved: now.Unix(), Digest: d.Encode()}
	b.mu.Lock()
	f, err := b.canAppend(clean, body.Size, limit)
	c := b.begin()
	if err == nil {
		err = c.learn(f, msg.Flags)
	}
	if err != nil {
		b.mu.Unlock()
		body.Close()
		return 0, 0, err
	}
	body.Write(c.batch)
	e := c.add(f, c.step(f), f.bits(msg.Flags), info)
	f.added([]list.Entry{e})
	uidValidity = f.rec.Validity
	w := c.submit(body.Close)
	b.mu.Unlock()
	if err := s.db.Wait(ctx, w); err != nil {
		return 0, 0, err
	}
	return uidValidity, e.UID, nil
}

// canAppend gives the folder into which so many octets may go. mu is held.
func (b *box) canAppend(folder string, size, limit int64) (*folder, error) {
	f := b.folders[folder]
	if f == nil {
		return nil, ErrNoFolder
	}
	if err := f.takes(1); err != nil {
		return nil, err
	}
	if limit > 0 && b.octets+size > limit {
		return nil, ErrQuota
	}
	return f, nil
}

// Destination is one of those to whom a message is to be delivered.
type Destination struct {
	Account   string
	Folder    string   // "", or one that is gone: INBOX
	Flags     []string // system flags and keywords
	Prefix    []byte   // own header fields of this copy: Return-Path, Delivered-To
	Recipient uint32   // index in the envelope; together with Account it names the delivery
	Force     bool     // beyond the quota

	box   *box
	limit int64
}

// errArriving is a delivery of which an earlier try may still succeed.
var errArriving = errors.New("mailbox: an earlier delivery of the message is still on its way")

// DeliverTo brings one message into many mailboxes, in one step: after a crash
// all of them have it, or none. A delivery that was made within 30 days (id,
// recipient and account are the same) is not made again and counts as made.
// source writes size octets; they are kept once. The result has an error, or nil,
// for each destination: ErrQuota and ErrNoAccount are its own, any other is
// everybody's.
func (s *Store) DeliverTo(ctx context.Context, id spool.ID, to []*Destination, size int64, source func(io.Writer) error) []error {
	errs := make([]error, len(to))
	fail := func(err error) []error {
		for i := range errs {
			if errs[i] == nil && to[i].box != nil {
				errs[i] = err
			}
		}
		return errs
	}
	defer func() {
		for _, d := range to {
			if d.box != nil {
				d.box.Release()
			}
		}
	}()
	err := s.db.Err()
	if err == nil {
		err = s.o.MinFree()
	}
	if err == nil && size > maxMessage-64<<10 {
		err = ErrTooLarge
	}
	for i, d := range to {
		if errs[i] = err; err == nil {
			d.limit = s.limit(d.Account)
			d.box, errs[i] = s.acquire(d.Account)
		}
	}
	left := s.claim(id, to, errs, size)
	if len(left) == 0 {
		return errs
	}
	body, err := s.blobs.Receive(ctx, size, source)
	if err != nil {
		release(id, left)
		return fail(err)
	}
	if w := s.place(id, left, errs, to, body); w != nil {
		if err := s.db.Wait(ctx, w); err != nil {
			for _, d := range left {
				if i := slices.Index(to, d); errs[i] == nil {
					errs[i] = err
				}
			}
		}
	}
	return errs
}

// claim gives the destinations that want the message, and keeps others from
// delivering it to them meanwhile.
func (s *Store) claim(id spool.ID, to []*Destination, errs []error, size int64) (left []*Destination) {
	for i, d := range to {
		if errs[i] != nil {
			continue
		}
		b, key := d.box, ledger.Delivery{ID: id, Recipient: d.Recipient}
		b.mu.Lock()
		errs[i] = d.fits(size)
		if errs[i] == nil && b.arriving[key] {
			errs[i] = errArriving
		}
		user := b.user.ID
		if errs[i] == nil {
			b.arriving[key] = true
		}
		b.mu.Unlock()
		if errs[i] != nil {
			// A repeat of what was delivered is no failure, full or not.
			if rec, err := s.db.Get(ledger.DeliveryKey(key, user)); err == nil && rec != nil {
				errs[i] = nil
			}
			continue
		}
		rec, err := s.db.Get(ledger.DeliveryKey(key, user))
		if err != nil || rec != nil {
			errs[i] = err
			release(id, []*Destination{d})
			continue
		}
		left = append(left, d)
	}
	return left
}

func release(id spool.ID, of []*Destination) {
	for _, d := range of {
		d.box.mu.Lock()
		delete(d.box.arriving, ledger.Delivery{ID: id, Recipient: d.Recipient})
		d.box.mu.Unlock()
	}
}

// fits is nil if a message of that size may come in. box.mu is held.
func (d *Destination) fits(size int64) error {
	b := d.box
	switch {
	case b.removed:
		return ErrNoAccount
	case !d.Force && d.limit > 0 && b.octets+size+int64(len(d.Prefix)) > d.limit:
		return ErrQuota
	}
	return d.target().takes(1)
}

// target is the folder into which it goes.
func (d *Destination) target() *folder {
	clean, _ := name.Clean(d.Folder)
	if f := d.box.folders[clean]; f != nil && !f.rec.NoSelect {
		return f
	}
	return d.box.folders[name.Inbox]
}

// place works out the one change that brings the message to all. It is nil if
// nobody can take it.
func (s *Store) place(id spool.ID, left []*Destination, errs []error, to []*Destination, body *blob.Body) *ledger.Change {
	now := time.Now().Unix()
	dig := digest.Make(body.Head, body.Structure())
	encoded := dig.Encode()
	batch := s.db.NewBatch()
	changes := map[*box]*change{}
	boxes := lockAll(left)
	taken := false
	for _, d := range left {
		b := d.box
		if err := d.fits(body.Size); err != nil {
			errs[slices.Index(to, d)] = err
			continue
		}
		c := changes[b]
		if c == nil {
			c = &change{b: b, batch: batch}
			changes[b] = c
		}
		f := d.target()
		_ = c.learn(f, d.Flags) // that a keyword has no room is no reason to lose a message
		e := c.add(f, c.step(f), f.bits(d.Flags), &ledger.Info{
			Blob: body.ID, BlobSize: body.Size, Date: now, Saved: now, Prefix: d.Prefix, Digest: encoded,
		})
		f.added([]list.Entry{e})
		batch.Set(ledger.DeliveryKey(ledger.Delivery{ID: id, Recipient: d.Recipient}, b.user.ID), ledger.Seconds(time.Unix(now, 0)))
		taken = true
	}
	var published []func()
	for _, b := range boxes {
		if c := changes[b]; c != nil {
			published = append(published, c.seal())
		}
	}
	var w *ledger.Change
	if taken {
		body.Write(batch)
		claimed := slices.Clone(left)
		w = &ledger.Change{Batch: batch, Published: func() {
			for _, fn := range published {
				fn()
			}
			release(id, claimed)
			body.Close()
		}}
		s.db.Submit(w)
	}
	for _, b := range boxes {
		b.mu.Unlock()
	}
	if w == nil {
		release(id, left)
		body.Close()
	}
	return w
}

// lockAll locks the mailboxes of some destinations, each once, in the order of
// their names, so that two deliveries never wait for one another.
func lockAll(of []*Destination) []*box {
	var boxes []*box
	for _, d := range of {
		boxes = append(boxes, d.box)
	}
	slices.SortFunc(boxes, func(x, y *box) int { return strings.Compare(x.account, y.account) })
	boxes = slices.Compact(boxes)
	for _, b := range boxes {
		b.mu.Lock()
	}
	return boxes
}

// Write is DeliverTo for one message of our own making, into a folder or, if it
// does not exist, INBOX; with force also beyond the quota.
func (s *Store) Write(ctx context.Context, account, folder string, text []byte, force bool) error {
	var id spool.ID
	s.o.Random(id[:])
	errs := s.DeliverTo(ctx, id, []*Destination{{Account: account, Folder: folder, Force: force}}, int64(len(text)), func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(text))
		return err
	})
	if errs[0] != nil {
		return fmt.Errorf("message of our own for %s: %w", account, errs[0])
	}
	return nil
}
