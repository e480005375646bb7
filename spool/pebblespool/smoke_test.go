package pebblespool

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/spool"
)

func TestSmoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		var seen []spool.ID
		for range 2 {
			s, err := Open(Options{Dir: "spool", FS: fs, Bubble: true})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ran := make(chan error)
			go func() { ran <- s.Run(ctx) }()
			go func() { _ = s.Feed(ctx, func(e spool.Entry) { seen = append(seen, e.ID) }) }()
			id := spool.NewID(time.Now(), [10]byte{byte(time.Now().Nanosecond())})
			if err := s.Commit(ctx, spool.Draft{ID: id, Envelope: []byte("e"), Body: []byte("hello")}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			b, err := s.Open(ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(b)
			t.Logf("%s %v", got, seen)
			done := make(chan error, 1)
			s.Settle(spool.Settlement{ID: id, State: []byte("st"), Due: time.Now().Add(time.Hour), Park: true}, func(err error) { done <- err })
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Hour)
			synctest.Wait()
			t.Logf("%v %+v", seen, s.Stats())
			cancel()
			if err := <-ran; err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
