package pebblespool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/spool"
	"tenma/spool/pebblespool"
	"tenma/spool/spooltest"
)

// world is what a spool should hold: entries as drafts with their present state
// and body, and which are parked.
type world map[spool.ID]item

type item struct {
	spool.Draft
	parked bool
	word   string
}

// step is a call that is answered, and what it makes of the world.
type step struct {
	name  string
	do    func(s *pebblespool.Spool) error
	apply func(w world)
}

func storyID(n int) spool.ID {
	return spool.NewID(time.UnixMilli(946684800000+int64(n)), [10]byte{byte(n)})
}

func storyDraft(n, size int) spool.Draft {
	id := storyID(n)
	return spool.Draft{ID: id, Envelope: fmt.Appendf(nil, "envelope %d", n), State: fmt.Appendf(nil, "state %d", n), Body: spooltest.Text(id, size)}
}

func commits(name string, ds ...spool.Draft) step {
	return step{name, func(s *pebblespool.Spool) error {
		return s.Commit(context.Background(), ds...)
	}, func(w world) {
		for _, d := range ds {
			if !d.Share.IsZero() {
				d.Body = w[d.Share].Body
			}
			w[d.ID] = item{Draft: d}
		}
	}}
}

func settles(name string, set spool.Settlement) step {
	return step{name, func(s *pebblespool.Spool) error {
		done := make(chan error, 1)
		s.Settle(set, func(err error) { done <- err })
		return <-done
	}, func(w world) {
		it := w[set.ID]
		if set.State != nil {
			it.State = set.State
		}
		it.Due, it.parked = set.Due, set.Park
		if set.Keys != nil {
			it.word = set.Keys[0]
		}
		w[set.ID] = it
		for _, d := range set.Drafts {
			if !d.Share.IsZero() {
				d.Body = w[d.Share].Body
			}
			w[d.ID] = item{Draft: d}
		}
		if set.Remove {
			delete(w, set.ID)
		}
	}}
}

// story is a small life of a spool: accepts alone and together, shared and
// staged bodies, deferrals, a bounce, deliveries. farOff is when deferred mail
// is due; dropped counts the times that dead tables were found.
func story(farOff time.Time, dropped *int) []step {
	large := spooltest.Text(storyID(90), spool.MaxInline+70_000)
	staged := storyDraft(5, 0)
	want := staged
	want.Body = large
	share := storyDraft(3, 0)
	share.Body, share.Share = nil, storyID(2)
	dsn, dsn2 := storyDraft(20, 900), storyDraft(21, 0)
	dsn2.Body, dsn2.Share = nil, storyID(2)
	keyed := storyDraft(6, 30_000)
	keyed.DedupeKey = []byte("key")
	return []step{
		commits("accept", storyDraft(1, 4000)),
		{"fill a memtable", func(s *pebblespool.Spool) error { return s.Flush() }, func(world) {}},
		commits("accept two that share", storyDraft(2, 20_000), share),
		settles("change state", spool.Settlement{ID: storyID(1), State: []byte("tried")}),
		settles("defer", spool.Settlement{ID: storyID(1), State: []byte("deferred"), Due: farOff, Park: true, Keys: []string{"word"}}),
		{"accept large", func(s *pebblespool.Spool) error {
			w, err := s.Stage(context.Background())
			if err != nil {
				return err
			}
			if _, err := w.Write(large); err != nil {
				return err
			}
			d := staged
			if d.Staged, err = w.Finish(); err != nil {
				return err
			}
			return s.Commit(context.Background(), d)
		}, func(w world) { w[want.ID] = item{Draft: want} }},
		commits("accept with a key", keyed),
		settles("bounce", spool.Settlement{ID: storyID(2), Remove: true, Drafts: []spool.Draft{dsn, dsn2}}),
		settles("deliver the sharing one", spool.Settlement{ID: storyID(3), Remove: true}),
		settles("defer again", spool.Settlement{ID: storyID(1), State: []byte("deferred twice"), Due: farOff.Add(time.Hour), Park: true, Keys: []string{"other"}}),
		settles("deliver large", spool.Settlement{ID: storyID(5), Remove: true}),
		commits("accept more", storyDraft(7, 60_000)),
		settles("deliver", spool.Settlement{ID: storyID(6), Remove: true}),
		settles("deliver the deferred one", spool.Settlement{ID: storyID(1), Remove: true}),
		{"drop dead tables", func(s *pebblespool.Spool) error {
			return s.ReclaimWhile(func() { *dropped++ })
		}, func(world) {}},
		commits("accept last", storyDraft(8, 100)),
	}
}

