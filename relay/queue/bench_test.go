package queue

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"tenma/relay/mail"
	"tenma/relay/queue/fate"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// flow is a spool that hands out n messages to ten domains and settles at once.
type flow struct {
	*fakeSpool
	n    int
	left chan struct{}
}

func (f *flow) Feed(ctx context.Context, take func(spool.Entry)) error {
	var envelopes [][]byte
	for i := range 10 {
		e := &mail.Envelope{
			Sender:     smtp.Address{Local: "news", Domain: "own.test"},
			Recipients: []mail.Recipient{{Address: smtp.Address{Local: "someone", Domain: smtp.Domain(fmt.Sprintf("d%d.test", i))}}},
			Received:   time.Now(), Size: 5000, Prefix: make([]byte, 200), Tenant: "t", Subject: "a subject of usual length", MsgID: "x@y.test",
		}
		envelopes = append(envelopes, mail.AppendEnvelope(nil, e))
	}
	for i := range f.n {
		var random [10]byte
		copy(random[:], fmt.Appendf(nil, "%010d", i))
		take(spool.Entry{ID: spool.NewID(time.Now(), random), Envelope: envelopes[i%10]})
	}
	<-ctx.Done()
	return nil
}

func (f *flow) Settle(_ spool.Settlement, done func(error)) {
	done(nil)
	f.left <- struct{}{}
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
// the first attempt.
func BenchmarkMessage(b *testing.B) {
	f := &flow{fakeSpool: newFakeSpool(), n: b.N, left: make(chan struct{}, 1024)}
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
	for range b.N {
		<-f.left
	}
	cancel()
	if err := <-ended; err != nil {
		b.Error(err)
	}
}
