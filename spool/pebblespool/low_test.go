package pebblespool

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/spool"
	"tenma/spool/pebblespool/layout"
	"tenma/spool/pebblespool/layout/inmem"
)

// TestLowMark scans while a group is on its way that the scan cannot see yet.
// The mark that the scan leaves must not hide it from later scans.
func TestLowMark(t *testing.T) {
	s, err := Open(Options{Dir: "spool", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id := spool.ID{5}
	g := s.newGroup()
	g.order = append(g.order, &change{Live: &inmem.Live{Stored: layout.Stored{ID: id}}, created: true})
	all := func(*layout.Stored) bool { return true }
	if err := s.walk(spool.ID{}, all); err != nil { // of nothing: the mark goes up
		t.Fatal(err)
	}
	if layout.Compare(s.low.At, id) <= 0 {
		t.Fatalf("the mark of an empty spool is %v", s.low.At)
	}
	s.low.Adding(g.oldest(inmem.Last()))
	if err := s.walk(spool.ID{}, all); err != nil {
		t.Fatal(err)
	}
	if layout.Compare(s.low.At, id) > 0 {
		t.Errorf("the mark is %v, behind %v, which is being written", s.low.At, id)
	}
}
