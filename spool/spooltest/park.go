package spooltest

import (
	"testing/synctest"
	"time"

	"tenma/spool"
)

func testPark(r *rig) {
	a, b := r.draft(10), r.draft(10)
	r.commit(a, b)
	r.wantFed(a.ID, b.ID)
	start := time.Now()
	due := start.Add(90 * time.Minute)
	r.mustSettle(spool.Settlement{ID: a.ID, State: []byte("later"), Due: due, Park: true})
	r.park(b.ID, start.Add(30*time.Minute))
	if s := r.Stats(); s.Parked != 2 {
		r.Fatalf("%+v", s)
	}
	r.wantFed()
	time.Sleep(time.Until(start.Add(30*time.Minute - time.Second)))
	r.wantFed()
	time.Sleep(2 * time.Second)
	r.wantFed(b.ID)
	time.Sleep(time.Until(due.Add(-2 * time.Second)))
	r.wantFed()
	time.Sleep(3 * time.Second)
	if e := r.wantFed(a.ID)[0]; string(e.State) != "later" || !e.Due.Equal(due) {
		r.Fatalf("fed %+v", e)
	}
	r.same(spool.Draft{ID: a.ID, Envelope: a.Envelope, State: []byte("later"), Body: a.Body})
	time.Sleep(24 * time.Hour)
	r.wantFed() // neither comes again
	if s := r.Stats(); s.Parked != 0 || s.Entries != 2 {
		r.Fatalf("%+v", s)
	}
	for i := range 20 { // over and over, with the same and with other times
		r.park(a.ID, time.Now().Add(time.Duration(i%3)*time.Hour))
		time.Sleep(3 * time.Hour)
		r.wantFed(a.ID)
	}
	r.park(a.ID, time.Now().Add(time.Hour))
	r.remove(a.ID)
	time.Sleep(2 * time.Hour)
	r.wantFed()
	if s := r.Stats(); s.Parked != 0 || s.Entries != 1 {
		r.Fatalf("%+v", s)
	}
}

func testParkRestart(r *rig) {
	a, b, c := r.draft(10), r.draft(10), r.draft(10)
	r.commit(a, b, c)
	r.wantFed(a.ID, b.ID, c.ID)
	r.park(a.ID, time.Now().Add(time.Hour))
	r.park(b.ID, time.Now().Add(10*time.Second))
	r.restart()
	r.wantFed(c.ID)
	if s := r.Stats(); s.Parked != 2 || s.Entries != 3 {
		r.Fatalf("%+v", s)
	}
	time.Sleep(11 * time.Second)
	r.wantFed(b.ID)
	r.stop()
	time.Sleep(2 * time.Hour) // a falls due while nobody is there
	r.start()
	got := r.received()
	if len(got) != 3 { // b was out when the process ended
		r.Fatalf("fed %v", got)
	}
	if s := r.Stats(); s.Parked != 0 || s.Entries != 3 {
		r.Fatalf("%+v", s)
	}
	for range 3 {
		r.restart()
		if got := r.received(); len(got) != 3 {
			r.Fatalf("fed %v", got)
		}
	}
}

// testParkBelowMark parks with times that the reading of the due index has
// passed already.
func testParkBelowMark(r *rig) {
	a, b := r.draft(10), r.draft(10)
	r.commit(a, b)
	r.wantFed(a.ID, b.ID)
	r.park(a.ID, time.Now().Add(time.Hour))
	time.Sleep(2 * time.Hour)
	r.wantFed(a.ID)
	for range 3 {
		for _, back := range []time.Duration{0, time.Hour, 2 * time.Hour, 1000 * time.Hour} {
			r.park(b.ID, time.Now().Add(-back))
			r.wantFedSoon(b.ID)
			r.park(b.ID, time.Time{})
			r.wantFedSoon(b.ID)
		}
	}
	r.restart()
	got := r.received()
	if len(got) != 2 {
		r.Fatalf("fed %v", got)
	}
	if s := r.Stats(); s.Parked != 0 {
		r.Fatalf("%+v", s)
	}
}

