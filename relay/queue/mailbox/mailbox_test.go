package mailbox

import (
	"slices"
	"testing"
)

func TestBox(t *testing.T) {
	b := New[int]()
	b.Post(1, 2)
	b.Post(3)
	<-b.Wake
	select {
	case <-b.Wake:
		t.Error("a second token for one taking")
	default:
	}
	buf := make([]int, 0, 8)
	if got := b.Take(buf); !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("took %v", got)
	}
	b.Post(4)
	<-b.Wake // an empty box that gets something wakes again
	if got := b.Take(nil); !slices.Equal(got, []int{4}) || &got[0] != &buf[:1][0] {
		t.Errorf("took %v, or not in the place that was left", got)
	}
	if got := b.Take(nil); len(got) != 0 {
		t.Errorf("took %v from nothing", got)
	}
}
