package line

import (
	"slices"
	"testing"
)

type person struct {
	name string
	Links[*person]
}

func TestList(t *testing.T) {
	var l List[*person]
	a, b, c, d := &person{name: "a"}, &person{name: "b"}, &person{name: "c"}, &person{name: "d"}
	check := func(want ...*person) {
		t.Helper()
		var got []*person
		for p := l.First(); p != nil; p = p.Next() {
			got = append(got, p)
		}
		if !slices.Equal(got, want) || l.Len() != len(want) {
			t.Fatalf("%d stand there: %v", l.Len(), got)
		}
	}
	check()
	l.Add(b, false)
	l.Add(c, false)
	l.Add(a, true)
	l.Add(d, false)
	check(a, b, c, d)
	l.Remove(b)
	check(a, c, d)
	l.Remove(a)
	l.Remove(d)
	check(c)
	if a.Listed() || !c.Listed() {
		t.Error("Listed")
	}
	l.Add(a, false)
	l.Remove(c)
	l.Remove(a)
	check()
	l.Add(c, true)
	check(c)
}
