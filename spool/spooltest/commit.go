package spooltest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing/synctest"
	"time"

	"tenma/spool"
)

func testCommit(r *rig) {
	ds := []spool.Draft{r.draft(0), r.draft(1), r.draft(5000), r.draft(spool.MaxInline)}
	ds[1].State = nil
	r.commit(ds...)
	for range 2 { // from memory, and from the store
		for i, e := range r.wantFed(ds[0].ID, ds[1].ID, ds[2].ID, ds[3].ID) {
			if !bytes.Equal(e.Envelope, ds[i].Envelope) || !bytes.Equal(e.State, ds[i].State) || e.BodySize != int64(len(ds[i].Body)) || !e.Due.IsZero() {
				r.Fatalf("fed %+v, want %+v", e, ds[i])
			}
		}
		for _, d := range ds {
			r.same(d)
			if got := r.body(d.ID); !bytes.Equal(got, d.Body) {
				r.Fatalf("body of %d octets differs", len(d.Body))
			}
		}
		r.restart()
	}
	r.gone(r.id())
	r.commit()
}

func testKnownID(r *rig) {
	d := r.draft(100)
	r.commit(d)
	again := d
	again.Envelope, again.Body, again.State = []byte("other"), []byte("other"), nil
	other := r.draft(10)
	twice := other
	twice.Body = []byte("other")
	r.commit(again, other, twice)
	r.same(d)
	r.same(other)
	r.wantFed(d.ID, other.ID)
	r.restart()
	r.commit(again)
	r.wantFed(d.ID, other.ID)
	r.same(d)
}

func testAllOrNone(r *rig) {
	a, b, c := r.draft(10), r.draft(10), r.draft(10)
	a.DedupeKey, c.DedupeKey = []byte("k"), []byte("k")
	r.commit(a)
	if err := r.Commit(r.ctx, b, c); !errors.Is(err, spool.ErrDuplicate) {
		r.Fatalf("commit: %v", err)
	}
	r.gone(b.ID)
	r.gone(c.ID)
	missing := r.draft(0)
	missing.Body, missing.Share = nil, r.id()
	if err := r.Commit(r.ctx, b, missing); !errors.Is(err, spool.ErrNotFound) {
		r.Fatalf("share of nothing: %v", err)
	}
	r.gone(b.ID)
	r.wantFed(a.ID)
}

func (r *rig) duplicate(d spool.Draft, first spool.ID) {
	r.Helper()
	var dup *spool.DuplicateError
	if err := r.Commit(r.ctx, d); !errors.As(err, &dup) || !errors.Is(err, spool.ErrDuplicate) || dup.First != first {
		r.Fatalf("commit with a used key: %v, want ErrDuplicate as %v", err, first)
	}
	r.gone(d.ID)
}

func testDedupe(r *rig) {
	long := r.draft(10)
	long.DedupeKey = bytes.Repeat([]byte("k"), 10_000)
	r.commit(long)
	first := r.draft(10)
	first.DedupeKey, first.DedupeFor = []byte("k"), time.Hour
	r.commit(first)
	next := r.draft(10)
	next.DedupeKey = first.DedupeKey
	r.duplicate(next, first.ID)
	r.remove(first.ID)
	r.duplicate(next, first.ID) // remembered after removal
	r.restart()
	r.duplicate(next, first.ID) // and after a restart
	time.Sleep(time.Hour + time.Second)
	r.commit(next)
	other := r.draft(10)
	other.DedupeKey = long.DedupeKey
	time.Sleep(22 * time.Hour)
	r.duplicate(other, long.ID)
	time.Sleep(2 * time.Hour) // 24 h by default
	r.commit(other)
	r.same(next)
}

