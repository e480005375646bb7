package queue

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"tenma/relay/mail"
	"tenma/relay/mail/stored"
	"tenma/relay/queue/fate"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// flow is a spool that hands out n messages to ten domains, at most window
// ahead of what is settled, and settles at once.
type flow struct {
	*fakeSpool
	n         int
	envelopes [][]byte
	window    chan struct{}
	settled   atomic.Int64
	done      chan struct{}
}

func newFlow(n, window int) *flow {
	f := &flow{fakeSpool: newFakeSpool(), n: n, window: make(chan struct{}, window), done: make(chan struct{})}
	for i := range 10 {
		e := &mail.Envelope{
			Sender:     smtp.Address{Local: "news", Domain: "own.test"},
			Recipients: []mail.Recipient{{Address: smtp.Address{Local: "someone", Domain: smtp.Domain(fmt.Sprintf("d%d.test", i))}}},
			Received:   time.Now(), Size: 5000, Prefix: make([]byte, 200), Tenant: "t", Subject: "a subject of usual length", MsgID: "x@y.test",
		}
		f.envelopes = append(f.envelopes, stored.AppendEnvelope(nil, e))
	}
	return f
}

func (f *flow) Feed(ctx context.Context, take func(spool.Entry)) error {
	for i := range f.n {
		f.window <- struct{}{}
		var random [10]byte
		binary.BigEndian.PutUint64(random[:], uint64(i))
		take(spool.Entry{ID: spool.NewID(time.Now(), random), Envelope: f.envelopes[i%10]})
	}
	<-ctx.Done()
	return nil
}

func (f *flow) Get(_ context.Context, id spool.ID) (spool.Entry, error) {
	return spool.Entry{ID: id, Envelope: f.envelopes[binary.BigEndian.Uint64(id[6:])%10]}, nil
}

func (f *flow) Settle(_ spool.Settlement, done func(error)) {
	done(nil)
	<-f.window
	if f.settled.Add(1) == int64(f.n) {
		close(f.done)
	}
}

type quickRouter struct{}

func (quickRouter) Route(_ context.Context, d smtp.Domain, _ *mail.Envelope) (mail.Route, *mail.Outcome) {
	return mail.Route{Lane: mail.Lane(d), Domain: d}, nil
}

func (q quickRouter) Cached(d smtp.Domain, e *mail.Envelope) (mail.Route, *mail.Outcome, bool) {
	r, o := q.Route(context.Background(), d, e)
	return r, o, true
}

type noLog struct{}

func (noLog) Record(*mail.Event) {}

// BenchmarkMessage is the queue's own part of a message that is delivered at
// the first attempt: while the queue keeps up (fresh), and with a million
// places too few, so that most are read back from the spool (backlog).
func BenchmarkMessage(b *testing.B) {
	b.Run("fresh", func(b *testing.B) { benchmark(b, 5000) })
	b.Run("backlog", func(b *testing.B) { benchmark(b, 1_000_000) })
}

func benchmark(b *testing.B, window int) {
	f := newFlow(b.N, window)
	carry := func(_ context.Context, a *mail.Attempt, next func() *mail.Attempt, done func(*mail.Attempt, []mail.Outcome)) {
		for ; a != nil; a = next() {
			done(a, fate.Same(sent(), len(a.To)))
		}
	}
	q := New(Config{}, Deps{Spool: f, Router: quickRouter{}, Remote: carry, Local: carry, Record: noLog{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	b.ReportAllocs()
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error)
	go func() { ended <- q.Run(ctx) }()
	<-f.done
	cancel()
	if err := <-ended; err != nil {
		b.Error(err)
	}
}
