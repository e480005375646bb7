package store

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/spool"
)

// running is a store that runs.
type running struct {
	*Store
	stop func() error
}

// start opens a store on fs and runs it. stop ends it; at the end of the test it
// has been stopped.
func start(t testing.TB, fs vfs.FS, o Options) *running {
	t.Helper()
	o.Dir, o.FS, o.Bubble = "/boxes", fs, true
	if o.MemTable == 0 {
		o.MemTable = 1 << 20
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stopped := false
	r := &running{Store: s, stop: func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			return err
		}
		return s.Close()
	}}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// box opens a mailbox until the end of the test.
func (r *running) box(t testing.TB, account string) *Mailbox {
	t.Helper()
	m, err := r.Mailbox(account)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

const ann = "ann@b.test"

// text makes a message; the same n gives the same.
func textOf(n int) string {
	return fmt.Sprintf("From: Bob <bob@c.test>\r\nTo: ann@b.test\r\nSubject: number %d\r\nDate: Thu, 1 Jan 2026 00:00:00 +0100\r\nMessage-ID: <%d@c.test>\r\n\r\n%s\r\n", n, n, strings.Repeat("x", n%100))
}

func put(t testing.TB, m *Mailbox, folder, text string, flags ...string) uint32 {
	t.Helper()
	_, uid, err := m.Append(t.Context(), folder, NewMessage{Size: int64(len(text)), Body: strings.NewReader(text), Flags: flags})
	if err != nil {
		t.Fatal(err)
	}
	return uid
}

func view(t testing.TB, m *Mailbox, folder string) *View {
	t.Helper()
	v, err := m.Select(folder, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

func textAt(t testing.TB, v *View, seq int) string {
	t.Helper()
	c, err := v.Open(seq)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var b strings.Builder
	if _, err := c.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if int64(b.Len()) != c.Size() || c.Size() != v.Size(seq) {
		t.Errorf("%d octets of %d, %d in the list", b.Len(), c.Size(), v.Size(seq))
	}
	return b.String()
}

// must stops the test at an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// send is DeliverTo for one message.
func (r *running) send(t testing.TB, n byte, text string, accounts ...string) []error {
	t.Helper()
	var to []*Destination
	for i, a := range accounts {
		to = append(to, &Destination{Account: a, Prefix: []byte("Delivered-To: " + a + "\r\n"), Recipient: uint32(i)})
	}
	return r.DeliverTo(t.Context(), idOf(n), to, int64(len(text)), func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
}

// idOf names a message of a time to come: its delivery is not forgotten.
func idOf(n byte) spool.ID { return spool.ID{0x7f, 0x9b, n, 1, 2, 3, 4} }
