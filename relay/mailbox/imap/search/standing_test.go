package search

import (
	"errors"
	"math"
	"slices"
	"testing"
)

func TestPage(t *testing.T) {
	found := []uint32{2, 4, 6}
	for args, want := range map[string][]uint32{
		"1:1": {2}, "3:2": {4, 6}, "2:4294967295": {4, 6}, "4:9": {},
	} {
		c, err := Parse("RETURN (PARTIAL " + args + ") ALL")
		if err != nil || c.Return.ReturnAll || !slices.Equal(c.Page.Of(found), want) {
			t.Errorf("%s: %v, %v", args, c, err)
		}
	}
	for _, args := range []string{"1", "0:1", "1:0", "1:*", "*:1", "-1:-2", "1:4294967296", "1:", "", "1:2 ALL", "1:2 PARTIAL 1:2"} {
		if c, err := Parse("RETURN (PARTIAL " + args + ") ALL"); !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: %v, %v", args, c, err)
		}
	}
}

// A result that stands follows what changes and comes, looks at nothing else, and
// never takes "nothing to look at" for everything.
func TestStanding(t *testing.T) {
	v := &memory{}
	for range 40 {
		v.add("Subject: x\n\nbody of it\n")
	}
	c, err := Parse("RETURN (UPDATE) BODY body UNSEEN")
	if err != nil || !c.Update || c.Return.ReturnAll {
		t.Fatal(c, err)
	}
	found, err := c.Query.Run(t.Context(), v, nil)
	if err != nil || len(found) != 40 {
		t.Fatal(len(found), err)
	}
	s := c.Query.Stand(v, found)
	opens := v.opens
	change := func(changed, in, out []uint32, opened int) {
		t.Helper()
		gotIn, gotOut, err := s.Change(t.Context(), v, changed)
		if err != nil || !slices.Equal(gotIn, in) || !slices.Equal(gotOut, out) || v.opens-opens != opened {
			t.Errorf("in %v out %v, %v, %d opened", gotIn, gotOut, err, v.opens-opens)
		}
		opens = v.opens
	}
	change(nil, nil, nil, 0)
	v.list[2].Flags |= systemFlag(`\seen`)
	change([]uint32{3, 10, 3}, nil, []uint32{3}, 1)
	v.list[2].Flags = 0
	v.add("Subject: y\n\nbody too\n")
	v.add("Subject: y\n\nnothing\n")
	change([]uint32{3, 10}, []uint32{3, 41}, nil, 4)
	change(nil, nil, nil, 0)
	if s.Len() != 41 || !s.Remove(v.UID(1)) || s.Remove(v.UID(1)) || s.Remove(math.MaxUint32) || s.Len() != 40 {
		t.Error(s.Len())
	}
	for _, args := range []string{"1:*", "NOT 1", "$", "UID $"} {
		if c, err := Parse("RETURN (UPDATE) " + args); err != nil || c.Query.Stand(v, nil) != nil {
			t.Errorf("%s: %v", args, err)
		}
	}
}