// worlds are the world before the first step, after it, and so on.
func worlds(steps []step) []world {
	w := world{}
	all := []world{maps.Clone(w)}
	for _, s := range steps {
		s.apply(w)
		all = append(all, maps.Clone(w))
	}
	return all
}

// tell plays the story, counting the steps that were answered well. It stops at
// the first that was not.
func tell(s *pebblespool.Spool, steps []step, acked *atomic.Int64) error {
	for _, st := range steps {
		if err := st.do(s); err != nil {
			return fmt.Errorf("%s: %w", st.name, err)
		}
		acked.Add(1)
	}
	return nil
}

// check opens what a crash left behind and finds out which of the worlds it is.
// Whatever does not fit is an error: a lost or torn entry, a settlement without
// its draft, an index that leads nowhere, an entry that Feed does not bring or
// brings twice.
func check(fs vfs.FS, all []world, from, to int) error {
	s, err := pebblespool.Open(pebblespool.Options{Dir: "spool", FS: fs, LogAhead: memTable, SettleDelay: time.Millisecond})
	if err != nil {
		return fmt.Errorf("opening after the crash: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	fed := map[spool.ID]int{}
	caught := make(chan struct{}, 100)
	go func() { ended <- s.Run(ctx) }()
	go func() {
		ended <- s.Feed(ctx, func(e spool.Entry) { fed[e.ID]++; caught <- struct{}{} })
	}()
	fail := s.Verify(func(f string) { err = errors.Join(err, errors.New(f)) })
	err = errors.Join(err, fail)

	var misfits []error
	match := -1
	for n := from; n <= min(to, len(all)-1); n++ {
		if m := matches(ctx, s, all[n]); m == nil {
			match = n
		} else {
			misfits = append(misfits, fmt.Errorf("after %d steps: %w", n, m))
		}
	}
	if match < 0 {
		err = errors.Join(append([]error{err, fmt.Errorf("no world from %d to %d fits", from, to)}, misfits...)...)
	} else {
		for _, it := range all[match] {
			if !it.parked {
				<-caught
			}
		}
	}
	// It must be good for work, too.
	d := storyDraft(99, 50)
	err = errors.Join(err, s.Commit(ctx, d))
	<-caught
	err = errors.Join(err, spooltest.Same(ctx, s, d))
	cancel()
	err = errors.Join(err, <-ended, <-ended, s.Close())
	if match >= 0 {
		for id, it := range all[match] {
			if want := map[bool]int{false: 1, true: 0}[it.parked]; fed[id] != want {
				err = errors.Join(err, fmt.Errorf("%v was fed %d times, want %d", id, fed[id], want))
			}
		}
	}
	return err
}

func matches(ctx context.Context, s *pebblespool.Spool, w world) error {
	var have, want []spool.ID
	byWord := map[string][]spool.ID{}
	err := s.Scan(ctx, spool.ID{}, func(e spool.Entry) bool {
		have = append(have, e.ID)
		return true
	})
	if err != nil {
		return err
	}
	for id, it := range w {
		want = append(want, id)
		if it.word != "" {
			byWord[it.word] = append(byWord[it.word], id)
		}
	}
	slices.SortFunc(want, func(a, b spool.ID) int { return bytes.Compare(a[:], b[:]) })
	if !slices.Equal(have, want) {
		return fmt.Errorf("have %v, want %v", have, want)
	}
	for id, it := range w {
		if err := spooltest.Same(ctx, s, it.Draft); err != nil {
			return err
		}
		if e, _ := s.Get(ctx, id); !e.Due.Equal(it.Due) {
			return fmt.Errorf("%v is due %v, want %v", id, e.Due, it.Due)
		}
	}
	for _, word := range []string{"word", "other"} {
		var found []spool.ID
		err := s.Find(ctx, word, spool.ID{}, func(e spool.Entry) bool { found = append(found, e.ID); return true })
		if err != nil || !slices.Equal(found, byWord[word]) {
			return fmt.Errorf("find %s gives %v, want %v: %w", word, found, byWord[word], err)
		}
	}
	return nil
}
