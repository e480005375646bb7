package delivery

import (
	"strings"
	"time"
)

// Bounds of a wait that a remote states. What is longer is cut: a host that
// wants a day is a host that may be asked again meanwhile.
const (
	maxRetryAfter  = 4 * time.Hour
	maxRetryDigits = 6
)

// retryAfter finds the wait that a greylister's text states: "try again in 300
// seconds", "Greylisted for 5 minutes", "come back in 00:05:00". It is 0 where
// there is none. A number counts only if a word before it announces a wait, so
// that neither sizes nor counters are taken for one.
func retryAfter(text string) time.Duration {
	announced := 0 // words left in which the number may come
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case digit(c):
			d, n := wait(text[i:])
			if announced > 0 && d > 0 {
				return min(d, maxRetryAfter)
			}
			i += n
		case letter(c):
			n := 1
			for i+n < len(text) && letter(text[i+n]) {
				n++
			}
			announced = max(announced-1, 0)
			switch strings.ToLower(text[i : i+min(n, 8)]) {
			case "in", "after", "for", "wait", "within", "least", "retry", "delay":
				announced = 3
			}
			i += n
		default:
			i++
		}
	}
	return 0
}

// wait reads "00:05:00", "05:00", "300 seconds", "300s", "5 min", "1 hour" at
// the start of s, and says how far it read. A bare number is no wait.
func wait(s string) (d time.Duration, n int) {
	v, n := number(s)
	if n < len(s) && s[n] == ':' {
		return clock(s)
	}
	rest := strings.TrimLeft(s[n:], " -")
	if len(s)-n-len(rest) > 2 {
		return 0, n
	}
	w := 0
	for w < len(rest) && letter(rest[w]) {
		w++
	}
	switch strings.ToLower(rest[:min(w, 8)]) {
	case "s", "sec", "secs", "second", "seconds":
		return time.Duration(v) * time.Second, n
	case "m", "min", "mins", "minute", "minutes":
		return time.Duration(v) * time.Minute, n
	case "h", "hr", "hrs", "hour", "hours":
		return time.Duration(v) * time.Hour, n
	}
	return 0, n
}

// clock reads HH:MM:SS or MM:SS.
func clock(s string) (d time.Duration, n int) {
	var parts [3]int
	count := 0
	for count < 3 {
		v, w := number(s[n:])
		if w == 0 {
			break
		}
		parts[count], n = v, n+w
		count++
		if n >= len(s) || s[n] != ':' {
			break
		}
		n++
	}
	switch count {
	case 2:
		return time.Duration(parts[0])*time.Minute + time.Duration(parts[1])*time.Second, n
	case 3:
		return time.Duration(parts[0])*time.Hour + time.Duration(parts[1])*time.Minute + time.Duration(parts[2])*time.Second, n
	}
	return 0, max(n, 1)
}

// number reads digits; more than six are no wait and give 0.
func number(s string) (v, n int) {
	for n < len(s) && digit(s[n]) {
		if n < maxRetryDigits {
			v = v*10 + int(s[n]-'0')
		}
		n++
	}
	if n > maxRetryDigits {
		v = 0
	}
	return v, n
}

func digit(c byte) bool  { return c >= '0' && c <= '9' }
func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
