package pebblespool_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"tenma/spool"
	"tenma/spool/pebblespool"
	"tenma/spool/spooltest"
)

// The tests of this file run outside bubbles, since the fence parks goroutines
// of Pebble for good.

// brittle is a spool on a disk in memory that can be made to fail.
type brittle struct {
	*testing.T
	mem *vfs.MemFS
	*pebblespool.Spool
	end context.CancelFunc
	log *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newBrittle(t *testing.T, inject func(errorfs.Op) error, o pebblespool.Options) *brittle {
	b := &brittle{T: t, mem: vfs.NewCrashableMem(), log: &lockedBuffer{}}
	o.Dir, o.FS = "spool", errorfs.Wrap(b.mem, errorfs.InjectorFunc(inject))
	o.Logger = slog.New(slog.NewTextHandler(b.log, nil))
	o.SettleDelay = time.Millisecond
	o.LogAhead = -1 // TestFailEverywhere has spares; here each write counts
	if o.MemTable == 0 {
		o.MemTable = memTable
	}
	s, err := pebblespool.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	b.Spool = s
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	b.end = func() {
		cancel()
		err := <-ended
		if sick := s.Health(); errors.Is(sick, spool.ErrSick) != (err != nil) {
			t.Errorf("Run ended with %v, health is %v", err, sick)
		}
		if closed := s.Close(); closed == nil && err != nil || closed != nil && !errors.Is(closed, spool.ErrSick) {
			t.Errorf("close: %v after %v", closed, err)
		}
	}
	return b
}

// sick checks that the spool refuses and that reads go on.
func (b *brittle) sick(readable spool.Draft) {
	b.Helper()
	if err := b.Commit(b.Context(), storyDraft(70, 10)); !errors.Is(err, spool.ErrSick) {
		b.Errorf("commit to a sick spool: %v", err)
	}
	done := make(chan error, 1)
	b.Settle(spool.Settlement{ID: readable.ID, Remove: true}, func(err error) { done <- err })
	if err := <-done; !errors.Is(err, spool.ErrSick) {
		b.Errorf("settlement in a sick spool: %v", err)
	}
	if _, err := b.Stage(b.Context()); !errors.Is(err, spool.ErrSick) {
		b.Errorf("stage in a sick spool: %v", err)
	}
	if err := b.Health(); !errors.Is(err, spool.ErrSick) {
		b.Errorf("health of a sick spool: %v", err)
	}
	if err := spooltest.Same(b.Context(), b.Spool, readable); err != nil {
		b.Errorf("reading from a sick spool: %v", err)
	}
	if n := strings.Count(b.log.String(), "storage failed"); n != 1 {
		b.Errorf("the log says %d times why:\n%s", n, b.log)
	}
}

// TestFailEverywhere fails each write operation of the story in turn, once. What
// was answered is there after a restart, whether the process is killed or the
// power fails; the step under way is there whole or not at all.
func TestFailEverywhere(t *testing.T) {
	farOff := time.Now().Add(1000 * time.Hour)
	steps := story(farOff, new(int))
	all := worlds(steps)
	var sickened int
	for n := 0; ; n += every {
		var armed atomic.Bool
		var count atomic.Int64
		var hit atomic.Pointer[errorfs.Op]
		b := newBrittle(t, func(op errorfs.Op) error {
			if armed.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && count.Add(1) == int64(n)+1 {
				hit.Store(&op)
				return syscall.EIO
			}
			return nil
		}, pebblespool.Options{Memory: -1})
		first := storyDraft(60, 100)
		if err := b.Commit(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		armed.Store(true)
		var acked atomic.Int64
		err := tell(b.Spool, steps, &acked)
		switch {
		case err != nil && !errors.Is(err, spool.ErrSick):
			t.Fatalf("operation %d (%v): %v", n, hit.Load(), err)
		case err == nil && int(acked.Load()) != len(steps):
			t.Fatal("not the whole story")
		}
		from, to := int(acked.Load()), int(acked.Load())+1
		if err != nil {
			sickened++
			b.sick(first)
		}
		// Both kinds of death.
		killed := b.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng(n)})
		dark := b.mem.CrashClone(vfs.CrashCloneCfg{})
		b.end()
		with := make([]world, len(all))
		for i, w := range all {
			with[i] = world{first.ID: {Draft: first}}
			for id, it := range w {
				with[i][id] = it
			}
		}
		for _, fs := range []*vfs.MemFS{killed, dark} {
			if err := check(fs, with, from, to); err != nil {
				t.Fatalf("operation %d (%v) failed: %v", n, hit.Load(), err)
			}
		}
		if hit.Load() == nil {
			t.Logf("%d operations failed in turn, %d of them made the spool sick", n, sickened)
			if sickened*every < 20 {
				t.Error("hardly any did")
			}
			return
		}
	}
}

