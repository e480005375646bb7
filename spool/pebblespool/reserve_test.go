package pebblespool_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/spool"
	"tenma/spool/pebblespool"
	"tenma/spool/spooltest"
)

func rng(seed int) *rand.Rand { return rand.New(rand.NewPCG(uint64(seed), 3)) }

// started opens and runs a spool inside a bubble.
func started(t *testing.T, o pebblespool.Options) (s *pebblespool.Spool, stop func()) {
	t.Helper()
	o.Dir = "spool"
	if o.FS == nil {
		o.FS = vfs.NewMem()
	}
	s, err := pebblespool.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return s, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func settle(s *pebblespool.Spool, set spool.Settlement) error {
	done := make(chan error, 1)
	s.Settle(set, func(err error) { done <- err })
	return <-done
}

// TestReserve fills the disk up to the reserve: mail is refused, what is there
// is settled, DSNs included, and mail is taken again when there is room.
func TestReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var free atomic.Int64
		free.Store(100 << 30)
		s, stop := started(t, pebblespool.Options{FreeSpace: func() (uint64, uint64, error) {
			return uint64(free.Load()), 1000 << 30, nil
		}})
		defer stop()
		ctx := t.Context()
		d, dsn := storyDraft(1, 100), storyDraft(2, 100)
		if err := s.Commit(ctx, d); err != nil {
			t.Fatal(err)
		}
		free.Store(49 << 30) // 5 % are 50
		time.Sleep(time.Second)
		if err := s.Commit(ctx, storyDraft(3, 100)); !errors.Is(err, spool.ErrFull) {
			t.Errorf("commit below the reserve: %v", err)
		}
		if _, err := s.Stage(ctx); !errors.Is(err, spool.ErrFull) {
			t.Errorf("stage below the reserve: %v", err)
		}
		if err := s.Health(); !errors.Is(err, spool.ErrFull) {
			t.Errorf("health below the reserve: %v", err)
		}
		if err := settle(s, spool.Settlement{ID: d.ID, Remove: true, Drafts: []spool.Draft{dsn}}); err != nil {
			t.Errorf("settlement below the reserve: %v", err)
		}
		if err := spooltest.Same(ctx, s, dsn); err != nil {
			t.Error(err)
		}
		if got := s.Stats().FreeBytes; got != 49<<30 {
			t.Errorf("free: %d", got)
		}
		free.Store(51 << 30)
		time.Sleep(time.Second)
		if err := s.Commit(ctx, storyDraft(3, 100)); err != nil {
			t.Errorf("commit with room again: %v", err)
		}
		if err := s.Health(); err != nil {
			t.Error(err)
		}
	})
}

// TestBeforeSettle breaks promise 5 on purpose: BeforeSettle must have returned
// before a settlement is durable, and must not hold up accepts.
func TestBeforeSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate, calls := make(chan struct{}), 0
		s, stop := started(t, pebblespool.Options{BeforeSettle: func() error { calls++; <-gate; return nil }})
		defer stop()
		ctx := t.Context()
		d := storyDraft(1, 100)
		if err := s.Commit(ctx, d); err != nil {
			t.Fatal(err)
		}
		settled := 0
		s.Settle(spool.Settlement{ID: d.ID, State: []byte("one")}, func(err error) { settled++ })
		s.Settle(spool.Settlement{ID: d.ID, State: []byte("two")}, func(err error) { settled++ })
		time.Sleep(time.Minute)
		synctest.Wait()
		if calls != 1 || settled != 0 {
			t.Fatalf("%d calls, %d settled", calls, settled)
		}
		if err := s.Commit(ctx, storyDraft(2, 100)); err != nil { // does not wait for it
			t.Fatal(err)
		}
		if e, _ := s.Get(ctx, d.ID); string(e.State) != string(d.State) {
			t.Fatalf("state %q is stored before BeforeSettle returned", e.State)
		}
		close(gate)
		synctest.Wait()
		if e, _ := s.Get(ctx, d.ID); calls != 1 || settled != 2 || string(e.State) != "two" {
			t.Fatalf("%d calls, %d settled, state %q", calls, settled, e.State)
		}
	})
}

