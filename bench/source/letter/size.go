package letter

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// maxSize is the largest message, in octets.
const maxSize = 1 << 30

// Size is a message's size and how often it occurs.
type Size struct {
	Octets int // of the whole message, header and line ends included
	Weight float64
}

// Sizes is a mix of sizes.
type Sizes []Size

// ParseSizes reads "4KiB", "4096", or a mix "4KiB=80,64KiB=15,1MiB=5".
func ParseSizes(text string) (Sizes, error) {
	var all Sizes
	for item := range strings.SplitSeq(text, ",") {
		octets, weight, weighted := strings.Cut(item, "=")
		s := Size{Weight: 1}
		var err error
		if s.Octets, err = parseOctets(octets); err != nil {
			return nil, err
		}
		if weighted {
			if s.Weight, err = strconv.ParseFloat(weight, 64); err != nil {
				return nil, fmt.Errorf("size %q: the weight is no number", item)
			}
		}
		all = append(all, s)
	}
	return all, all.Check()
}

// units are the endings of a size; the first that fits is taken.
var units = [...]struct {
	name   string
	octets float64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"", 1}}

func parseOctets(text string) (int, error) {
	for _, u := range units {
		if number, ok := strings.CutSuffix(text, u.name); ok {
			v, err := strconv.ParseFloat(number, 64)
			if v *= u.octets; err != nil || !(v >= 0 && v <= maxSize) || v != math.Trunc(v) {
				break
			}
			return int(v), nil
		}
	}
	return 0, fmt.Errorf("size %q is not a number of octets up to 1GiB, with B, kB, KiB, MB or MiB", text)
}

func octetsText(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return strconv.Itoa(n>>20) + "MiB"
	case n >= 1<<10 && n%(1<<10) == 0:
		return strconv.Itoa(n>>10) + "KiB"
	}
	return strconv.Itoa(n)
}

// String is what ParseSizes reads.
func (ss Sizes) String() string {
	var b strings.Builder
	for i, s := range ss {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(octetsText(s.Octets))
		if len(ss) > 1 {
			fmt.Fprintf(&b, "=%g", s.Weight)
		}
	}
	return b.String()
}

// Check tells what cannot work.
func (ss Sizes) Check() error {
	if len(ss) == 0 {
		return errors.New("no message size")
	}
	for _, s := range ss {
		switch {
		case s.Octets < 0 || s.Octets > maxSize:
			return fmt.Errorf("size %d is not between 0 and 1GiB", s.Octets)
		case !(s.Weight > 0) || math.IsInf(s.Weight, 0):
			return fmt.Errorf("size %s: the weight must be above 0", octetsText(s.Octets))
		}
	}
	return nil
}