// TestFailedSync fails one sync of the log. It is never tried again.
func TestFailedSync(t *testing.T) {
	var armed atomic.Bool
	var later atomic.Int64
	b := newBrittle(t, func(op errorfs.Op) error {
		if !armed.Load() || op.Kind.ReadOrWrite() != errorfs.OpIsWrite || op.Kind == errorfs.OpFileClose {
			return nil
		}
		if later.Load() == 0 && op.Kind == errorfs.OpFileSyncData && strings.HasSuffix(op.Path, ".log") {
			later.Add(1)
			return syscall.EIO
		}
		if later.Load() > 0 {
			later.Add(1)
		}
		return nil
	}, pebblespool.Options{})
	defer b.end()
	d := storyDraft(1, 100)
	if err := b.Commit(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() {
			if err := b.Commit(context.Background(), storyDraft(2+n, 100)); !errors.Is(err, spool.ErrSick) {
				t.Errorf("commit whose sync failed: %v", err)
			}
		})
	}
	all.Wait()
	b.sick(d)
	if n := later.Load() - 1; n != 0 {
		t.Errorf("%d writes after the failed sync", n)
	}
	if log := b.log.String(); !strings.Contains(log, ".log") || !strings.Contains(log, "input/output error") || !strings.Contains(log, "op=sync") {
		t.Errorf("the log does not say what failed: %s", log)
	}
}

// TestDiskFull runs out of room in the middle of many accepts: each is answered
// with the truth.
func TestDiskFull(t *testing.T) {
	var room atomic.Int64
	room.Store(40)
	b := newBrittle(t, func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileWrite && room.Add(-1) < 0 {
			return syscall.ENOSPC
		}
		return nil
	}, pebblespool.Options{})
	defer b.end()
	all := []world{{}}
	for n := 1; ; n++ {
		d := storyDraft(n, 3000)
		err := b.Commit(t.Context(), d)
		if err != nil {
			if !errors.Is(err, spool.ErrSick) && !errors.Is(err, spool.ErrFull) {
				t.Fatal(err)
			}
			break
		}
		all[0][d.ID] = item{Draft: d}
		if n > 200 {
			t.Fatal("the disk never filled")
		}
	}
	if len(all[0]) == 0 {
		t.Fatal("nothing fitted")
	}
	left := world{}
	for id, it := range all[0] {
		left[id] = it
	}
	d := storyDraft(len(all[0])+1, 3000)
	left[d.ID] = item{Draft: d}
	all = append(all, left)
	for _, cfg := range []vfs.CrashCloneCfg{{}, {UnsyncedDataPercent: 100, RNG: rng(1)}} {
		if err := check(b.mem.CrashClone(cfg), all, 0, 1); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTablesFail has every table fail: commits stall, and the time-out makes the
// spool sick instead of leaving clients to wait.
func TestTablesFail(t *testing.T) {
	var armed atomic.Bool
	b := newBrittle(t, func(op errorfs.Op) error {
		if armed.Load() && strings.HasSuffix(op.Path, ".sst") && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return syscall.EIO
		}
		return nil
	}, pebblespool.Options{CommitTimeout: 300 * time.Millisecond})
	first := storyDraft(1, 100)
	if err := b.Commit(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	all := []world{{first.ID: {Draft: first}}}
	for n := 2; n < 1000; n++ {
		d := storyDraft(n, 20_000)
		if err := b.Commit(t.Context(), d); err != nil {
			if !errors.Is(err, spool.ErrSick) {
				t.Fatal(err)
			}
			b.sick(first)
			after := world{d.ID: {Draft: d}}
			for id, it := range all[0] {
				after[id] = it
			}
			if err := check(b.mem.CrashClone(vfs.CrashCloneCfg{}), append(all, after), 0, 1); err != nil {
				t.Fatal(err)
			}
			b.end()
			return
		}
		all[0][d.ID] = item{Draft: d}
	}
	t.Fatal("commits never stalled")
}

// TestOpenFails opens on disks that fail at the n-th operation: an error, not a
// crash and not a wait.
func TestOpenFails(t *testing.T) {
	for n := 0; ; n++ {
		var count atomic.Int64
		var hit atomic.Bool
		fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && count.Add(1) == int64(n)+1 {
				hit.Store(true)
				return syscall.EIO
			}
			return nil
		}))
		s, err := pebblespool.Open(pebblespool.Options{Dir: "spool", FS: fs})
		if err == nil {
			_ = s.Close()
		}
		if !hit.Load() {
			if err != nil || n < 10 {
				t.Fatalf("%d operations: %v", n, err)
			}
			return
		}
	}
}

func noFault(errorfs.Op) error { return nil }
