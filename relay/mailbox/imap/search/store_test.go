package search_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/relay/mailbox/imap/search"
	"tenma/relay/mailbox/store"
)

// filled is a folder of n messages in the real store, in memory.
func filled(t testing.TB, n int) *store.View {
	t.Helper()
	s, err := store.Open(store.Options{Dir: "/boxes", FS: vfs.NewMem(), Bubble: true, MemTable: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	box, err := s.Mailbox("ann@b.test")
	if err != nil {
		t.Fatal(err)
	}
	const writers = 64 // who share commits
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := w; i < n; i += writers {
				text := fmt.Sprintf("From: Person %d <person%d@example.test>\r\nTo: someone@example.test\r\nSubject: Message number %d about things\r\nMessage-ID: <%d@example.test>\r\nDate: 1 May 2024 10:00:00 +0200\r\n\r\n", i, i%1000, i, i) +
					strings.Repeat("A line of text as people write them, of the usual length.\r\n", 20)
				if _, _, err := box.Append(ctx, "INBOX", store.NewMessage{Size: int64(len(text)), Body: strings.NewReader(text)}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	v, err := box.Select("INBOX", true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		v.Close()
		box.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return v
}

// What the tests find in a folder of theirs is found in the store's.
func TestStore(t *testing.T) {
	v := filled(t, 100)
	for args, want := range map[string]int{"FROM person77@": 1, "TEXT \"number 5\"": 11, "SENTON 1-May-2024": 100, "HEADER Subject things UNSEEN LARGER 1000": 100, "BODY nowhere": 0} {
		c, err := search.Parse(args)
		if err != nil {
			t.Fatal(err)
		}
		if found, err := c.Query.Run(t.Context(), v, nil); err != nil || len(found) != want {
			t.Errorf("%s: %d, %v; want %d", args, len(found), err, want)
		}
	}
}

func BenchmarkStore(b *testing.B) {
	v := filled(b, 100_000)
	for name, args := range map[string]string{"flags": "UNSEEN", "sender": "FROM person77@", "list": "HEADER List-Id x", "text": "TEXT nowhere"} {
		b.Run(name, func(b *testing.B) {
			c, err := search.Parse(args)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Query.Run(context.Background(), v, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