// testDedupeInGroup has two use a key while neither is durable.
func testDedupeInGroup(r *rig) {
	a, b := r.keyed("k"), r.keyed("k")
	same := a
	same.DedupeKey, same.Body = nil, []byte("other")
	errs := make(chan error, 3)
	r.stop()
	r.startAfter(func(e Engine) { // before Run, so that they surely come together
		for _, d := range []spool.Draft{a, b, same} {
			go func() { errs <- e.Commit(r.ctx, d) }()
			synctest.Wait()
		}
	})
	duplicates := 0
	for range 3 {
		if err := <-errs; errors.Is(err, spool.ErrDuplicate) {
			duplicates++
		} else if err != nil {
			r.Fatal(err)
		}
	}
	if duplicates != 1 {
		r.Fatalf("%d were duplicates", duplicates)
	}
	r.same(a)
	r.gone(b.ID)
	if n := len(r.received()); n != 1 {
		r.Fatalf("%d were fed", n)
	}
	if err := r.Commit(r.ctx, r.keyed("x"), r.keyed("x")); !errors.Is(err, spool.ErrDuplicate) {
		r.Fatalf("same key twice in a call: %v", err)
	}
}

func (r *rig) keyed(key string) spool.Draft {
	d := r.draft(10)
	d.DedupeKey = []byte(key)
	return d
}

func (r *rig) sharing(of spool.Draft) spool.Draft {
	d := r.draft(0)
	d.Body, d.Share = nil, of.ID
	return d
}

// as is what a sharing draft should read as.
func as(d, of spool.Draft) spool.Draft {
	d.Body = of.Body
	return d
}

func testShare(r *rig) {
	a := r.draft(3000)
	r.commit(a)
	b, c := r.sharing(a), r.sharing(a)
	r.commit(b)
	r.commit(c)
	d := r.sharing(b) // of one that shares itself
	r.commit(d)
	r.same(as(b, a))
	r.remove(a.ID)
	r.gone(a.ID)
	r.same(as(b, a))
	r.restart()
	r.same(as(b, a))
	r.same(as(c, a))
	r.remove(b.ID)
	r.remove(c.ID)
	r.same(as(d, a))
	e := r.sharing(d)
	r.commit(e)
	r.remove(d.ID)
	r.same(as(e, a))
	r.remove(e.ID)
	r.gone(e.ID)
	if s := r.Stats(); s.Entries != 0 || s.BodyBytes != 0 {
		r.Fatalf("%+v", s)
	}
}

func testShareInCall(r *rig) {
	a := r.draft(2000)
	b, c := r.sharing(a), r.sharing(a)
	r.commit(a, b, c)
	r.remove(b.ID)
	r.remove(a.ID)
	r.same(as(c, a))
	r.restart()
	r.same(as(c, a))
	// A draft may share the body of the entry whose settlement stores it.
	d := r.sharing(c)
	r.mustSettle(spool.Settlement{ID: c.ID, Remove: true, Drafts: []spool.Draft{d}})
	r.gone(c.ID)
	r.same(as(d, a))
	r.restart()
	r.same(as(d, a))
}

// stage stores a large body in uneven pieces.
func (r *rig) stage(size int) (*spool.Staged, []byte, spool.StageWriter) {
	r.Helper()
	w, err := r.Stage(r.ctx)
	if err != nil {
		r.Fatalf("stage: %v", err)
	}
	body := Text(r.id(), size)
	for rest := body; len(rest) > 0; {
		n := min(len(rest), 100_003)
		if k, err := w.Write(rest[:n]); k != n || err != nil {
			r.Fatalf("write: %d, %v", k, err)
		}
		rest = rest[n:]
	}
	st, err := w.Finish()
	if err != nil {
		r.Fatalf("finish: %v", err)
	}
	if st.Size != int64(size) {
		r.Fatalf("staged %d octets, want %d", st.Size, size)
	}
	return st, body, w
}

func testStage(r *rig) {
	for _, size := range []int{1, spool.MaxInline, spool.MaxInline + 1, 3*spool.MaxInline + 77} {
		st, body, _ := r.stage(size)
		d := r.draft(0)
		d.Body, d.Staged = nil, st
		r.commit(d)
		want := d
		want.Body = body
		r.same(want)
		twice := r.draft(0)
		twice.Body, twice.Staged = nil, st
		if err := r.Commit(r.ctx, twice); !errors.Is(err, spool.ErrNotFound) {
			r.Fatalf("a staged body used twice: %v", err)
		}
		r.restart()
		r.same(want)
		if got := r.body(d.ID); !bytes.Equal(got, body) {
			r.Fatal("Read gives another body than WriteTo")
		}
		r.remove(d.ID)
		r.gone(d.ID)
	}
}

