package pebblespool_test

import (
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/spool"
	"tenma/spool/pebblespool"
	"tenma/spool/spooltest"
)

// smallDisk is a file system of 24 MiB, of which the spool keeps 6 free.
type smallDisk struct{ *vfs.MemFS }

func (d smallDisk) free() (free, total uint64, err error) {
	names, err := d.List("spool")
	used := uint64(0)
	for _, name := range names {
		if info, err := d.Stat("spool/" + name); err == nil {
			used += uint64(info.Size())
		}
	}
	return 24<<20 - min(used, 24<<20), 24 << 20, err
}

// noise is a draft with a body that does not pack.
func noise(n, size int) spool.Draft {
	d := storyDraft(n, size)
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], uint64(n))
	_, _ = rand.NewChaCha8(seed).Read(d.Body)
	return d
}

// fill commits mail until the disk is full, and gives what it committed.
func fill(t *testing.T, s *pebblespool.Spool, from int) (all []spool.Draft) {
	t.Helper()
	for n := from; ; n++ {
		d := noise(n, 20<<10)
		err := s.Commit(t.Context(), d)
		if errors.Is(err, spool.ErrFull) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
		time.Sleep(20 * time.Millisecond) // so that the disk is asked now and then
	}
}

// TestRoomOfRemovedMail fills a small disk and removes mail: all of it, or what
// leaves a part of each table alive. Then mail must be taken again, without a
// restart and without new mail to push the removals out of memory.
func TestRoomOfRemovedMail(t *testing.T) {
	for name, stays := range map[string]func(n int) bool{
		"all of it": func(int) bool { return false },
		"scattered": func(n int) bool { return n%10 == 0 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := smallDisk{vfs.NewMem()}
				s, stop := started(t, pebblespool.Options{FS: disk, Memory: -1, MemTable: 1 << 20, MinFreePercent: 25, FreeSpace: disk.free, LogAhead: -1})
				defer stop()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go func() { _ = s.Feed(ctx, func(spool.Entry) {}) }()
				mail := fill(t, s, 1)
				if len(mail) < 300 {
					t.Fatalf("full after %d messages", len(mail))
				}
				var left []spool.Draft
				var settled sync.WaitGroup
				for n, d := range mail {
					if stays(n) {
						left = append(left, d)
						continue
					}
					settled.Add(1)
					s.Settle(spool.Settlement{ID: d.ID, Remove: true}, func(err error) {
						if err != nil {
							t.Error(err)
						}
						settled.Done()
					})
				}
				settled.Wait()
				if err := s.Commit(ctx, storyDraft(5000, 1)); !errors.Is(err, spool.ErrFull) {
					t.Fatalf("the removals alone gave room back: %v", err)
				}
				time.Sleep(time.Minute)
				again := fill(t, s, 6000)
				if len(again) < len(mail)/2 {
					t.Errorf("%d messages found room after %d were removed", len(again), len(mail)-len(left))
				}
				same(t, s, append(left, again...))
			})
		})
	}
}

// TestReclaimKeepsMail stores mail in waves, shared bodies among it, and removes
// most of the older waves and some of the last, with a search for dead tables after
// each and two restarts.
func TestReclaimKeepsMail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rng, fs := rng(1), vfs.NewMem()
		mail := map[int]spool.Draft{}
		const wave = 200
		n, found := 0, 0
		for range 3 {
			s, stop := started(t, pebblespool.Options{FS: fs, Memory: -1, MemTable: 1 << 20, LogAhead: -1})
			for range 3 {
				for range wave {
					mail[n] = commitSome(t, s, mail, n, rng)
					n++
				}
				for i := range n {
					d, is := mail[i]
					if !is || i < n-wave && rng.IntN(200) == 0 || i >= n-wave && rng.IntN(3) > 0 {
						continue
					}
					if err := settle(s, spool.Settlement{ID: d.ID, Remove: true}); err != nil {
						t.Fatal(err)
					}
					delete(mail, i)
				}
				if err := s.ReclaimWhile(func() { found++ }); err != nil {
					t.Fatal(err)
				}
			}
			same(t, s, slices.Collect(maps.Values(mail)))
			stop()
		}
		if found < 3 {
			t.Errorf("dead tables were found %d times", found)
		}
	})
}

// commitSome commits message n, one in ten with the body of another.
func commitSome(t *testing.T, s *pebblespool.Spool, mail map[int]spool.Draft, n int, rng *rand.Rand) spool.Draft {
	t.Helper()
	d := noise(n+1, 10<<10+rng.IntN(10<<10))
	commit := d
	if other, is := mail[n-1-rng.IntN(100)]; is && rng.IntN(10) == 0 {
		d.Body = other.Body
		commit.Body, commit.Share = nil, other.ID
	}
	if err := s.Commit(t.Context(), commit); err != nil {
		t.Fatal(err)
	}
	return d
}

func same(t *testing.T, s *pebblespool.Spool, all []spool.Draft) {
	t.Helper()
	for _, d := range all {
		if err := spooltest.Same(t.Context(), s, d); err != nil {
			t.Error(err)
		}
	}
}

// TestReclaimDrops removes all mail, and finds the tables gone at once; unless
// mail was stored since the search for dead tables began whose id falls among the
// removed ones: that must survive.
func TestReclaimDrops(t *testing.T) {
	for name, late := range map[string][]spool.Draft{"nothing since": nil, "younger mail": {noise(101, 20<<10)}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, stop := started(t, pebblespool.Options{Memory: -1, MemTable: 1 << 20, LogAhead: -1})
				defer stop()
				ctx := t.Context()
				for n := 1; n <= 200; n++ {
					if n == 101 {
						continue
					}
					d := noise(n, 20<<10)
					if err := s.Commit(ctx, d); err != nil {
						t.Fatal(err)
					}
					if err := settle(s, spool.Settlement{ID: d.ID, Due: time.Now().Add(time.Hour), Park: true}); err != nil {
						t.Fatal(err)
					}
				}
				full := s.Pebble().Total().TablesSize
				for n := 1; n <= 200; n++ {
					if err := settle(s, spool.Settlement{ID: storyDraft(n, 1).ID, Remove: true}); err != nil && n != 101 {
						t.Fatal(err)
					}
				}
				if err := s.ReclaimWhile(func() {
					if err := s.Commit(ctx, late...); err != nil {
						t.Error(err)
					}
				}); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				same(t, s, late)
				if size := s.Pebble().Total().TablesSize; late == nil && size > full/2 {
					t.Errorf("tables of %d octets, before of %d", size, full)
				}
			})
		})
	}
}
