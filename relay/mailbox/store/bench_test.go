package store

import (
	"context"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// disk is a store on the machine's disk, outside a bubble.
func onDisk(b *testing.B, dir string) *running {
	s, err := Open(Options{Dir: dir, FS: vfs.Default})
	must(b, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	r := &running{Store: s, stop: func() error {
		cancel()
		if err := <-ended; err != nil {
			return err
		}
		return s.Close()
	}}
	return r
}

var body4k = textOf(1) + strings.Repeat("0123456789012345678901234567890123456789012345678901234567890\r\n", 64)

// BenchmarkDeliver: many at once, to 100 mailboxes and to one.
func BenchmarkDeliver(b *testing.B) {
	for name, boxes := range map[string]int{"one": 1, "hundred": 100} {
		b.Run(name, func(b *testing.B) {
			r := onDisk(b, b.TempDir())
			defer func() { must(b, r.stop()) }()
			var n atomic.Int64
			b.SetBytes(int64(len(body4k)))
			b.SetParallelism(64)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := n.Add(1)
					id := idOf(byte(i))
					id[10], id[11], id[12] = byte(i>>8), byte(i>>16), byte(i>>24)
					to := []*Destination{{Account: string(rune('a'+i%int64(boxes)%26)) + string(rune('a'+i%int64(boxes)/26)) + "@b.test"}}
					for _, err := range r.DeliverTo(context.Background(), id, to, int64(len(body4k)), func(w io.Writer) error {
						_, err := io.WriteString(w, body4k)
						return err
					}) {
						if err != nil {
							b.Error(err)
						}
					}
				}
			})
		})
	}
}

// BenchmarkLargeFolder: 100,000 messages in one folder.
func BenchmarkLargeFolder(b *testing.B) {
	dir := b.TempDir()
	const messages = 100_000
	r := onDisk(b, dir)
	m, err := r.Mailbox(ann)
	must(b, err)
	text := textOf(5)
	must(b, fill(r.Store, m, messages, text))
	m.Close()
	must(b, r.stop())
	b.Run("select cold", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			r := onDisk(b, dir)
			m, err := r.Mailbox(ann)
			must(b, err)
			b.StartTimer()
			v, err := m.Select("INBOX", true)
			must(b, err)
			b.StopTimer()
			if v.Len() != messages {
				b.Fatal(v.Len())
			}
			v.Close()
			m.Close()
			must(b, r.stop())
			b.StartTimer()
		}
	})
	r = onDisk(b, dir)
	defer func() { must(b, r.stop()) }()
	m, err = r.Mailbox(ann)
	must(b, err)
	defer m.Close()
	v, err := m.Select("INBOX", false)
	must(b, err)
	defer v.Close()
	b.Run("select warm", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			v, err := m.Select("INBOX", true)
			must(b, err)
			v.Close()
		}
	})
	b.Run("each", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			n := 0
			must(b, v.Each(context.Background(), 1, v.Len(), func(int, *Message) bool { n++; return true }))
			if n != messages {
				b.Fatal(n)
			}
		}
	})
	b.Run("flags of one", func(b *testing.B) {
		ops := []Op{AddFlags, DelFlags}
		i := 0
		for b.Loop() {
			_, err := v.Store(context.Background(), []int{50_000}, ops[i%2], []string{`\Flagged`}, 0)
			must(b, err)
			v.Update(true)
			i++
		}
	})
	all := make([]int, messages)
	for i := range all {
		all[i] = i + 1
	}
	b.Run("flags of all", func(b *testing.B) {
		ops := []Op{AddFlags, DelFlags}
		i := 0
		for b.Loop() {
			_, err := v.Store(context.Background(), all, ops[i%2], []string{`\Answered`}, 0)
			must(b, err)
			v.Update(true)
			i++
		}
	})
	b.Run("copy and remove all", func(b *testing.B) {
		for b.Loop() {
			_, err := v.Copy(context.Background(), all, "Archive")
			must(b, err)
			a, err := m.Select("Archive", false)
			must(b, err)
			must(b, a.Remove(context.Background(), all))
			a.Close()
		}
	})
}

// BenchmarkOpen: the starts of 20,000 messages of 4 KiB, as a list of header fields
// needs them. They are more than the cache holds.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	const messages = 20_000
	r := onDisk(b, dir)
	m, err := r.Mailbox(ann)
	must(b, err)
	must(b, fill(r.Store, m, messages, body4k))
	m.Close()
	must(b, r.stop())
	r = onDisk(b, dir)
	defer func() { must(b, r.stop()) }()
	m, err = r.Mailbox(ann)
	must(b, err)
	defer m.Close()
	v, err := m.Select("INBOX", true)
	must(b, err)
	defer v.Close()
	var head [512]byte
	b.ReportAllocs()
	for b.Loop() {
		must(b, v.Each(context.Background(), 1, v.Len(), func(_ int, m *Message) bool {
			c, err := v.OpenGiven(m)
			must(b, err)
			_, err = c.ReadAt(head[:], 0)
			must(b, err)
			must(b, c.Close())
			return true
		}))
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/messages, "µs/message")
}

// fill appends many at once.
func fill(s *Store, m *Mailbox, n int, text string) error {
	var left atomic.Int64
	left.Store(int64(n))
	ended := make(chan error, 64)
	for range 64 {
		go func() {
			for left.Add(-1) >= 0 {
				if _, _, err := m.Append(context.Background(), "INBOX", NewMessage{Size: int64(len(text)), Body: strings.NewReader(text)}); err != nil {
					ended <- err
					return
				}
			}
			ended <- nil
		}()
	}
	for range 64 {
		if err := <-ended; err != nil {
			return err
		}
	}
	return nil
}
