package rate

import (
	"fmt"
	"testing"
	"time"
)

func TestAnHour(t *testing.T) {
	var table Table
	l := Limits{Messages: 60, Recipients: 3}
	now := time.Unix(1_700_000_000, 0)
	for i := range 60 {
		if wait := table.Message("ann", l, now); wait != 0 {
			t.Fatalf("message %d has to wait %v", i, wait)
		}
	}
	if wait := table.Message("ann", l, now); wait != time.Minute {
		t.Errorf("message 61 has to wait %v", wait)
	}
	if table.Message("bob", l, now) != 0 || table.Recipient("ann", l, now) != 0 {
		t.Error("another account or kind is held up")
	}
	sent := 0
	for at := range 2 * 3600 {
		if table.Message("ann", l, now.Add(time.Duration(at)*time.Second)) == 0 {
			sent++
		}
	}
	if sent != 119 {
		t.Errorf("%d messages in the two hours after", sent)
	}
	for i, want := range []time.Duration{0, 0, 20 * time.Minute} {
		if wait := table.Recipient("ann", l, now); wait != want {
			t.Errorf("recipient %d has to wait %v", i, wait)
		}
	}
	for range 1000 {
		if table.Message("ann", Limits{}, now) != 0 || table.Recipient("ann", Limits{}, now) != 0 {
			t.Fatal("held up without a limit")
		}
	}
}

// A stepped clock holds nobody up for longer than the step.
func TestAClockThatGoesBack(t *testing.T) {
	var table Table
	now := time.Unix(1_700_000_000, 0)
	l := Limits{Messages: 1}
	table.Message("ann", l, now)
	if wait := table.Message("ann", l, now.Add(-time.Hour)); wait != 2*time.Hour {
		t.Errorf("has to wait %v", wait)
	}
}

func TestForgets(t *testing.T) {
	var table Table
	now := time.Unix(1_700_000_000, 0)
	for i := range 100_000 {
		now = now.Add(time.Minute)
		table.Message(fmt.Sprint(i), Limits{Messages: 10}, now)
	}
	if n := len(table.accounts); n > 2*leastSweep {
		t.Errorf("%d accounts are remembered", n)
	}
}
