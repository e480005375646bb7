package spooltest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"tenma/spool"
)

func (r *rig) get(id spool.ID) spool.Entry {
	r.Helper()
	e, err := r.Get(r.ctx, id)
	if err != nil {
		r.Fatalf("get %v: %v", id, err)
	}
	return e
}

func testSettle(r *rig) {
	d := r.draft(100)
	r.commit(d)
	r.wantFed(d.ID)
	due := time.Now().Add(time.Minute)
	steps := []struct {
		s     spool.Settlement
		state string
		due   time.Time
	}{
		{spool.Settlement{State: []byte("one"), Due: due}, "one", due},
		{spool.Settlement{}, "one", time.Time{}},
		{spool.Settlement{State: []byte("two")}, "two", time.Time{}},
		{spool.Settlement{Due: due}, "two", due},
		{spool.Settlement{State: []byte{}}, "", time.Time{}},
	}
	for _, st := range steps {
		st.s.ID = d.ID
		r.mustSettle(st.s)
		for range 2 {
			if e := r.get(d.ID); string(e.State) != st.state || !e.Due.Equal(st.due) {
				r.Fatalf("after %+v: state %q due %v", st.s, e.State, e.Due)
			}
			r.restart()
			r.wantFed(d.ID)
		}
	}
	want := d
	want.State = nil
	r.same(want)
	r.remove(d.ID)
	r.gone(d.ID)
	r.restart()
	r.gone(d.ID)
	r.wantFed()
}

func testSettleDrafts(r *rig) {
	d := r.draft(100)
	r.commit(d)
	r.wantFed(d.ID)
	known := r.draft(60)
	r.commit(known)
	changed := known
	changed.Body = []byte("other")
	keyed := r.keyed("key")
	r.commit(keyed)
	used, dsn := r.keyed("key"), r.draft(50)
	r.wantFed(known.ID, keyed.ID)
	r.mustSettle(spool.Settlement{ID: d.ID, Remove: true, Drafts: []spool.Draft{used, changed, dsn}})
	r.gone(d.ID)
	r.gone(used.ID) // its key was used; the rest holds
	r.same(known)
	r.same(dsn)
	r.wantFed(dsn.ID)
	r.restart()
	r.wantFed(known.ID, keyed.ID, dsn.ID)
	r.same(dsn)
}

func testSettleNothing(r *rig) {
	dsn := r.draft(50)
	err := r.settle(spool.Settlement{ID: r.id(), Remove: true, Drafts: []spool.Draft{dsn}})
	if !errors.Is(err, spool.ErrNotFound) {
		r.Fatalf("settlement of nothing: %v", err)
	}
	r.gone(dsn.ID)
	d := r.draft(10)
	r.commit(d)
	first, second := make(chan error, 1), make(chan error, 1)
	r.Settle(spool.Settlement{ID: d.ID, Remove: true}, func(err error) { first <- err })
	r.Settle(spool.Settlement{ID: d.ID, Remove: true}, func(err error) { second <- err })
	if a, b := <-first, <-second; a != nil || !errors.Is(b, spool.ErrNotFound) {
		r.Fatalf("removed twice: %v, %v", a, b)
	}
	missing := r.sharing(r.draft(1))
	e := r.draft(10)
	r.commit(e)
	if err := r.settle(spool.Settlement{ID: e.ID, Remove: true, Drafts: []spool.Draft{dsn, missing}}); !errors.Is(err, spool.ErrNotFound) {
		r.Fatalf("draft that shares nothing: %v", err)
	}
	r.same(e)
	r.gone(dsn.ID)
	r.Settle(spool.Settlement{ID: e.ID, Remove: true}, nil)
	r.settled()
	r.gone(e.ID)
}

