package lru

import (
	"slices"
	"testing"
)

func TestForgetsTheOldest(t *testing.T) {
	l := New[string](10)
	for _, x := range []string{"a", "b", "c"} {
		if out := l.Put(x, 3); out != nil {
			t.Fatal(out)
		}
	}
	l.Put("a", 4) // newer, and heavier
	if l.Weight() != 10 {
		t.Error(l.Weight())
	}
	if out := l.Put("d", 6); !slices.Equal(out, []string{"b", "c"}) || !l.Has("a") || l.Has("b") {
		t.Error(out)
	}
	if out := l.Put("e", 100); !slices.Equal(out, []string{"a", "d"}) || !l.Has("e") {
		t.Error(out)
	}
	l.Take("e")
	l.Take("e")
	if l.Weight() != 0 || l.Has("e") {
		t.Error(l.Weight())
	}
}
