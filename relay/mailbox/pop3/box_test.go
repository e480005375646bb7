package pop3

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/relay/mail"
	"tenma/relay/mailbox"
	"tenma/relay/wire/smtp"
)

// box is ann's mailbox in a store in memory, and what can go wrong with it.
type box struct {
	t     testing.TB
	store *mailbox.Store
	open  func(account string) (view, func(), error) // the server's own
	stop  func()

	mu     sync.Mutex
	faults faults
}

// faults are errors to be given in place of what would have happened.
type faults struct {
	open    error // of a login
	start   error // of opening a body
	read    error // in the middle of a body
	remove  error
	marking error
}

// nobodyKnown is a Resolver without settings.
type nobodyKnown struct{}

func (nobodyKnown) Resolve(a smtp.Address) []smtp.Address           { return []smtp.Address{a} }
func (nobodyKnown) Settings(smtp.Address) (s mail.Settings, _ bool) { return s, true }
func (nobodyKnown) Accounts(func(smtp.Address) bool)                {}

func newBox(t testing.TB, bubble bool) *box {
	t.Helper()
	s, err := mailbox.New(
		mailbox.Config{Dir: "/boxes", Log: slog.New(slog.DiscardHandler)},
		mailbox.Deps{Resolver: nobodyKnown{}, FS: vfs.NewMem(), MemTable: 1 << 20, Bubble: bubble},
	)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return &box{t: t, store: s, stop: func() {
		cancel()
		if err := errors.Join(<-done, s.Close()); err != nil {
			t.Error(err)
		}
	}}
}

// close checks that no session has left anything behind, and stops the store.
func (b *box) close() {
	b.t.Helper()
	b.ours(func(m *mailbox.Mailbox, _ *mailbox.View) {
		unlock, err := m.LockPOP3()
		if err != nil {
			b.t.Errorf("the mailbox is still locked: %v", err)
			return
		}
		unlock()
	})
	b.stop()
}

// ours opens INBOX as another session would.
func (b *box) ours(use func(*mailbox.Mailbox, *mailbox.View)) {
	b.t.Helper()
	m, err := b.store.Open("ann@ours.test")
	if err != nil {
		b.t.Fatal(err)
	}
	defer m.Close()
	v, err := m.Select(inbox, false)
	if err != nil {
		b.t.Fatal(err)
	}
	defer v.Close()
	use(m, v)
}

// put adds messages.
func (b *box) put(bodies ...string) {
	b.t.Helper()
	b.ours(func(m *mailbox.Mailbox, _ *mailbox.View) {
		for _, body := range bodies {
			if _, _, err := m.Append(b.t.Context(), inbox, mailbox.NewMessage{Size: int64(len(body)), Body: strings.NewReader(body)}); err != nil {
				b.t.Fatal(err)
			}
		}
	})
}

// expunge removes one as IMAP would.
func (b *box) expunge(uid uint32) {
	b.t.Helper()
	b.ours(func(_ *mailbox.Mailbox, v *mailbox.View) {
		seq, ok := v.Seq(uid)
		if !ok {
			b.t.Fatalf("no message %d", uid)
		}
		if err := v.Remove(b.t.Context(), []int{seq}); err != nil {
			b.t.Fatal(err)
		}
	})
}

// left are the UIDs that are there, seen ones as negative numbers; retrieved
// those that retention knows of.
func (b *box) left() (uids, retrieved []int) {
	b.t.Helper()
	b.ours(func(_ *mailbox.Mailbox, v *mailbox.View) {
		for seq := 1; seq <= v.Len(); seq++ {
			n := int(v.UID(seq))
			if f, _ := v.Flags(seq); f&mailbox.Seen != 0 {
				n = -n
			}
			uids = append(uids, n)
		}
		if err := v.EachRetrieved(b.t.Context(), func(seq int, _ time.Time) bool {
			retrieved = append(retrieved, int(v.UID(seq)))
			return true
		}); err != nil {
			b.t.Fatal(err)
		}
	})
	return uids, retrieved
}

func (b *box) validity() (n uint32) {
	b.ours(func(_ *mailbox.Mailbox, v *mailbox.View) { n = v.Folder().UIDValidity })
	return n
}

func (b *box) set(f faults) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = f
}

func (b *box) now() faults {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.faults
}

func (b *box) openFaulty(account string) (view, func(), error) {
	if account == "lost@ours.test" {
		return nil, nil, mailbox.ErrNoAccount
	}
	if err := b.now().open; err != nil {
		return nil, nil, err
	}
	v, closing, err := b.open(account)
	return faultyView{v, b}, closing, err
}

type faultyView struct {
	view
	b *box
}

func (v faultyView) Open(seq int) (mailbox.Content, error) {
	f := v.b.now()
	if f.start != nil {
		return nil, f.start
	}
	c, err := v.view.Open(seq)
	if err == nil && f.read != nil {
		c = faultyContent{c, f.read}
	}
	return c, err
}

func (v faultyView) MarkRetrieved(ctx context.Context, seqs []int) error {
	if err := v.b.now().marking; err != nil {
		return err
	}
	return v.view.MarkRetrieved(ctx, seqs)
}

func (v faultyView) Remove(ctx context.Context, seqs []int) error {
	if err := v.b.now().remove; err != nil {
		return err
	}
	return v.view.Remove(ctx, seqs)
}

type faultyContent struct {
	mailbox.Content
	fail error
}

func (c faultyContent) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, io.NewSectionReader(c.Content, 0, c.Size()/2))
	return n, errors.Join(err, c.fail)
}
