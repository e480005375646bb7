package spool_test

import (
	"bytes"
	"testing"
	"time"

	"tenma/spool"
)

func TestID(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_123)
	a := spool.NewID(now, [10]byte{1})
	b := spool.NewID(now.Add(time.Millisecond), [10]byte{})
	if !a.Time().Equal(now) {
		t.Errorf("time %v, want %v", a.Time(), now)
	}
	if bytes.Compare(a[:], b[:]) >= 0 || a.String() >= b.String() {
		t.Error("ids do not sort by age")
	}
	if d := a.Derive("dsn"); d == a || d != a.Derive("dsn") || d == a.Derive("other") || d == b.Derive("dsn") || !d.Time().Equal(now) {
		t.Errorf("derived %v", d)
	}
	if a.IsZero() || !(spool.ID{}).IsZero() {
		t.Error("IsZero")
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("")
	f.Add(spool.NewID(time.Unix(0, 0), [10]byte{1, 2, 3}).String())
	f.Add("03e6ljtc040g00000000000000")
	f.Add("03E6LJTC040G0000000000000V") // bits behind the last octet
	f.Add("zzzzzzzzzzzzzzzzzzzzzzzzzz")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := spool.ParseID(s)
		if err != nil {
			if !id.IsZero() {
				t.Errorf("%q: an id with the error", s)
			}
			return
		}
		again, err := spool.ParseID(id.String())
		if err != nil || again != id {
			t.Errorf("%q reads as %v, which reads as %v, %v", s, id, again, err)
		}
	})
}
