package units

import (
	"testing"
	"time"
)

func TestUnits(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "5m": 5 * time.Minute, "3d": 72 * time.Hour, "1d12h": 36 * time.Hour, "1.5h": 90 * time.Minute, "2w": 336 * time.Hour, "250ms": 250 * time.Millisecond,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "5", "m", "-5m", "5 m", "5x", "1..5h", "1e3h", "99999999999999h"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("duration %q is taken as %v", text, got)
		}
	}
	for text, want := range map[string]int64{"0": 0, "1024": 1024, "25MiB": 25 << 20, "25 MiB": 25 << 20, "1.5GiB": 3 << 29, "10kB": 10000, "1TB": 1e12} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-1", "MiB", "1XB", "1e9", "NaN", "99999999TiB"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("size %q is taken as %v", text, got)
		}
	}
}
