package user

import (
	"testing"
	"time"
)

func TestParseDay(t *testing.T) {
	day := func(y int, m time.Month, d, h int) time.Time { return time.Date(y, m, d, h, 0, 0, 0, time.Local) }
	for _, c := range []struct {
		text string
		end  bool
		want time.Time
	}{
		{"", true, time.Time{}},
		{"2026-12-24", false, day(2026, 12, 24, 0)},
		{"2026-12-24", true, day(2026, 12, 25, 0)}, // the last day is a whole one
		{"2026-12-31", true, day(2027, 1, 1, 0)},
		{"2026-12-24 17:00", true, day(2026, 12, 24, 17)},
		{"2026-12-24T17:00", false, day(2026, 12, 24, 17)},
		{"2026-12-24T17:00:00+02:00", false, time.Date(2026, 12, 24, 15, 0, 0, 0, time.UTC)},
	} {
		if got, err := parseDay(c.text, c.end); err != nil || !got.Equal(c.want) {
			t.Errorf("%q: %v, %v", c.text, got, err)
		}
	}
	for _, bad := range []string{"soon", "24.12.2026", "2026-02-30", "0001-01-01", "9999-12-31", "2026-12-24 25:00"} {
		if got, err := parseDay(bad, true); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"2026-12-24", "2026-12-24 17:00", "30d", "forever", "default", "none", "1.5GiB", "5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if at, err := parseDay(text, true); err == nil && text != "" && !sane(at.AddDate(0, 0, -1)) {
			t.Errorf("%q: %v", text, at)
		}
		if days, err := parseDays(text); err == nil && days < -1 {
			t.Errorf("%q: %d", text, days)
		}
		n, err := parseQuota(text)
		if err != nil {
			return
		}
		if again, err := parseQuota(quotaText(n)); err != nil || again != n {
			t.Errorf("%q: %d, then %d, %v", text, n, again, err)
		}
	})
}
