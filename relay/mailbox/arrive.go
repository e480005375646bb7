package mailbox

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

	"tenma/relay/mailbox/digest"
	"tenma/relay/mailbox/ledger"
	"tenma/relay/mailbox/ledger/blob"
	"tenma/relay/mailbox/list"
	"tenma/relay/mailbox/name"
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
	case msg.Size < 0 || msg.Size > s.cfg.Load().MessageSize || msg.Size > maxMessage:
		return 0, 0, ErrTooLarge
	case s.db.Err() != nil:
		return 0, 0, s.db.Err()
	}
	if err := s.deps.MinFree(); err != nil {
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
	d := digest.Make(body.Head)
	info := &ledger.Info{Blob: body.ID, BlobSize: body.Size, Date: msg.Date.Unix(), Saved: now.Unix(), Digest: d.Encode()}
	b.mu.Lock()
	f, err := b.canAppend(clean, msg.Size, limit)
	var flags Flags
	c := b.begin()
	if err == nil {
		flags, err = f.bits(msg.Flags, func() { c.touch(f) })
	}
	if err != nil {
		b.mu.Unlock()
		body.Close()
		return 0, 0, err
	}
	body.Write(c.batch)
	e := c.add(f, c.step(f), flags, info)
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

// destination is one of those to whom a message is to be delivered.
type destination struct {
	account   string
	folder    string // "", or one that is gone: INBOX
	flags     []string
	prefix    []byte // own header fields of this copy: Return-Path, Delivered-To
	recipient uint32 // index in the envelope; together with account it names the delivery
	force     bool   // beyond the quota

	box   *box
	limit int64
}

// errArriving is a delivery of which an earlier try may still succeed.
var errArriving = errors.New("mailbox: an earlier delivery of the message is still on its way")

// deliverTo brings one message into many mailboxes, in one step: after a crash
// all of them have it, or none. A delivery that was made before (id,
// recipient and account are the same, within deliveredFor of the message's
// acceptance) is not made again and counts as made. source writes size octets; they
// are kept once. The result has an error, or nil, for each destination: ErrQuota and
// ErrNoAccount are its own, any other is everybody's.
func (s *Store) deliverTo(ctx context.Context, id spool.ID, to []*destination, size int64, source func(io.Writer) error) []error {
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
		err = s.deps.MinFree()
	}
	if err == nil && size > maxMessage-64<<10 {
		err = ErrTooLarge
	}
	for i, d := range to {
		if errs[i] = err; err == nil {
			d.limit = s.limit(d.account)
			d.box, errs[i] = s.acquire(d.account)
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
func (s *Store) claim(id spool.ID, to []*destination, errs []error, size int64) (left []*destination) {
	for i, d := range to {
		if errs[i] != nil {
			continue
		}
		b, key := d.box, ledger.Delivery{ID: id, Recipient: d.recipient}
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
			release(id, []*destination{d})
			continue
		}
		left = append(left, d)
	}
	return left
}

func release(id spool.ID, of []*destination) {
	for _, d := range of {
		d.box.mu.Lock()
		delete(d.box.arriving, ledger.Delivery{ID: id, Recipient: d.recipient})
		d.box.mu.Unlock()
	}
}

// fits is nil if a message of that size may come in. box.mu is held.
func (d *destination) fits(size int64) error {
	b := d.box
	switch {
	case b.removed:
		return ErrNoAccount
	case !d.force && d.limit > 0 && b.octets+size+int64(len(d.prefix)) > d.limit:
		return ErrQuota
	}
	return d.target().takes(1)
}

// target is the folder into which it goes.
func (d *destination) target() *folder {
	clean, _ := name.Clean(d.folder)
	if f := d.box.folders[clean]; f != nil && !f.rec.NoSelect {
		return f
	}
	return d.box.folders[name.Inbox]
}

// place works out the one change that brings the message to all. It is nil if
// nobody can take it.
func (s *Store) place(id spool.ID, left []*destination, errs []error, to []*destination, body *blob.Body) *ledger.Change {
	now := time.Now().Unix()
	dig := digest.Make(body.Head)
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
		flags, err := f.bits(d.flags, func() { c.touch(f) })
		if err != nil {
			flags = 0 // no reason to lose a message
		}
		e := c.add(f, c.step(f), flags, &ledger.Info{
			Blob: body.ID, BlobSize: body.Size, Date: now, Saved: now, Prefix: d.prefix, Digest: encoded,
		})
		f.added([]list.Entry{e})
		batch.Set(ledger.DeliveryKey(ledger.Delivery{ID: id, Recipient: d.recipient}, b.user.ID), nil)
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
func lockAll(of []*destination) []*box {
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

// write is deliverTo for one message of our own making: a warning.
func (s *Store) write(ctx context.Context, account, folder string, text []byte, force bool) error {
	var id spool.ID
	s.deps.Random(id[:])
	errs := s.deliverTo(ctx, id, []*destination{{account: account, folder: folder, force: force}}, int64(len(text)), func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(text))
		return err
	})
	if errs[0] != nil {
		return fmt.Errorf("message of our own for %s: %w", account, errs[0])
	}
	return nil
}