func testFeedRestart(r *rig) {
	var ids []spool.ID
	for range 1500 { // more than an engine is likely to read at a time
		d := r.draft(1)
		ids = append(ids, d.ID)
	}
	for _, i := range r.rng.Perm(len(ids)) {
		r.commit(spool.Draft{ID: ids[i], Body: []byte("x")})
	}
	if got := r.received(); len(got) != len(ids) {
		r.Fatalf("%d were fed", len(got))
	}
	r.restart()
	r.wantFed(ids...)
	if s := r.Stats(); s.Rebuilding || s.Entries != int64(len(ids)) {
		r.Fatalf("%+v", s)
	}
	if e := r.Feed(r.ctx, nil); e == nil {
		r.Fatal("two Feeds at a time")
	}
}

// testFeedAgain ends Feed and begins it again: nothing comes twice.
func testFeedAgain(r *rig) {
	a := r.draft(1)
	r.commit(a)
	r.stop()
	r.open2(func(e Engine, ctx context.Context) {
		var got []spool.ID
		for range 3 {
			c, stop := context.WithCancel(ctx)
			done := make(chan error)
			go func() { done <- e.Feed(c, func(e spool.Entry) { got = append(got, e.ID) }) }()
			time.Sleep(time.Second)
			synctest.Wait()
			stop()
			if err := <-done; err != nil {
				r.Fatal(err)
			}
		}
		if !slices.Equal(got, []spool.ID{a.ID}) {
			r.Fatalf("three Feeds brought %v", got)
		}
	})
	r.start()
}

// open2 opens the engine without the rig's Feed.
func (r *rig) open2(with func(Engine, context.Context)) {
	e, err := r.open()
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- e.Run(ctx) }()
	with(e, ctx)
	cancel()
	if err := <-done; err != nil {
		r.Fatal(err)
	}
	if err := e.Close(); err != nil {
		r.Fatal(err)
	}
}

// testFeedBlocked has a receiver that does not take: commits go on, and all is
// there later.
func testFeedBlocked(r *rig) {
	gate := make(chan struct{})
	var got atomic.Int64
	r.on = func(spool.Entry) { <-gate; got.Add(1) }
	const n = 6000
	for range n {
		r.commit(spool.Draft{ID: r.id()})
	}
	close(gate)
	r.settled()
	if got.Load() != n {
		r.Fatalf("%d of %d were fed", got.Load(), n)
	}
}

func testFind(r *rig) {
	var ids []spool.ID
	for range 5 {
		d := r.draft(1)
		r.commit(d)
		ids = append(ids, d.ID)
		r.mustSettle(spool.Settlement{ID: d.ID, Keys: []string{"all", "only " + d.ID.String(), strings.Repeat("long", 1000)}})
	}
	for range 2 {
		if got := r.find("all", spool.ID{}); !slices.Equal(got, ids) {
			r.Fatalf("find %v", got)
		}
		if got := r.find("all", ids[1]); !slices.Equal(got, ids[2:]) {
			r.Fatalf("find behind %v: %v", ids[1], got)
		}
		if got := r.find("only "+ids[3].String(), spool.ID{}); !slices.Equal(got, ids[3:4]) {
			r.Fatalf("find %v", got)
		}
		if got := r.find(strings.Repeat("long", 1000), spool.ID{}); !slices.Equal(got, ids) {
			r.Fatalf("find %v", got)
		}
		for _, none := range []string{"al", "alll", "", "ALL", strings.Repeat("long", 1001)} {
			if got := r.find(none, spool.ID{}); got != nil {
				r.Fatalf("find %q: %v", none, got)
			}
		}
		r.restart()
	}
	r.mustSettle(spool.Settlement{ID: ids[0], Keys: []string{"new"}})
	r.mustSettle(spool.Settlement{ID: ids[1], Keys: []string{}})
	r.mustSettle(spool.Settlement{ID: ids[2], State: []byte("x")}) // as they were
	r.Settle(spool.Settlement{ID: ids[3], Keys: []string{"first"}}, nil)
	r.Settle(spool.Settlement{ID: ids[3], Keys: []string{"second"}}, nil)
	r.remove(ids[4])
	if got := r.find("all", spool.ID{}); !slices.Equal(got, ids[2:3]) {
		r.Fatalf("find %v", got)
	}
	if got := r.find("new", spool.ID{}); !slices.Equal(got, ids[:1]) {
		r.Fatalf("find %v", got)
	}
	if a, b := r.find("first", spool.ID{}), r.find("second", spool.ID{}); a != nil || !slices.Equal(b, ids[3:4]) {
		r.Fatalf("find %v %v", a, b)
	}
	if got := r.find("only "+ids[4].String(), spool.ID{}); got != nil {
		r.Fatalf("find of a removed entry: %v", got)
	}
}

