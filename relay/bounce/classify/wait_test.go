package classify

import (
	"testing"
	"time"
)

func TestWait(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"Greylisted, try again in 300 seconds":                300 * time.Second,
		"Greylisting in effect, please come back in 00:05:00": 5 * time.Minute,
		"Greylisted, see http://x.test/?r=5 for 5 minutes":    5 * time.Minute,
		"please retry in 5min":                                5 * time.Minute,
		"try again after 1 hour":                              time.Hour,
		"try again in 4 minutes and 59 seconds":               4*time.Minute + 59*time.Second,
		"retry in 2m30s":                                      2*time.Minute + 30*time.Second,
		"bitte in 10 Minuten noch einmal":                     10 * time.Minute,
		"réessayez dans 15 minutes":                           15 * time.Minute,
		"try again in 00:04:59":                               4*time.Minute + 59*time.Second,
		"wait at least 90s":                                   90 * time.Second,
		"retry 05:30":                                         5*time.Minute + 30*time.Second,
		"come back in 999999 hours":                           MaxWait,
		"come back in 99999999999999999999 seconds":           0,
		"too many connections, 300 seconds average":           0,
		"message of 300 s refused":                            0,
		"try again later":                                     0,
		"in 5 days":                                           0,
		"in 300":                                              0,
		"":                                                    0,
		"in 00:00:00":                                         0,
		"in :":                                                0,
		"for 10.0.0.1 and after that, who knows, at 12:30 it is busy": 0,
	} {
		if got := Wait(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func FuzzWait(f *testing.F) {
	f.Add("try again in 300 seconds")
	f.Add("in 00:05:00")
	f.Add("in 1:2:3:4")
	f.Fuzz(func(t *testing.T, s string) {
		if d := Wait(s); d < 0 || d > MaxWait {
			t.Errorf("%q: %v", s, d)
		}
	})
}
