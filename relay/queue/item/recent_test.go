package item

import (
	"testing"
	"time"

	"tenma/spool"
)

func TestRecent(t *testing.T) {
	r := Recent{For: time.Minute}
	at := time.Unix(1_700_000_000, 0)
	a, b := spool.ID{1}, spool.ID{2}
	if r.Has(a, at) {
		t.Error("it knows what nobody said")
	}
	r.Add(a, at)
	for _, after := range []time.Duration{0, 30 * time.Second, 59 * time.Second} {
		if !r.Has(a, at.Add(after)) {
			t.Errorf("forgotten after %v", after)
		}
	}
	r.Add(b, at.Add(65*time.Second))
	if !r.Has(b, at.Add(125*time.Second)) {
		t.Error("the second is forgotten at the age of a minute")
	}
	if r.Has(a, at.Add(4*time.Minute)) || r.Has(b, at.Add(4*time.Minute)) {
		t.Error("kept for ever")
	}
	r.Add(a, at)
	if !r.Has(a, at.Add(-time.Hour)) {
		t.Error("forgotten because the clock was set back")
	}
}
