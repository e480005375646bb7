package pop3

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"tenma/relay/mailbox"
)

// inbox is the folder that POP3 shows.
const inbox = "INBOX"

// marks of a message in a session.
type marks uint8

const (
	deleted   marks = 1 << iota // by DELE
	retrieved                   // by RETR, whole
)

// item is one message of the snapshot.
type item struct {
	size  int64 // octets, line ends of two, no stuffed dots (RFC 1939 section 11)
	seq   uint32
	marks marks
}

// maildrop is the snapshot that a session works with (RFC 1939 section 4): what
// is in INBOX at the login, numbered from 1. What arrives later is not in it;
// what another client removes meanwhile keeps its number, and cannot be read.
type maildrop struct {
	view  view
	close func() // view, lock and mailbox
	items []item // number n is items[n-1]
	valid uint32 // UIDVALIDITY

	count  int   // not deleted
	octets int64 // of those
}

func openMaildrop(ctx context.Context, v view, closing func()) (*maildrop, error) {
	d := &maildrop{view: v, close: closing, valid: v.Folder().UIDValidity, items: make([]item, 0, v.Len())}
	err := v.Each(ctx, 1, v.Len(), func(seq int, m *mailbox.Message) bool {
		d.items = append(d.items, item{size: m.Size, seq: uint32(seq)}) //nolint:gosec // a folder has fewer messages than UIDs
		d.octets += m.Size
		return true
	})
	d.count = len(d.items)
	return d, err
}

// uid is the unique-id of a message (RFC 1939 section 7): UIDVALIDITY and UID
// of INBOX, which never name another message. At most 21 of the 70 characters that
// are allowed.
func (d *maildrop) uid(it *item) string {
	b := strconv.AppendUint(nil, uint64(d.valid), 10)
	b = append(b, '.')
	return string(strconv.AppendUint(b, uint64(d.view.UID(int(it.seq))), 10))
}

// get gives a message that is there and not deleted.
func (d *maildrop) get(number string) (n int, it *item, err error) {
	n, ok := parseNumber(number)
	switch {
	case !ok:
		return 0, nil, refuse("", "a message number is wanted")
	case n < 1 || n > len(d.items):
		return 0, nil, refuse("", fmt.Sprintf("no such message, there are %d", len(d.items)))
	case d.items[n-1].marks&deleted != 0:
		return 0, nil, refuse("", fmt.Sprintf("message %d is deleted", n))
	}
	return n, &d.items[n-1], nil
}

// parseNumber reads a number of at most nine digits; above that, one that
// nothing has.
func parseNumber(s string) (n int, ok bool) {
	if s == "" {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = min(n*10+int(s[i]-'0'), 1_000_000_000)
	}
	return n, true
}

func (d *maildrop) remove(it *item) {
	it.marks |= deleted
	d.count--
	d.octets -= it.size
}

// reset takes all deletions back.
func (d *maildrop) reset() {
	for i := range d.items {
		if it := &d.items[i]; it.marks&deleted != 0 {
			it.marks &^= deleted
			d.count++
			d.octets += it.size
		}
	}
}

// update removes what was marked: all of it in one step, or nothing (RFC 1939
// section 6).
func (d *maildrop) update(ctx context.Context) (removed int, err error) {
	seqs := d.marked(func(m marks) bool { return m&deleted != 0 })
	if len(seqs) == 0 {
		return 0, nil
	}
	if err := d.view.Remove(ctx, seqs); err != nil {
		return 0, err
	}
	d.items = slices.DeleteFunc(d.items, func(it item) bool { return it.marks&deleted != 0 })
	return len(seqs), nil
}

// remember notes which messages were retrieved: they are read, and those that
// are left here for some days are counted from now.
func (d *maildrop) remember(ctx context.Context) error {
	seqs := d.marked(func(m marks) bool { return m&retrieved != 0 })
	if len(seqs) == 0 {
		return nil
	}
	_, err := d.view.Store(ctx, seqs, mailbox.AddFlags, []string{`\Seen`}, 0)
	if errors.Is(err, mailbox.ErrExpunged) {
		return nil // another client has removed one of them
	}
	return err
}

func (d *maildrop) marked(which func(marks) bool) (seqs []int) {
	for _, it := range d.items {
		if which(it.marks) {
			seqs = append(seqs, int(it.seq))
		}
	}
	return seqs
}
