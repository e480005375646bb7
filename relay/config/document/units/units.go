// Package units reads durations and sizes as the configuration and the command
// line have them: "90s", "1h30m", "3d"; "512KiB", "25MiB", "1GB".
package units

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

var (
	errDuration = errors.New(`not a duration; write "30s", "5m", "2h" or "3d"`)
	errSize     = errors.New(`not a size; write octets, or "512KiB", "25MiB", "1GiB"`)
)

// ParseDuration reads Go's durations and the units d (24 h) and w (7 d), which
// mail queues are measured in: "90s", "1h30m", "3d", "1d12h". "0" needs no unit.
// Durations are not negative.
func ParseDuration(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	var total time.Duration
	rest := s
	for rest != "" {
		i := strings.IndexFunc(rest, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
		if i <= 0 {
			return 0, errDuration
		}
		number := rest[:i]
		rest = rest[i:]
		j := strings.IndexFunc(rest, func(r rune) bool { return r == '.' || r >= '0' && r <= '9' })
		if j < 0 {
			j = len(rest)
		}
		unit := rest[:j]
		rest = rest[j:]
		n, err := strconv.ParseFloat(number, 64)
		each := map[string]time.Duration{
			"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
		}[unit]
		if err != nil || each == 0 {
			return 0, errDuration
		}
		f := n * float64(each)
		if f > math.MaxInt64/2 || total > math.MaxInt64/2 {
			return 0, errors.New("a duration of more than a hundred years")
		}
		total += time.Duration(f)
	}
	if s == "" {
		return 0, errDuration
	}
	return total, nil
}

// ParseSize reads octets with an optional unit, binary (KiB, MiB, GiB, TiB) or
// decimal (kB, MB, GB, TB).
func ParseSize(s string) (int64, error) {
	i := strings.IndexFunc(s, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	if i < 0 {
		i = len(s)
	}
	n, err := strconv.ParseFloat(s[:i], 64)
	if err != nil {
		return 0, errSize
	}
	each := map[string]float64{
		"": 1, "B": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40,
		"KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
	}[strings.ToUpper(strings.TrimSpace(s[i:]))]
	if each == 0 || n*each > math.MaxInt64/2 {
		return 0, errSize
	}
	return int64(n * each), nil
}