func (r *rig) wantFedSoon(id spool.ID) {
	r.Helper()
	time.Sleep(time.Second)
	r.wantFed(id)
}

func testParkDraft(r *rig) {
	d, soon := r.draft(10), r.draft(10)
	d.Due, soon.Due = time.Now().Add(5*time.Hour), time.Now().Add(time.Second)
	r.commit(d, soon)
	time.Sleep(time.Second)
	if e := r.wantFed(soon.ID)[0]; !e.Due.Equal(soon.Due) {
		r.Fatalf("fed %+v", e)
	}
	r.restart()
	r.wantFed(soon.ID)
	time.Sleep(5 * time.Hour)
	if e := r.wantFed(d.ID)[0]; !e.Due.Equal(d.Due) {
		r.Fatalf("fed %+v", e)
	}
}

func testUnpark(r *rig) {
	a, b := r.draft(10), r.draft(10)
	r.commit(a, b)
	r.wantFed(a.ID, b.ID)
	r.Unpark(a.ID, b.ID, r.id()) // not parked
	r.Unpark()
	r.wantFed()
	r.park(a.ID, time.Now().Add(time.Hour))
	r.Unpark(a.ID)
	r.Unpark(a.ID)
	r.wantFed(a.ID)
	time.Sleep(2 * time.Hour)
	r.wantFed()
	r.park(b.ID, time.Now().Add(time.Hour))
	r.restart()
	r.wantFed(a.ID)
	r.Unpark(b.ID, b.ID)
	r.wantFed(b.ID)
	time.Sleep(2 * time.Hour)
	r.wantFed()
	r.park(b.ID, time.Now().Add(time.Hour))
	time.Sleep(2 * time.Hour)
	r.wantFed(b.ID)
	r.Unpark(b.ID) // fell due by itself
	r.wantFed()
	r.restart()
	if got := r.received(); len(got) != 2 {
		r.Fatalf("fed %v", got)
	}
	if s := r.Stats(); s.Parked != 0 || s.Entries != 2 {
		r.Fatalf("%+v", s)
	}
}

// testSettleUnread settles, unparks and removes stored entries while Feed is
// held up before it has come to them.
func testSettleUnread(r *rig) {
	var ds []spool.Draft
	for range 40 {
		d := r.draft(10)
		r.commit(d)
		ds = append(ds, d)
	}
	r.received()
	r.park(ds[10].ID, time.Now().Add(time.Hour))
	r.park(ds[11].ID, time.Now().Add(time.Hour))
	r.park(ds[12].ID, time.Now().Add(time.Second))
	r.stop()
	gate := make(chan struct{})
	times := map[spool.ID]int{}
	states := map[spool.ID]string{}
	r.on = func(e spool.Entry) { <-gate; times[e.ID]++; states[e.ID] = string(e.State) }
	r.start()
	synctest.Wait() // Feed holds the first
	r.Unpark(ds[10].ID)
	r.remove(ds[20].ID)
	r.mustSettle(spool.Settlement{ID: ds[21].ID, State: []byte("changed")})
	r.park(ds[22].ID, time.Now().Add(time.Hour))
	r.Unpark(ds[30].ID)
	time.Sleep(2 * time.Second)
	close(gate)
	r.settled()
	for i, d := range ds {
		want := map[int]int{11: 0, 20: 0, 22: 0}
		n, special := want[i]
		if !special {
			n = 1
		}
		if times[d.ID] != n {
			r.Errorf("entry %d was fed %d times, want %d", i, times[d.ID], n)
		}
	}
	if states[ds[21].ID] != "changed" {
		r.Errorf("fed an old state %q", states[ds[21].ID])
	}
	if s := r.Stats(); s.Entries != 39 || s.Parked != 2 || s.BodyBytes != 390 {
		r.Errorf("%+v", s)
	}
	time.Sleep(2 * time.Hour)
	r.settled()
	for _, i := range []int{10, 11, 12, 22} {
		if times[ds[i].ID] != 1 {
			r.Errorf("entry %d was fed %d times", i, times[ds[i].ID])
		}
	}
	r.mu.Lock()
	r.on = nil
	r.mu.Unlock()
}
