package fetch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/relay/mailbox"
	"tenma/relay/mailbox/imap/fetch"
	"tenma/relay/mailbox/store"
	wire "tenma/relay/wire/imap"
	"tenma/spool"
)

// opened is the real store, in memory.
func opened(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(store.Options{Dir: "/boxes", FS: vfs.NewMem(), Bubble: true, MemTable: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, s.Close()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func deliver(t testing.TB, s *store.Store, n int, text string) {
	t.Helper()
	id := spool.ID{byte(n), byte(n >> 8), byte(n >> 16), 1}
	to := []*store.Destination{{Account: "ann@b.test", Prefix: []byte(received)}}
	for _, err := range s.DeliverTo(t.Context(), id, to, int64(len(text)), func(w io.Writer) error {
		for rest := text; rest != ""; { // in pieces, as mail comes
			k := min(len(rest), 9999)
			if _, err := io.WriteString(w, rest[:k]); err != nil {
				return err
			}
			rest = rest[k:]
		}
		return nil
	}) {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func items(t testing.TB, what string) []wire.Item {
	t.Helper()
	p := wire.NewParser(what)
	list, _ := p.Fetch()
	if err := p.End(); err != nil {
		t.Fatal(err)
	}
	return list
}

// eachMessage shows items of all messages of INBOX as FETCH does, and counts those that
// were read.
func eachMessage(t testing.TB, v *store.View, what string, to io.Writer) (read int) {
	t.Helper()
	w, list := wire.NewWriter(to), items(t, what)
	m := fetch.New(list)
	err := v.Each(t.Context(), 1, v.Len(), func(_ int, msg *mailbox.Message) bool {
		err := m.Begin(&msg.Digest, func() (fetch.Source, error) { read++; return v.OpenGiven(msg) }, nil)
		defer m.End()
		for i := range list {
			if i > 0 {
				w.Raw(" ")
			}
			err = errors.Join(err, m.Write(w, &list[i]))
		}
		w.Raw("\n")
		if err != nil {
			t.Error(err)
		}
		return err == nil
	})
	if err := errors.Join(err, w.Flush()); err != nil {
		t.Fatal(err)
	}
	return read
}

// What the store keeps of messages that are delivered is enough, whatever their size,
// also for a message that is copied, and shows the message as it is.
func TestDelivered(t *testing.T) {
	s := opened(t)
	texts := []string{
		"From: a@b\r\nSubject: small\r\n\r\ntext\r\n",
		"From: a@b\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\ntext\r\n--x\r\nContent-Type: image/png; name=large.png\r\n\r\n" +
			strings.Repeat("a line of text as people write them, of usual length\r\n", 20_000) + "--x--\r\n",
		"From: a@b\nSubject: bare\n\ntext\n", // the ends of lines change when it is stored
	}
	for i, text := range texts {
		deliver(t, s, i, text)
	}
	box, err := s.Mailbox("ann@b.test")
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	for _, folder := range []string{"INBOX", "Archive"} {
		v, err := box.Select(folder, false)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		for _, what := range keepable {
			var got, want bytes.Buffer
			read := eachMessage(t, v, what, &got)
			for i := range texts {
				if err := show(bytes.NewReader(append([]byte(received), stored([]byte(texts[i]))...)), &want, what); err != nil {
					t.Fatal(err)
				}
				want.WriteByte('\n')
			}
			// show writes parentheses around its items.
			if strip(got.String()) != strip(want.String()) {
				t.Errorf("%s in %s:\n%s\nnot\n%s", what, folder, got.Bytes(), want.Bytes())
			}
			kept := what == "BODYSTRUCTURE" || what == "BODY" || what == "ENVELOPE" || strings.HasPrefix(what, "BODY.PEEK[HEADER.FIELDS (From")
			if kept && read > 0 {
				t.Errorf("%s in %s: %d messages were read", what, folder, read)
			}
		}
		if folder == "INBOX" {
			if _, err := v.Copy(t.Context(), []int{1, 2, 3}, "Archive"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func strip(s string) string { return strings.NewReplacer("(", "", ")", "").Replace(s) }

func BenchmarkFetch(b *testing.B) {
	s := opened(b)
	const n = 20_000
	var all sync.WaitGroup
	for w := range 64 {
		all.Go(func() {
			for i := w; i < n; i += 64 {
				deliver(b, s, i, fmt.Sprintf("From: Person %d <person%d@example.test>\r\nTo: someone@example.test\r\nSubject: Message number %d about things\r\n"+
					"Message-ID: <%d@example.test>\r\nDate: 1 May 2024 10:00:00 +0200\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n", i, i%1000, i, i)+
					strings.Repeat("A line of text as people write them, of the usual length.\r\n", 60))
			}
		})
	}
	all.Wait()
	box, err := s.Mailbox("ann@b.test")
	if err != nil {
		b.Fatal(err)
	}
	defer box.Close()
	v, err := box.Select("INBOX", true)
	if err != nil {
		b.Fatal(err)
	}
	defer v.Close()
	for name, what := range map[string]string{"envelope": "ENVELOPE", "fields": "BODY.PEEK[HEADER.FIELDS (FROM TO CC SUBJECT DATE MESSAGE-ID)]", "structure": "BODYSTRUCTURE", "header": "BODY.PEEK[HEADER]"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				eachMessage(b, v, what, io.Discard)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/message")
		})
	}
}
