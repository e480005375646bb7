package pop3

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"tenma/relay/mailbox"
)

// inbox is the folder that POP3 shows.
const inbox = "INBOX"

// marks of a message in a session.
type marks uint8

const (
	deleted marks = 1 << iota // by DELE
	read                      // by RETR, whole
	fetched                   // by RETR, or by a TOP that means the same
)

// maildrop is the snapshot that a session works with (RFC 1939 section 4): what
// is in INBOX at the login, numbered from 1. What arrives later is not in it;
// what another client removes meanwhile keeps its number, and cannot be read.
type maildrop struct {
	view  view
	close func()  // view, lock and mailbox
	marks []marks // of message n in marks[n-1]
	valid uint32  // UIDVALIDITY

	count  int   // not deleted
	octets int64 // of those: line ends of two, no stuffed dots (RFC 1939 section 11)
}

func newMaildrop(v view, closing func()) *maildrop {
	d := &maildrop{view: v, close: closing, marks: make([]marks, v.Len()), valid: v.Folder().UIDValidity, count: v.Len()}
	for n := range d.marks {
		d.octets += v.Size(n + 1)
	}
	return d
}

// uid is the unique-id of a message (RFC 1939 section 7): UIDVALIDITY and UID
// of INBOX, which never name another message. At most 21 of the 70 characters that
// are allowed.
func (d *maildrop) uid(n int) string {
	b := strconv.AppendUint(nil, uint64(d.valid), 10)
	b = append(b, '.')
	return string(strconv.AppendUint(b, uint64(d.view.UID(n)), 10))
}

func (d *maildrop) size(n int) string { return strconv.FormatInt(d.view.Size(n), 10) }

// get reads the number of a message that is there and not deleted.
func (d *maildrop) get(number string) (n int, err error) {
	n, ok := parseNumber(number)
	switch {
	case !ok:
		return 0, refuse("", "a message number is wanted")
	case n < 1 || n > len(d.marks):
		return 0, refuse("", fmt.Sprintf("no such message, there are %d", len(d.marks)))
	case d.marks[n-1]&deleted != 0:
		return 0, refuse("", fmt.Sprintf("message %d is deleted", n))
	}
	return n, nil
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

func (d *maildrop) remove(n int) {
	d.marks[n-1] |= deleted
	d.count--
	d.octets -= d.view.Size(n)
}

// reset takes all deletions back.
func (d *maildrop) reset() {
	for i, m := range d.marks {
		if m&deleted != 0 {
			d.marks[i] &^= deleted
			d.count++
			d.octets += d.view.Size(i + 1)
		}
	}
}

// update removes what was marked: all of it in one step, or nothing (RFC 1939
// section 6).
func (d *maildrop) update(ctx context.Context) (removed int, err error) {
	gone := d.with(deleted)
	if len(gone) == 0 {
		return 0, nil
	}
	if err := d.view.Remove(ctx, gone); err != nil {
		return 0, err
	}
	for _, n := range gone {
		d.marks[n-1] = 0
	}
	return len(gone), nil
}

// remember notes which messages were read, and which were fetched: those that
// are left here for some days are counted from now.
func (d *maildrop) remember(ctx context.Context) (err error) {
	if numbers := d.with(read); len(numbers) > 0 {
		_, err = d.view.Store(ctx, numbers, mailbox.AddFlags, []string{`\Seen`}, 0)
	}
	if numbers := d.with(fetched); len(numbers) > 0 {
		err = errors.Join(err, d.view.MarkRetrieved(ctx, numbers))
	}
	return err
}

// with gives the numbers of those with a mark.
func (d *maildrop) with(mark marks) (numbers []int) {
	for i, m := range d.marks {
		if m&mark != 0 {
			numbers = append(numbers, i+1)
		}
	}
	return numbers
}
