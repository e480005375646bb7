package disk_test

import (
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/spool/pebblespool/disk"
)

// opened opens a database on fs whose merging is m.
func opened(t *testing.T, fs vfs.FS, m *disk.Merging) *pebble.DB {
	t.Helper()
	f := disk.NewFence(fs, false, slog.New(slog.DiscardHandler))
	db, err := pebble.Open("db", disk.Pebble(f, 1<<20, m, slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// flushed writes n tables over the same keys.
func flushed(t *testing.T, db *pebble.DB, n int) {
	t.Helper()
	for i := range n {
		for k := range 10 {
			if err := db.Set(fmt.Appendf(nil, "e%d", k), fmt.Appendf(nil, "%d", i), pebble.Sync); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
}

func merged(db *pebble.DB) int64 { return db.Metrics().Compact.Count }

// Tables wait to be merged until the database is open, and are merged then,
// whether they were there before Begin or come after it.
func TestMergingWaitsForBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		first := new(disk.Merging)
		db := opened(t, fs, first)
		flushed(t, db, 6)
		synctest.Wait()
		if n := merged(db); n != 0 {
			t.Fatalf("%d merges before Begin", n)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}

		second := new(disk.Merging)
		db = opened(t, fs, second)
		synctest.Wait()
		if n := merged(db); n != 0 {
			t.Fatalf("%d merges while opening", n)
		}
		second.Begin()
		synctest.Wait()
		before := merged(db)
		if before == 0 {
			t.Fatal("what waited was not merged after Begin")
		}
		flushed(t, db, 12)
		synctest.Wait()
		if n := merged(db); n == before {
			t.Fatal("what came after Begin was not merged")
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// asked stands for a database that has so many merges waiting.
type asked struct {
	m       *disk.Merging
	waiting int
	running int
	allowed int
	onAsk   func()
}

func (a *asked) GetAllowedWithoutPermission() int { return a.allowed }

func (a *asked) GetWaitingCompaction() (bool, pebble.WaitingCompaction) {
	some := a.waiting > 0
	if a.onAsk != nil {
		a.onAsk()
	}
	return some, pebble.WaitingCompaction{}
}

func (a *asked) Schedule(pebble.CompactionGrantHandle) bool {
	a.waiting--
	a.running++
	return true
}

// Who is refused while another is being asked is not forgotten: nobody else
// would ask.
func TestMergingForgetsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(disk.Merging)
		db := &asked{m: m, allowed: 1}
		m.Register(1, db)
		db.onAsk = func() {
			db.onAsk = nil
			if ok, _ := m.TrySchedule(); ok {
				t.Error("two merges where one is allowed")
			}
			db.waiting = 1
		}
		m.Begin()
		synctest.Wait()
		if db.running != 1 {
			t.Fatalf("%d merges run, want the one that was refused", db.running)
		}
		m.Unregister()
		m.Done()
		if ok, _ := m.TrySchedule(); ok {
			t.Fatal("a merge began after the end")
		}
	})
}

// As many run at a time as are allowed, and one that ends makes room.
func TestMergingKeepsTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(disk.Merging)
		db := &asked{m: m, allowed: 2, waiting: 5}
		m.Register(1, db)
		m.Begin()
		synctest.Wait()
		if db.running != 2 {
			t.Fatalf("%d merges run, want 2", db.running)
		}
		m.Done()
		if db.running != 3 {
			t.Fatalf("%d merges were begun, want 3 when one has ended", db.running)
		}
		db.allowed = 4
		m.UpdateGetAllowedWithoutPermission()
		synctest.Wait()
		if db.running != 5 {
			t.Fatalf("%d merges were begun, want all 5", db.running)
		}
		m.Unregister()
	})
}
