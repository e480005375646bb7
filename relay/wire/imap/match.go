package imap

import (
	"math/bits"
	"strings"
)

// Match compares a name with a pattern, in which "*" stands for anything and "%"
// for anything within a level; "/" separates levels. INBOX is compared in any case.
//
// It takes time in the product of the lengths at most, whatever the pattern, and 64
// octets of the name at a time: a client may ask for twenty patterns of a thousand
// octets, and have thousands of folders whose names are as long.
func Match(pattern, name string) bool {
	m := newMatcher(name)
	for k := range len(pattern) {
		switch c := pattern[k]; c {
		case '*':
			m.anything()
		case '%':
			m.withinLevel()
		default:
			if !m.octet(c) {
				return false
			}
		}
	}
	return m.reached.has(len(name))
}

// set is a set of places in a name: place i is before its octet i.
type set []uint64

func (s set) add(i int)      { s[i/64] |= 1 << (i % 64) }
func (s set) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }

// matcher holds which places of a name a pattern may have come to.
type matcher struct {
	reached set
	level   set      // before an octet that is no separator
	octets  [256]set // before that octet; nil: it does not occur
}

func newMatcher(name string) *matcher {
	words := len(name)/64 + 1
	m := &matcher{reached: make(set, words), level: make(set, words)}
	m.reached.add(0)
	at := func(c byte, i int) {
		if m.octets[c] == nil {
			m.octets[c] = make(set, words)
		}
		m.octets[c].add(i)
	}
	inbox := name == "INBOX" || strings.HasPrefix(name, "INBOX/")
	for i := range len(name) {
		c := name[i]
		at(c, i)
		if inbox && i < len("INBOX") {
			at(c|0x20, i)
		}
		if c != '/' {
			m.level.add(i)
		}
	}
	return m
}

// octet goes over one octet of the pattern. It reports whether any place is left.
func (m *matcher) octet(c byte) bool {
	in := m.octets[c]
	if in == nil {
		return false
	}
	var carry, some uint64
	for w := range m.reached {
		on := m.reached[w] & in[w]
		m.reached[w] = on<<1 | carry
		carry = on >> 63
		some |= m.reached[w]
	}
	return some != 0
}

// anything adds all places from the first that is reached.
func (m *matcher) anything() {
	var above uint64
	for w, on := range m.reached {
		if above == 0 && on != 0 {
			m.reached[w] = ^uint64(0) << bits.TrailingZeros64(on)
			above = ^uint64(0)
			continue
		}
		m.reached[w] |= above
	}
}

// withinLevel adds the places up to the next separator from each that is reached.
// Adding a place to the run of ones that it stands in, as numbers, turns all from
// there to the end of the run over.
func (m *matcher) withinLevel() {
	var carry uint64
	for w, on := range m.reached {
		var sum uint64
		sum, carry = bits.Add64(on&m.level[w], m.level[w], carry)
		m.reached[w] |= sum ^ m.level[w]
	}
}
