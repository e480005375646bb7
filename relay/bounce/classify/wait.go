package classify

import (
	"strings"
	"time"
)

// Bounds of a wait that a remote states. What is longer is cut: a host that
// wants a day is a host that may be asked again meanwhile.
const (
	MaxWait       = 4 * time.Hour
	maxWaitDigits = 6
)

// Wait finds the wait that a greylister's text states: "try again in 300
// seconds", "Greylisted for 5 minutes", "come back in 00:05:00". It is 0 where
// there is none, and at most MaxWait. A number counts only if a word before it
// announces a wait, so that neither sizes nor counters are taken for one.
func Wait(text string) time.Duration {
	text = text[:min(len(text), maxText)]
	announced := 0 // words left in which the number may come
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case digit(c):
			d, n := wait(text[i:])
			if announced > 0 && d > 0 {
				return min(d+andMore(text[i+n:]), MaxWait)
			}
			i += max(n, 1)
		case letter(c):
			n := 1
			for i+n < len(text) && letter(text[i+n]) {
				n++
			}
			announced = max(announced-1, 0)
			switch strings.ToLower(text[i : i+min(n, 8)]) {
			case "in", "after", "for", "wait", "within", "least", "retry", "delay", "dans", "nach", "tra", "dentro":
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
	if d = time.Duration(v) * unit(strings.ToLower(rest[:min(w, 8)])); d > 0 {
		n = len(s) - len(rest) + w
	}
	return d, n
}

// andMore reads the smaller part of "4 minutes and 59 seconds", "2m30s".
func andMore(s string) time.Duration {
	s = strings.TrimPrefix(strings.TrimLeft(s, " ,"), "and ")
	if s == "" || !digit(s[0]) {
		return 0
	}
	if d, _ := wait(s); d < time.Hour {
		return d
	}
	return 0
}

// unit reads the word behind a number, in the languages that mail servers speak;
// 0 for none that is known.
func unit(word string) time.Duration {
	switch word {
	case "s", "sec", "secs", "second", "seconds", "secondes", "segundos", "secondi", "sekunden":
		return time.Second
	case "m", "min", "mins", "minute", "minutes", "minutos", "minuti", "minuten":
		return time.Minute
	case "h", "hr", "hrs", "hour", "hours", "heures", "heure", "horas", "hora", "ore", "stunde", "stunden":
		return time.Hour
	}
	return 0
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
		if n < maxWaitDigits {
			v = v*10 + int(s[n]-'0')
		}
		n++
	}
	if n > maxWaitDigits {
		v = 0
	}
	return v, n
}

func digit(c byte) bool  { return c >= '0' && c <= '9' }
func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