func testStageDiscarded(r *rig) {
	st, _, w := r.stage(2*spool.MaxInline + 5)
	w.Discard()
	w.Discard()
	d := r.draft(0)
	d.Body, d.Staged = nil, st
	r.settled()
	if err := r.Commit(r.ctx, d); !errors.Is(err, spool.ErrNotFound) {
		r.Fatalf("a discarded body: %v", err)
	}
	w, err := r.Stage(r.ctx) // given up half way
	if err != nil {
		r.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 2*spool.MaxInline)); err != nil {
		r.Fatal(err)
	}
	w.Discard()
	if _, err := w.Write([]byte("x")); err == nil {
		r.Fatal("write after discard")
	}
	// Left over by a crash: swept at the next start.
	st, _, _ = r.stage(2 * spool.MaxInline)
	r.restart()
	d.Staged = st
	if err := r.Commit(r.ctx, d); !errors.Is(err, spool.ErrNotFound) {
		r.Fatalf("a staged body after a restart: %v", err)
	}
}

func testRefused(r *rig) {
	zero, large, both := r.draft(1), r.draft(spool.MaxInline+1), r.draft(1)
	zero.ID = spool.ID{}
	both.Share = r.id()
	for _, d := range []spool.Draft{zero, large, both} {
		if err := r.Commit(r.ctx, d); err == nil {
			r.Errorf("%v was stored", d.ID)
		}
		if err := r.settle(spool.Settlement{ID: r.id(), Drafts: []spool.Draft{d}}); err == nil {
			r.Errorf("%v was settled", d.ID)
		}
	}
	r.wantFed()
}

func testScan(r *rig) {
	var ids []spool.ID
	for range 30 {
		d := r.draft(5)
		r.commit(d)
		ids = append(ids, d.ID)
	}
	if got := r.scan(spool.ID{}); !slices.Equal(got, ids) {
		r.Fatalf("scan %v, want %v", got, ids)
	}
	if got := r.scan(ids[9]); !slices.Equal(got, ids[10:]) {
		r.Fatalf("scan behind %v: %v", ids[9], got)
	}
	n := 0
	_ = r.Scan(r.ctx, spool.ID{}, func(spool.Entry) bool { n++; return n < 3 })
	if n != 3 {
		r.Fatalf("scan went on to %d", n)
	}
	for _, id := range ids[:29] {
		r.remove(id)
	}
	if got := r.scan(spool.ID{}); !slices.Equal(got, ids[29:]) {
		r.Fatalf("scan %v", got)
	}
	old := r.draft(5) // an id older than all
	old.ID = spool.NewID(time.Now().Add(-time.Hour), [10]byte{1})
	r.commit(old)
	if got := r.scan(spool.ID{}); !slices.Equal(got, []spool.ID{old.ID, ids[29]}) {
		r.Fatalf("scan %v", got)
	}
	ctx, cancel := context.WithCancel(r.ctx)
	cancel()
	if err := r.Scan(ctx, spool.ID{}, func(spool.Entry) bool { return true }); !errors.Is(err, context.Canceled) {
		r.Fatalf("scan: %v", err)
	}
}

// testScanMoving scans while entries older and younger come and go: what was
// durable before the scan and is still there after it must be seen.
func testScanMoving(r *rig) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	defer func() { close(stop); <-stopped }()
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			d := spool.Draft{Body: []byte("x")}
			d.ID = spool.NewID(time.Now().Add(-time.Duration(i)*time.Minute), [10]byte{byte(i), byte(i >> 8)})
			if r.Commit(r.ctx, d) != nil {
				return
			}
		}
	}()
	for range 100 {
		time.Sleep(time.Millisecond)
		d := r.draft(1)
		d.ID = spool.NewID(time.Now().Add(-1000*time.Hour-time.Duration(r.rng.IntN(1000))*time.Hour), [10]byte{2, byte(r.rng.IntN(256)), byte(r.rng.IntN(256))})
		r.commit(d)
		if !slices.Contains(r.scan(spool.ID{}), d.ID) {
			r.Fatalf("scan misses %v", d.ID)
		}
		if !slices.Contains(r.scan(spool.ID{}), d.ID) {
			r.Fatalf("second scan misses %v", d.ID)
		}
		if r.rng.IntN(2) == 0 {
			r.remove(d.ID)
		}
	}
}
