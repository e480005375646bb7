package imap

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Range is First:Last of a set; 0 stands for "*".
type Range struct{ First, Last uint32 }

// Set is a sequence set (RFC 9051 section 9: sequence-set): message numbers or
// UIDs.
type Set struct {
	Ranges []Range // as written
	Saved  bool    // "$": what the last SEARCH saved (RFC 5182)
}

// maxRanges bounds a set; mbsync sends sets of some hundred ranges, and what
// is longer does not fit into a command of usual size.
const maxRanges = 20_000

// Set reads a sequence set.
func (p *Parser) Set() Set {
	if p.Take('$') {
		return Set{Saved: true}
	}
	var s Set
	for p.err == nil {
		first := p.setNumber()
		last := first
		if p.Take(':') {
			last = p.setNumber()
		}
		s.Ranges = append(s.Ranges, Range{first, last})
		if !p.Take(',') {
			break
		}
		if len(s.Ranges) >= maxRanges {
			p.Fail("a set may have %d ranges at most", maxRanges)
		}
	}
	if p.err != nil {
		return Set{}
	}
	return s
}

func (p *Parser) setNumber() uint32 {
	if p.Take('*') {
		return 0
	}
	if p.Peek() == '0' {
		p.Fail("message numbers begin with 1")
		return 0
	}
	return p.Number()
}

// Max is the largest number that stands in the set, 0 if none does. Ranges with "*"
// do not count: a client may say 1:* before it knows that there is nothing.
func (s Set) Max() uint32 {
	var most uint32
	for _, r := range s.Ranges {
		if r.First != 0 && r.Last != 0 {
			most = max(most, r.First, r.Last)
		}
	}
	return most
}

// Clip gives the set in rising order, without overlap, with star in place of
// "*" and nothing above star; star is 0 for an empty mailbox, and then nothing
// is left. "n:*" with n above star is star (RFC 9051 section 9: seq-range).
func (s Set) Clip(star uint32) []Range {
	if star == 0 {
		return nil
	}
	var out []Range
	for _, r := range s.Ranges {
		if r.First == 0 {
			r.First = star
		}
		if r.Last == 0 {
			r.Last = star
		}
		if r.First > r.Last {
			r.First, r.Last = r.Last, r.First
		}
		if r.Last = min(r.Last, star); r.First <= r.Last {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b Range) int { return cmp.Compare(a.First, b.First) })
	return merge(out)
}

func merge(in []Range) []Range {
	out := in[:0]
	for _, r := range in {
		if n := len(out); n > 0 && uint64(r.First) <= uint64(out[n-1].Last)+1 {
			out[n-1].Last = max(out[n-1].Last, r.Last)
			continue
		}
		out = append(out, r)
	}
	return out
}

// Ranges makes a set of rising numbers.
func Ranges(numbers []uint32) []Range {
	var out []Range
	for _, n := range numbers {
		if k := len(out); k > 0 && out[k-1].Last+1 == n {
			out[k-1].Last = n
			continue
		}
		out = append(out, Range{n, n})
	}
	return out
}

// AppendRanges writes a set, as in 1:3,5.
func AppendRanges(b []byte, ranges []Range) []byte {
	for i, r := range ranges {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(r.First), 10)
		if r.Last != r.First {
			b = append(b, ':')
			b = strconv.AppendUint(b, uint64(r.Last), 10)
		}
	}
	return b
}

// String writes the set as a client would.
func (s Set) String() string {
	if s.Saved {
		return "$"
	}
	star := func(n uint32) string {
		if n == 0 {
			return "*"
		}
		return strconv.FormatUint(uint64(n), 10)
	}
	var parts []string
	for _, r := range s.Ranges {
		if r.First == r.Last {
			parts = append(parts, star(r.First))
		} else {
			parts = append(parts, star(r.First)+":"+star(r.Last))
		}
	}
	return strings.Join(parts, ",")
}
