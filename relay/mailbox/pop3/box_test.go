package pop3

import (
	"bytes"
	"context"
	"io"
	"slices"
	"sync"
	"testing"

	"tenma/relay/mailbox"
)

// box is ann's INBOX, and what can go wrong with it.
type box struct {
	t    testing.TB
	open func(account string) (view, func(), error) // the store's

	mu      sync.Mutex
	mails   []mail
	next    uint32
	locked  bool
	noOpen  error // what opening gives
	noList  error
	noRead  error // what reading a body gives in its middle
	noStart error // what opening a body gives
	noDrop  error // what Remove gives
	noSeen  error
}

type mail struct {
	uid  uint32
	body string
	seen bool
}

func newBox(t testing.TB, _ *Deps) *box { return &box{t: t, next: 1} }

func (b *box) close() {
	if b.locked {
		b.t.Error("the mailbox is still locked")
	}
}

// put adds messages.
func (b *box) put(bodies ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, body := range bodies {
		b.mails = append(b.mails, mail{uid: b.next, body: body})
		b.next++
	}
}

// expunge removes one as IMAP would.
func (b *box) expunge(uid uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mails = slices.DeleteFunc(b.mails, func(m mail) bool { return m.uid == uid })
}

// left are the UIDs that are there, seen ones as negative numbers.
func (b *box) left() (uids []int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.mails {
		n := int(m.uid)
		if m.seen {
			n = -n
		}
		uids = append(uids, n)
	}
	return uids
}

func (b *box) openFaulty(account string) (view, func(), error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case account == "lost@ours.test":
		return nil, nil, mailbox.ErrNoAccount
	case b.noOpen != nil:
		return nil, nil, b.noOpen
	case b.locked:
		return nil, nil, mailbox.ErrInUse
	}
	b.locked = true
	v := &fakeView{b: b}
	for _, m := range b.mails {
		v.uids = append(v.uids, m.uid)
	}
	return v, func() { b.mu.Lock(); b.locked = false; b.mu.Unlock() }, nil
}

type fakeView struct {
	b    *box
	uids []uint32
}

func (v *fakeView) Folder() mailbox.Folder { return mailbox.Folder{UIDValidity: 7} }
func (v *fakeView) Len() int               { return len(v.uids) }
func (v *fakeView) UID(seq int) uint32     { return v.uids[seq-1] }
func (v *fakeView) Close()                 {}

func (v *fakeView) find(seq int) *mail {
	i := slices.IndexFunc(v.b.mails, func(m mail) bool { return m.uid == v.uids[seq-1] })
	if i < 0 {
		return nil
	}
	return &v.b.mails[i]
}

func (v *fakeView) Each(_ context.Context, first, last int, fn func(int, *mailbox.Message) bool) error {
	v.b.mu.Lock()
	defer v.b.mu.Unlock()
	for seq := first; seq <= last; seq++ {
		if m := v.find(seq); m != nil && !fn(seq, &mailbox.Message{UID: m.uid, Size: int64(len(m.body))}) {
			break
		}
	}
	return v.b.noList
}

func (v *fakeView) Open(seq int) (mailbox.Content, error) {
	v.b.mu.Lock()
	defer v.b.mu.Unlock()
	if v.b.noStart != nil {
		return nil, v.b.noStart
	}
	m := v.find(seq)
	if m == nil {
		return nil, mailbox.ErrExpunged
	}
	return &fakeContent{Reader: bytes.NewReader([]byte(m.body)), fail: v.b.noRead}, nil
}

func (v *fakeView) Store(_ context.Context, seqs []int, _ mailbox.Op, _ []string, _ uint64) ([]int, error) {
	v.b.mu.Lock()
	defer v.b.mu.Unlock()
	for _, seq := range seqs {
		if m := v.find(seq); m != nil {
			m.seen = true
		}
	}
	return nil, v.b.noSeen
}

func (v *fakeView) Remove(_ context.Context, seqs []int) error {
	v.b.mu.Lock()
	defer v.b.mu.Unlock()
	if v.b.noDrop != nil {
		return v.b.noDrop
	}
	v.b.mails = slices.DeleteFunc(v.b.mails, func(m mail) bool {
		return slices.ContainsFunc(seqs, func(seq int) bool { return v.uids[seq-1] == m.uid })
	})
	return nil
}

type fakeContent struct {
	*bytes.Reader
	fail error
}

func (c *fakeContent) WriteTo(w io.Writer) (int64, error) {
	if c.fail != nil {
		n, err := io.CopyN(w, c.Reader, c.Size()/2)
		if err == nil {
			err = c.fail
		}
		return n, err
	}
	return c.Reader.WriteTo(w)
}

func (c *fakeContent) Close() error { return nil }
