package queue

import (
	"context"
	"encoding/binary"
	"runtime"
	"testing"
	"time"

	"tenma/relay/mail"
	"tenma/relay/mail/stored"
	"tenma/spool"
)

// crowd is a spool of n deferred messages that takes no memory for them.
type crowd struct {
	*fakeSpool
	n        int
	envelope []byte
	state    []byte
	fed      chan struct{}
}

func (c *crowd) Feed(ctx context.Context, take func(spool.Entry)) error {
	now := time.Now()
	for i := range c.n {
		var random [10]byte
		binary.LittleEndian.PutUint64(random[2:], uint64(i)*0x9e3779b97f4a7c15) // spread as randomness would be
		take(spool.Entry{ID: spool.NewID(now, random), Envelope: c.envelope, State: c.state})
	}
	close(c.fed)
	<-ctx.Done()
	return nil
}

func (c *crowd) Get(_ context.Context, id spool.ID) (spool.Entry, error) {
	return spool.Entry{ID: id, Envelope: c.envelope, State: c.state}, nil
}

func TestMemoryPerMessage(t *testing.T) {
	n := 1_000_000
	if testing.Short() || raceEnabled {
		n = 100_000
	}
	r := newRig(t)
	e := r.envelope("a@one.test")
	state := &mail.State{Recipients: []mail.RecipientState{{Fate: mail.Deferred, Attempts: 1, Due: time.Now().Add(time.Hour)}}}
	c := &crowd{fakeSpool: r.spool, n: n, envelope: stored.AppendEnvelope(nil, e), state: stored.AppendState(nil, state), fed: make(chan struct{})}
	q := New(Config{Shards: 2}, Deps{Spool: c, Router: r.router, Remote: r.carry, Local: r.carry, Record: r.log})
	before := heapInUse()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- q.Run(ctx) }()
	<-c.fed
	sum, err := q.Summary(ctx) // stands behind the last entry in each mailbox
	if err != nil || sum.Deferred != int64(n) {
		t.Fatalf("%+v, %v", sum.Deferred, err)
	}
	octets := float64(heapInUse() - before)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, sh := range q.shards {
		octets += float64(sh.items.Mapped())
	}
	each := octets / float64(n)
	t.Logf("%.1f octets for each of %d queued messages", each, n)
	if each > 64 {
		t.Errorf("%.1f octets for each queued message", each)
	}
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
