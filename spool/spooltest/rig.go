package spooltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tenma/spool"
)

// Engine is an engine that can be closed after its Run has returned, so that
// its store can be opened again.
type Engine interface {
	spool.Engine
	Close() error
}

// Store is a store that does not exist yet. Each call opens it, the second after
// the first engine was closed, and so on.
type Store func() (Engine, error)

// rig is an engine that runs, with a receiver of Feed that writes down what it
// gets. It lives in a bubble.
type rig struct {
	*testing.T
	open Store
	Engine
	ctx    context.Context
	cancel context.CancelFunc
	ended  chan error
	fed    chan error

	mu  sync.Mutex
	got []spool.Entry
	on  func(spool.Entry) // instead of writing down
	rng *rand.Rand
}

func newRig(t *testing.T, open Store) *rig {
	r := &rig{T: t, open: open, rng: rand.New(rand.NewPCG(1, 2))}
	r.start()
	return r
}

func (r *rig) start() { r.Helper(); r.startAfter(func(Engine) {}) }

// startAfter opens the engine and calls before ahead of Run.
func (r *rig) startAfter(before func(Engine)) {
	r.Helper()
	e, err := r.open()
	if err != nil {
		r.Fatalf("open: %v", err)
	}
	r.Engine = e
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.ended, r.fed = make(chan error, 1), make(chan error, 1)
	before(e)
	go func() { r.ended <- e.Run(r.ctx) }()
	r.feed()
}

func (r *rig) feed() {
	e, ctx := r.Engine, r.ctx
	go func() {
		r.fed <- e.Feed(ctx, func(e spool.Entry) {
			r.mu.Lock()
			on := r.on
			if on == nil {
				r.got = append(r.got, e)
			}
			r.mu.Unlock()
			if on != nil {
				on(e)
			}
		})
	}()
}

func (r *rig) stop() {
	r.Helper()
	if r.Engine == nil {
		return
	}
	r.cancel()
	for _, c := range []chan error{r.ended, r.fed} {
		if err := <-c; err != nil {
			r.Errorf("at the end: %v", err)
		}
	}
	if err := r.Close(); err != nil {
		r.Errorf("close: %v", err)
	}
	r.Engine = nil
}

func (r *rig) restart() {
	r.Helper()
	r.stop()
	r.start()
}

// settled waits until the engine has nothing to do.
func (r *rig) settled() {
	time.Sleep(50 * time.Millisecond) // the longest a settlement may wait
	synctest.Wait()
}

// received gives what Feed brought since the last call.
func (r *rig) received() []spool.Entry {
	r.settled()
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}

func (r *rig) wantFed(ids ...spool.ID) []spool.Entry {
	r.Helper()
	got := r.received()
	var have []spool.ID
	for _, e := range got {
		have = append(have, e.ID)
	}
	if !slices.Equal(have, ids) {
		r.Fatalf("Feed brought %v, want %v", have, ids)
	}
	return got
}

func (r *rig) id() spool.ID {
	var random [10]byte
	for i := range random {
		random[i] = byte(r.rng.Uint32())
	}
	time.Sleep(time.Millisecond) // so that ids sort as they were made
	return spool.NewID(time.Now(), random)
}

// draft makes a draft whose parts all tell its id, so that mixtures show.
func (r *rig) draft(size int) spool.Draft {
	id := r.id()
	return spool.Draft{ID: id, Envelope: []byte("envelope of " + id.String()), State: []byte("state of " + id.String()), Body: Text(id, size)}
}

// Text is a body of size octets that no other id has.
func Text(id spool.ID, size int) []byte {
	line := fmt.Appendf(nil, "body of %v\r\n", id)
	return bytes.Repeat(line, size/len(line)+1)[:size]
}

func (r *rig) commit(ds ...spool.Draft) {
	r.Helper()
	if err := r.Commit(r.ctx, ds...); err != nil {
		r.Fatalf("commit: %v", err)
	}
}

func (r *rig) settle(s spool.Settlement) error {
	done := make(chan error, 2)
	r.Settle(s, func(err error) { done <- err })
	return <-done
}

func (r *rig) mustSettle(s spool.Settlement) {
	r.Helper()
	if err := r.settle(s); err != nil {
		r.Fatalf("settle: %v", err)
	}
}

func (r *rig) remove(id spool.ID) {
	r.Helper()
	r.mustSettle(spool.Settlement{ID: id, Remove: true})
}

func (r *rig) park(id spool.ID, due time.Time) {
	r.Helper()
	r.mustSettle(spool.Settlement{ID: id, Due: due, Park: true})
}

func (r *rig) body(id spool.ID) []byte {
	r.Helper()
	b, err := r.Open(r.ctx, id)
	if err != nil {
		r.Fatalf("open %v: %v", id, err)
	}
	defer b.Close()
	all, err := io.ReadAll(b)
	if err != nil {
		r.Fatalf("read %v: %v", id, err)
	}
	if b.Size() != int64(len(all)) {
		r.Fatalf("body has %d octets and says %d", len(all), b.Size())
	}
	return all
}

// same compares a stored entry with its draft, body included.
func (r *rig) same(d spool.Draft) {
	r.Helper()
	if err := Same(r.ctx, r.Engine, d); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) gone(id spool.ID) {
	r.Helper()
	if _, err := r.Get(r.ctx, id); !errors.Is(err, spool.ErrNotFound) {
		r.Fatalf("get of %v, which is gone: %v", id, err)
	}
	if _, err := r.Open(r.ctx, id); !errors.Is(err, spool.ErrNotFound) {
		r.Fatalf("open of %v, which is gone: %v", id, err)
	}
}

func (r *rig) scan(after spool.ID) (ids []spool.ID) {
	r.Helper()
	err := r.Scan(r.ctx, after, func(e spool.Entry) bool { ids = append(ids, e.ID); return true })
	if err != nil {
		r.Fatalf("scan: %v", err)
	}
	return ids
}

func (r *rig) find(key string, after spool.ID) (ids []spool.ID) {
	r.Helper()
	err := r.Find(r.ctx, key, after, func(e spool.Entry) bool { ids = append(ids, e.ID); return true })
	if err != nil {
		r.Fatalf("find: %v", err)
	}
	return ids
}

// Same is nil if e has d as it was committed: envelope, state, body.
func Same(ctx context.Context, e spool.Engine, d spool.Draft) error {
	got, err := e.Get(ctx, d.ID)
	if err != nil {
		return fmt.Errorf("get %v: %w", d.ID, err)
	}
	if !bytes.Equal(got.Envelope, d.Envelope) {
		return fmt.Errorf("%v has envelope %q, want %q", d.ID, got.Envelope, d.Envelope)
	}
	if !bytes.Equal(got.State, d.State) {
		return fmt.Errorf("%v has state %q, want %q", d.ID, got.State, d.State)
	}
	b, err := e.Open(ctx, d.ID)
	if err != nil {
		return fmt.Errorf("open %v: %w", d.ID, err)
	}
	defer b.Close()
	var w bytes.Buffer
	if _, err := b.WriteTo(&w); err != nil {
		return fmt.Errorf("read %v: %w", d.ID, err)
	}
	if !bytes.Equal(w.Bytes(), d.Body) || got.BodySize != int64(len(d.Body)) {
		return fmt.Errorf("%v has a body of %d (%d) octets that differs from the one committed of %d", d.ID, w.Len(), got.BodySize, len(d.Body))
	}
	return nil
}
