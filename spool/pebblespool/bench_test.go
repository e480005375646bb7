package pebblespool_test

import (
	"context"
	"crypto/rand"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tenma/spool"
	"tenma/spool/pebblespool"
)

// BenchmarkAccept is the life of the ordinary message on a real disk: accepted
// by one of many committers, handed to Feed, settled and removed. ns/op is per
// message; synced batches per second are given besides.
func BenchmarkAccept(b *testing.B) {
	for name, committers := range map[string]int{"64": 64, "200": 200} {
		b.Run(name, func(b *testing.B) { benchmarkAccept(b, committers, 4<<10) })
	}
}

func benchmarkAccept(b *testing.B, committers, size int) {
	s, err := pebblespool.Open(pebblespool.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	fed := make(chan error, 1)
	var settled sync.WaitGroup
	settled.Add(b.N)
	go func() { ended <- s.Run(ctx) }()
	go func() {
		fed <- s.Feed(ctx, func(e spool.Entry) {
			s.Settle(spool.Settlement{ID: e.ID, Remove: true}, func(err error) {
				if err != nil {
					b.Error(err)
				}
				settled.Done()
			})
		})
	}()
	template := make([]byte, size)
	_, _ = rand.Read(template)
	envelope := template[:min(size, 300)]
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	start := time.Now()
	var left atomic.Int64
	left.Store(int64(b.N))
	var all sync.WaitGroup
	for range committers {
		all.Go(func() {
			var random [10]byte
			_, _ = rand.Read(random[:])
			for i := 0; left.Add(-1) >= 0; i++ {
				random[8], random[9] = byte(i>>8), byte(i)
				d := spool.Draft{ID: spool.NewID(time.Now(), random), Envelope: envelope, Body: append([]byte(nil), template...)}
				if err := s.Commit(ctx, d); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	accepted := time.Since(start)
	settled.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/accepted.Seconds(), "accepts/s")
	b.ReportMetric(float64(s.Stats().Groups)/time.Since(start).Seconds(), "syncs/s")
	cancel()
	<-fed
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}