// TestBeforeSettleFails has the mail log's disk full for an hour: mail is taken,
// settlements wait, Health says so, and everything goes on by itself.
func TestBeforeSettleFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("log disk full")
		var broken atomic.Bool
		broken.Store(true)
		s, stop := started(t, pebblespool.Options{BeforeSettle: func() error {
			if broken.Load() {
				return full
			}
			return nil
		}})
		defer stop()
		d := storyDraft(1, 100)
		if err := s.Commit(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		s.Settle(spool.Settlement{ID: d.ID, Remove: true}, func(err error) { done <- err })
		time.Sleep(time.Hour)
		select {
		case err := <-done:
			t.Fatalf("settled although the log fails: %v", err)
		default:
		}
		if err := s.Health(); !errors.Is(err, spool.ErrStalled) || !errors.Is(err, full) {
			t.Errorf("health: %v", err)
		}
		if err := s.Commit(t.Context(), storyDraft(2, 100)); err != nil {
			t.Errorf("no mail is taken: %v", err)
		}
		broken.Store(false)
		if err := <-done; err != nil {
			t.Errorf("settlement: %v", err)
		}
		if err := s.Health(); err != nil {
			t.Errorf("health afterwards: %v", err)
		}
	})
}

// TestBeforeSettleFailsAtTheEnd stops a spool whose mail log fails: what waits
// is not settled, and comes back with the next start.
func TestBeforeSettleFailsAtTheEnd(t *testing.T) {
	broken := errors.New("log disk gone")
	b := newBrittle(t, noFault, pebblespool.Options{BeforeSettle: func() error { return broken }})
	d := storyDraft(1, 100)
	if err := b.Commit(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	b.Settle(spool.Settlement{ID: d.ID, Remove: true}, func(err error) { done <- err })
	b.end()
	if err := <-done; !errors.Is(err, spool.ErrSick) || !errors.Is(err, broken) {
		t.Fatalf("settlement: %v", err)
	}
}

// TestSettleDelay: promise 3 wants a settlement synced within 50 ms even when
// nothing else happens, and settlements that come together share a sync.
func TestSettleDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := started(t, pebblespool.Options{})
		defer stop()
		var ds []spool.Draft
		for n := range 50 {
			ds = append(ds, storyDraft(n+1, 10))
		}
		if err := s.Commit(t.Context(), ds...); err != nil {
			t.Fatal(err)
		}
		before, start := s.Stats().Groups, time.Now()
		done := make(chan error, len(ds))
		for _, d := range ds {
			s.Settle(spool.Settlement{ID: d.ID, Remove: true}, func(err error) { done <- err })
		}
		for range ds {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took > 50*time.Millisecond {
			t.Errorf("settled after %v", took)
		}
		if n := s.Stats().Groups - before; n != 1 {
			t.Errorf("%d groups for settlements that came together", n)
		}
	})
	if _, err := pebblespool.Open(pebblespool.Options{Dir: "x", FS: vfs.NewMem(), SettleDelay: 51 * time.Millisecond}); err == nil {
		t.Error("a settle delay over the contract's limit")
	}
}

// TestNoSync: without syncing, a killed process still loses nothing.
func TestNoSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewCrashableMem()
		s, stop := started(t, pebblespool.Options{FS: mem, NoSync: true})
		w := world{}
		for n := range 20 {
			d := storyDraft(n+1, 1000)
			if err := s.Commit(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			w[d.ID] = item{Draft: d}
			if err := check(mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng(n)}), []world{w}, 0, 0); err != nil {
				t.Fatal(err)
			}
		}
		stop()
	})
}

// TestSweep leaves staged bodies behind in every way; the next start sweeps
// them.
func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		s, stop := started(t, pebblespool.Options{FS: mem})
		for n := range 3 {
			w, err := s.Stage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(make([]byte, (n+1)*spool.MaxInline)); err != nil {
				t.Fatal(err)
			}
			if n == 2 {
				if _, err := w.Finish(); err != nil {
					t.Fatal(err)
				}
			}
		}
		stop()
		s, stop = started(t, pebblespool.Options{FS: mem})
		defer stop()
		if err := s.Verify(func(f string) { t.Error(f) }); err != nil {
			t.Error(err)
		}
		bodies := 0
		if err := s.Bodies(func(spool.ID) { bodies++ }); err != nil || bodies != 0 {
			t.Errorf("%d bodies are left, %v", bodies, err)
		}
	})
}
