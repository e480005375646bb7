package mime

import (
	"strings"
	"time"
)

// ParseDate reads the value of a Date field: what RFC 5322 sections 3.3 and 4.3
// allow, with comments, zones that have names, years of two digits, and the
// forms of asctime and ISO 8601 that some programs write. The time is in the
// zone that the field names. ok is false if it is no date.
func ParseDate(value string) (t time.Time, ok bool) {
	l := lexer{s: value[:min(len(value), 256)]}
	var day, month, year, sec, hour, minute int
	day, year, hour = -1, -1, -1
	zone, zoned, afternoon := 0, false, -1
	for range 16 { // words; a date has seven at most
		w := dateWord(&l)
		if w == "" {
			break
		}
		switch n, digits := number(w); {
		case digits == 4 && year < 0 && len(w) >= 8 && w[4] == '-': // 2006-01-02, perhaps T15:04:05Z
			if t, ok := iso(w); ok && strings.IndexByte(w, 'T') > 0 {
				return t, true
			} else if ok {
				year, month, day = t.Year(), int(t.Month()), t.Day()
			}
		case strings.Count(w, ":") >= 1 && hour < 0:
			if h, m, s, ok := clock(w); ok {
				hour, minute, sec = h, m, s
			}
		case digits == len(w) && digits <= 2 && day < 0:
			day = n
		case digits == len(w) && year < 0 && month > 0 && (digits >= 2 && digits <= 4):
			year = fullYear(n, digits)
		case (w[0] == '+' || w[0] == '-') && hour >= 0 && !zoned:
			zone, zoned = offset(w)
		case digits > 0 && strings.Count(w, "-") == 2: // 02-Jan-2006
			f := strings.Split(w, "-")
			y, d := number(f[2])
			day, month, year = n, monthOf(f[1]), fullYear(y, d)
		case month == 0 && monthOf(w) > 0:
			month = monthOf(w)
		case hour >= 0 && (strings.EqualFold(w, "AM") || strings.EqualFold(w, "PM")):
			afternoon = int(w[0]|0x20) - 'a'
		case hour >= 0 && !zoned:
			zone, zoned = zoneOf(w)
		}
	}
	if afternoon == 0 && hour == 12 {
		hour = 0
	} else if afternoon > 0 && hour < 12 && hour >= 0 {
		hour += 12
	}
	if day < 1 || day > 31 || month == 0 || year < 0 || hour > 23 {
		return time.Time{}, false
	}
	where := time.UTC
	if zone != 0 {
		where = time.FixedZone("", zone)
	}
	return time.Date(year, time.Month(month), day, max(hour, 0), minute, sec, 0, where), true
}

// dateWord is the next run of anything but spaces, commas and comments.
func dateWord(l *lexer) string {
	for l.space(); l.skip(','); {
	}
	from := l.i
	for l.i < len(l.s) && strings.IndexByte(" \t\r\n,(\x00", l.s[l.i]) < 0 {
		l.i++
	}
	return l.s[from:l.i]
}

// number reads the digits at the start of w.
func number(w string) (n, digits int) {
	for digits < len(w) && digits < 9 && w[digits] >= '0' && w[digits] <= '9' {
		n = n*10 + int(w[digits]-'0')
		digits++
	}
	return n, digits
}

// fullYear: RFC 5322 section 4.3.
func fullYear(n, digits int) int {
	switch {
	case digits == 2 && n < 50:
		return 2000 + n
	case digits < 4:
		return 1900 + n
	}
	return n
}

func clock(w string) (h, m, s int, ok bool) {
	v := [3]int{}
	for i := range v {
		n, d := number(w)
		if d == 0 || d > 2 {
			return 0, 0, 0, false
		}
		v[i] = n
		if w = w[d:]; w == "" || w[0] != ':' {
			break
		}
		w = w[1:]
	}
	return v[0], v[1], v[2], v[0] < 24 && v[1] < 60 && v[2] <= 60 // a leap second
}

func offset(w string) (seconds int, ok bool) {
	w, neg := strings.ReplaceAll(w[1:], ":", ""), w[0] == '-'
	n, d := number(w)
	if d != 4 || n%100 >= 60 {
		return 0, false
	}
	seconds = (n/100*60 + n%100) * 60
	if neg {
		seconds = -seconds
	}
	return seconds, true
}

// zoneOf: RFC 5322 section 4.3. Names that it does not know say nothing, as
// the military ones.
func zoneOf(w string) (seconds int, ok bool) {
	const h = 3600
	for _, z := range [...]struct {
		name   string
		offset int
	}{{"UT", 0}, {"GMT", 0}, {"UTC", 0}, {"Z", 0}, {"EST", -5 * h}, {"EDT", -4 * h}, {"CST", -6 * h}, {"CDT", -5 * h}, {"MST", -7 * h}, {"MDT", -6 * h}, {"PST", -8 * h}, {"PDT", -7 * h}} {
		if strings.EqualFold(w, z.name) {
			return z.offset, true
		}
	}
	for _, name := range [...]string{"GMT", "UTC"} { // GMT+0200
		if len(w) > 3 && strings.EqualFold(w[:3], name) && (w[3] == '+' || w[3] == '-') {
			return offset(w[3:])
		}
	}
	return 0, false
}

func monthOf(w string) int {
	const months = "janfebmaraprmayjunjulaugsepoctnovdec"
	if len(w) < 3 {
		return 0
	}
	for i := 0; i < len(months); i += 3 {
		if strings.EqualFold(w[:3], months[i:i+3]) {
			return i/3 + 1
		}
	}
	return 0
}

func iso(w string) (time.Time, bool) {
	for _, layout := range [...]string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", time.DateOnly} {
		if t, err := time.Parse(layout, w); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
