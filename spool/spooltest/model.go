package spooltest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"tenma/spool"
)

// kept is what the model knows of an entry.
type kept struct {
	draft  spool.Draft // State and Due as they are now
	parked bool
	words  string
}

// due reports that the entry's time has come; an engine may count in seconds.
func (k *kept) due() bool {
	return !time.Now().Before(k.draft.Due.Add(time.Second - 1).Truncate(time.Second))
}

// testModel drives the engine at random and compares it after each step with a
// model: a map. The seed says what happens.
func testModel(r *rig, seed uint64) {
	r.rng = rand.New(rand.NewPCG(seed, 0))
	model := map[spool.ID]*kept{}
	var ids []spool.ID // of all that ever were
	want := map[spool.ID]int{}
	any := func() (spool.ID, *kept) {
		if len(ids) == 0 {
			return r.id(), nil
		}
		id := ids[r.rng.IntN(len(ids))]
		return id, model[id]
	}
	var story []string
	for step := range 100 {
		id, k := any()
		switch op := r.rng.IntN(10); {
		case op <= 2:
			var ds []spool.Draft
			for range 1 + r.rng.IntN(3) {
				d := r.draft(r.rng.IntN(2000))
				if r.rng.IntN(6) == 0 {
					d.Due = time.Now().Add(time.Duration(r.rng.IntN(7200)) * time.Second)
				}
				ds = append(ds, d)
			}
			if k != nil && r.rng.IntN(2) == 0 {
				ds[0].Body, ds[0].Share = nil, id
			}
			r.commit(ds...)
			for i, d := range ds {
				if i == 0 && !d.Share.IsZero() {
					d.Body = k.draft.Body
				}
				parked := time.Until(d.Due) > 15*time.Minute
				model[d.ID] = &kept{draft: d, parked: parked}
				ids = append(ids, d.ID)
				if !parked {
					want[d.ID]++
				}
			}
			story = append(story, "commit")
		case op <= 4 && k != nil:
			s := spool.Settlement{ID: id, State: fmt.Appendf(nil, "state %d", step), Park: true}
			s.Due = time.Now().Add(time.Duration(r.rng.IntN(7200)-600) * time.Second)
			k.words = fmt.Sprint("word", r.rng.IntN(3))
			s.Keys = []string{k.words}
			r.mustSettle(s)
			k.draft.State, k.draft.Due, k.parked = s.State, s.Due, true
			story = append(story, fmt.Sprint("park ", id))
		case op == 5 && k != nil && !k.parked:
			s := spool.Settlement{ID: id, State: fmt.Appendf(nil, "state %d", step)}
			r.mustSettle(s)
			k.draft.State, k.draft.Due = s.State, s.Due
			story = append(story, fmt.Sprint("settle ", id))
		case op == 6 && k != nil:
			r.remove(id)
			delete(model, id)
			story = append(story, fmt.Sprint("remove ", id))
		case op == 7:
			r.Unpark(id)
			if k != nil && k.parked && !k.due() {
				k.parked = false
				want[id]++
			}
			story = append(story, fmt.Sprint("unpark ", id))
		case op == 8:
			time.Sleep(time.Duration(r.rng.IntN(3600)) * time.Second)
			story = append(story, "sleep")
		case op == 9 && r.rng.IntN(2) == 0:
			r.restart()
			for id, k := range model {
				if !k.parked {
					want[id]++
				}
			}
			story = append(story, "restart")
		}
		time.Sleep(2 * time.Second)
		got := map[spool.ID]int{}
		for _, e := range r.received() {
			got[e.ID]++
		}
		for id, k := range model {
			if k.parked && k.due() {
				k.parked = false
				want[id]++
			}
			if got[id] != want[id] {
				r.Fatalf("seed %d step %d: %v was fed %d times, want %d\n%q", seed, step, id, got[id], want[id], story)
			}
		}
		clear(want)
		r.compare(model, fmt.Sprintf("seed %d step %d %q", seed, step, story))
	}
}

func (r *rig) compare(model map[spool.ID]*kept, when string) {
	r.Helper()
	var ids []spool.ID
	st := spool.Stats{}
	for id, k := range model {
		ids = append(ids, id)
		st.Entries++
		st.BodyBytes += int64(len(k.draft.Body))
		if k.parked {
			st.Parked++
		}
	}
	slices.SortFunc(ids, func(a, b spool.ID) int { return bytes.Compare(a[:], b[:]) })
	if got := r.scan(spool.ID{}); !slices.Equal(got, ids) {
		r.Fatalf("%s: scan gives %d entries, want %d", when, len(got), len(ids))
	}
	for _, id := range ids {
		if r.rng.IntN(10) > 0 {
			continue // a part of them at each step
		}
		if err := Same(r.ctx, r.Engine, model[id].draft); err != nil {
			r.Fatalf("%s: %v", when, err)
		}
	}
	for _, word := range []string{"word0", "word1", "word2"} {
		var with []spool.ID
		for _, id := range ids {
			if model[id].words == word {
				with = append(with, id)
			}
		}
		if got := r.find(word, spool.ID{}); !slices.Equal(got, with) {
			r.Fatalf("%s: find %s gives %v, want %v", when, word, got, with)
		}
	}
	got := r.Stats()
	if got.Entries != st.Entries || got.Parked != st.Parked || got.BodyBytes != st.BodyBytes {
		r.Fatalf("%s: %+v, want %+v", when, got, st)
	}
}