func testOpenRemove(r *rig) {
	d := r.draft(1000)
	r.commit(d)
	r.restart()
	for range 2 {
		b, err := r.Open(r.ctx, d.ID)
		if err != nil {
			r.Fatal(err)
		}
		r.remove(d.ID)
		if all, err := io.ReadAll(b); err != nil || !bytes.Equal(all, d.Body) {
			r.Fatalf("body after removal: %d octets, %v", len(all), err)
		}
		_ = b.Close()
		r.gone(d.ID)
		r.commit(d)
	}
}

func testOpenLargeRemove(r *rig) {
	for round := range 2 {
		st, body, _ := r.stage(4*spool.MaxInline + 9)
		d := r.draft(0)
		d.Body, d.Staged = nil, st
		r.commit(d)
		b, err := r.Open(r.ctx, d.ID)
		if err != nil {
			r.Fatal(err)
		}
		b2, err := r.Open(r.ctx, d.ID)
		if err != nil {
			r.Fatal(err)
		}
		var half [3 * spool.MaxInline / 2]byte
		if _, err := io.ReadFull(b, half[:]); err != nil {
			r.Fatal(err)
		}
		r.remove(d.ID)
		r.gone(d.ID)
		_ = b2.Close()
		r.settled()
		var rest bytes.Buffer
		if _, err := b.WriteTo(&rest); err != nil || !bytes.Equal(append(half[:], rest.Bytes()...), body) {
			r.Fatalf("body after removal differs: %v", err)
		}
		if round == 0 {
			_ = b.Close()
			_ = b.Close()
			r.settled()
		}
		r.received()
		r.restart()
		r.wantFed()
		if round == 1 {
			_ = b.Close()
		}
	}
}

func testStats(r *rig) {
	ds := []spool.Draft{r.draft(100), r.draft(200), r.draft(300)}
	r.commit(ds...)
	r.received()
	r.park(ds[0].ID, time.Now().Add(time.Hour))
	check := func(when string) {
		r.Helper()
		r.settled()
		s := r.Stats()
		if s.Entries != 3 || s.Parked != 1 || s.BodyBytes != 600 || s.Rebuilding {
			r.Fatalf("%s: %+v", when, s)
		}
	}
	check("at first")
	if s := r.Stats(); s.Commits != 3 || s.Settlements != 1 || s.Groups < 2 {
		r.Fatalf("%+v", s)
	}
	r.restart()
	check("after a restart")
	for _, d := range ds {
		r.remove(d.ID)
	}
	if s := r.Stats(); s.Entries != 0 || s.Parked != 0 || s.BodyBytes != 0 || s.CachedBytes != 0 {
		r.Fatalf("in the end: %+v", s)
	}
	if err := r.Health(); err != nil {
		r.Fatal(err)
	}
}

