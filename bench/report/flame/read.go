package flame

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/pprof/profile"
)

// Bounds of a profile. Ten minutes of a busy relay are 1 MiB unpacked, with some
// 20,000 stacks; Go notes 128 calls of a stack at most, and what the compiler put
// into a caller counts besides.
const (
	maxPacked   = 8 << 20
	maxUnpacked = 16 << 20
	maxFields   = 500_000 // samples, functions, places, strings: see crowded
	maxDepth    = 1024
	maxName     = 400 // octets of a function's name; generic ones are long
	maxCPU      = 100 * 365 * 24 * time.Hour
)

// A Profile is the stacks that were seen, each with what it cost.
type Profile struct {
	Stacks  []Stack
	CPU     time.Duration // of all stacks together
	Samples int64         // of all stacks together
	Lasted  time.Duration // how long was measured; 0 if the profile does not say
}

// A Stack is a chain of calls.
type Stack struct {
	Calls   []string // functions from the outermost to the one that ran; at least one
	CPU     time.Duration
	Samples int64
}

// Read reads a CPU profile in pprof's format, packed by gzip or not. A profile
// of something else, one beyond the bounds (8 MiB, 16 MiB unpacked, stacks of
// 1,024 calls), one without samples, and what is no profile are errors.
func Read(r io.Reader) (*Profile, error) {
	raw, err := unpack(r)
	if err != nil {
		return nil, err
	}
	if crowded(raw) {
		return nil, fmt.Errorf("more than %d samples, functions and strings", maxFields)
	}
	p, err := profile.ParseUncompressed(raw)
	if err == nil {
		err = p.CheckValid()
	}
	if err != nil {
		return nil, fmt.Errorf("no profile: %s", printable(err.Error()))
	}
	return convert(p)
}

// unpack reads all there is, within the bounds.
func unpack(r io.Reader) ([]byte, error) {
	raw, err := readUpTo(r, maxPacked)
	if err != nil || !bytes.HasPrefix(raw, []byte{0x1f, 0x8b}) {
		return raw, err
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("no profile: %w", err)
	}
	if raw, err = readUpTo(z, maxUnpacked); err != nil {
		return nil, fmt.Errorf("unpacking: %w", err)
	}
	return raw, nil
}

func readUpTo(r io.Reader, most int64) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(raw)) > most {
		err = fmt.Errorf("longer than %d MiB", most>>20)
	}
	return raw, err
}

// crowded reports whether the outermost protobuf message has more fields than a
// profile needs: an empty sample is two octets here and two hundred in memory.
// What is no protobuf is left to the parser to refuse.
func crowded(raw []byte) bool {
	number := func() (n uint64, ok bool) {
		for i := 0; i < len(raw) && i < 10; i++ {
			n |= uint64(raw[i]&0x7f) << (7 * i)
			if raw[i] < 0x80 {
				raw = raw[i+1:]
				return n, true
			}
		}
		return 0, false
	}
	for fields := 0; len(raw) > 0; fields++ {
		if fields == maxFields {
			return true
		}
		key, ok := number()
		var n uint64
		switch key & 7 { // the wire type
		case 0:
			_, ok2 := number()
			ok = ok && ok2
		case 1:
			n = 8
		case 2:
			var ok2 bool
			n, ok2 = number()
			ok = ok && ok2
		case 5:
			n = 4
		default:
			return false
		}
		if !ok || n > uint64(len(raw)) {
			return false
		}
		raw = raw[n:]
	}
	return false
}

// convert takes what is wanted of a profile.
func convert(p *profile.Profile) (*Profile, error) {
	cpu, count := -1, -1
	for i, t := range p.SampleType {
		switch {
		case t.Type == "cpu" && t.Unit == "nanoseconds":
			cpu = i
		case t.Type == "samples" && t.Unit == "count":
			count = i
		}
	}
	if cpu < 0 || count < 0 {
		return nil, errors.New("a profile, but not of processor time")
	}
	out := &Profile{Lasted: time.Duration(max(0, p.DurationNanos))}
	names := map[*profile.Function]string{}
	for _, s := range p.Sample {
		one := Stack{CPU: time.Duration(s.Value[cpu]), Samples: s.Value[count]}
		if one.CPU < 0 || one.Samples < 0 || one.CPU > maxCPU || one.Samples > math.MaxInt64/2-out.Samples {
			return nil, errors.New("a sample that costs less than nothing or more than a century")
		}
		if one.CPU == 0 {
			continue
		}
		var err error
		if one.Calls, err = calls(s, names); err != nil {
			return nil, err
		}
		if out.CPU += one.CPU; out.CPU > maxCPU {
			return nil, errors.New("more than a century of processor time")
		}
		out.Samples += one.Samples
		out.Stacks = append(out.Stacks, one)
	}
	if len(out.Stacks) == 0 {
		return nil, errors.New("a profile without samples: the program did next to nothing")
	}
	return out, nil
}

// calls gives a sample's functions, the outermost first. names are those already
// made printable.
func calls(s *profile.Sample, names map[*profile.Function]string) ([]string, error) {
	var all []string
	for i := len(s.Location) - 1; i >= 0; i-- {
		l := s.Location[i]
		if len(all)+len(l.Line) > maxDepth {
			return nil, fmt.Errorf("a stack of more than %d calls", maxDepth)
		}
		if len(l.Line) == 0 {
			all = append(all, unknown) // code that brought no names, such as a C library's
		}
		for j := len(l.Line) - 1; j >= 0; j-- {
			all = append(all, name(l.Line[j].Function, names))
		}
	}
	if len(all) == 0 {
		all = []string{unknown}
	}
	return all, nil
}

// unknown stands for code without a name.
const unknown = "(no name)"

func name(f *profile.Function, names map[*profile.Function]string) string {
	if f == nil || f.Name == "" {
		return unknown
	}
	if n, ok := names[f]; ok {
		return n
	}
	n := printable(f.Name)
	names[f] = n
	return n
}

// printable bounds a text and takes out what could steer a terminal or end an
// SVG's element.
func printable(s string) string {
	if len(s) > maxName {
		s = strings.ToValidUTF8(s[:maxName], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