// testEnd ends Run while things wait: they are made durable first.
func testEnd(r *rig) {
	d, e := r.draft(10), r.draft(10)
	r.commit(d, e)
	r.received()
	var settled, unsettled error = errors.New("not called"), nil
	r.Settle(spool.Settlement{ID: d.ID, Remove: true}, func(err error) { settled = err })
	r.cancel()
	if err := <-r.ended; err != nil {
		r.Fatal(err)
	}
	if settled != nil {
		r.Fatalf("a settlement from before the end: %v", settled)
	}
	r.Settle(spool.Settlement{ID: e.ID, Remove: true}, func(err error) { unsettled = err })
	if !errors.Is(unsettled, spool.ErrClosed) {
		r.Fatalf("a settlement after the end: %v", unsettled)
	}
	if err := r.Commit(context.Background(), r.draft(1)); !errors.Is(err, spool.ErrClosed) {
		r.Fatalf("a commit after the end: %v", err)
	}
	if _, err := r.Stage(context.Background()); !errors.Is(err, spool.ErrClosed) {
		r.Fatalf("a stage after the end: %v", err)
	}
	r.Unpark(e.ID)
	<-r.fed
	if err := r.Close(); err != nil {
		r.Fatal(err)
	}
	if _, err := r.Get(context.Background(), r.id()); err == nil {
		r.Fatal("get after close")
	}
	r.start()
	r.wantFed(e.ID)
	r.gone(d.ID)
}

// testNoRun has a commit give up on an engine that does not run.
func testNoRun(r *rig) {
	r.stop()
	e, err := r.open()
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := e.Commit(ctx, r.draft(1)); !errors.Is(err, context.DeadlineExceeded) {
		r.Fatalf("commit: %v", err)
	}
	if err := e.Close(); err != nil {
		r.Fatal(err)
	}
	r.start()
}

// testConcurrent has many goroutines commit, and the receiver park, change and
// remove: each entry comes once for its commit and once for each park.
func testConcurrent(r *rig) {
	const writers, each, parks = 16, 60, 3
	var mu sync.Mutex
	out := map[spool.ID]bool{} // with the receiver
	fed := map[spool.ID]int{}
	var errs []error
	fail := func(err error) {
		if err != nil {
			mu.Lock()
			errs = append(errs, err)
			mu.Unlock()
		}
	}
	r.on = func(e spool.Entry) {
		mu.Lock()
		if out[e.ID] {
			errs = append(errs, errors.New(e.ID.String()+" was fed while it was out"))
		}
		out[e.ID] = true
		fed[e.ID]++
		n := fed[e.ID]
		mu.Unlock()
		if err := Same(r.ctx, r.Engine, spool.Draft{ID: e.ID, Envelope: e.Envelope, State: e.State, Body: Text(e.ID, 500)}); err != nil {
			fail(err)
		}
		s := spool.Settlement{ID: e.ID, State: []byte{byte(n)}, Due: time.Now().Add(time.Duration(n*int(e.ID[15])) * time.Second), Park: true}
		if n > parks {
			s = spool.Settlement{ID: e.ID, Remove: true}
		}
		mu.Lock()
		out[e.ID] = false // before it is parked: the hand-out may come first
		mu.Unlock()
		r.Settle(s, fail)
	}
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				id := spool.NewID(time.Now(), [10]byte{byte(w), byte(i), 9: byte(i * w)})
				fail(r.Commit(r.ctx, spool.Draft{ID: id, Envelope: []byte("e"), Body: Text(id, 500)}))
				r.Unpark(id)
				if i%10 == 0 {
					time.Sleep(time.Second)
				}
			}
		})
	}
	all.Wait()
	time.Sleep(24 * time.Hour)
	r.settled()
	mu.Lock()
	defer mu.Unlock()
	if len(errs) > 0 {
		r.Fatal(errs[0])
	}
	if len(fed) != writers*each {
		r.Fatalf("%d entries were fed", len(fed))
	}
	for id, n := range fed {
		if n != parks+1 {
			r.Fatalf("%v was fed %d times", id, n)
		}
	}
	if s := r.Stats(); s.Entries != 0 || s.Parked != 0 || s.CachedBytes != 0 {
		r.Fatalf("%+v", s)
	}
	if got := r.scan(spool.ID{}); got != nil {
		r.Fatalf("left over: %v", got)
	}
}
