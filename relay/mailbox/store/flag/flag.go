// Package flag holds the flags of messages in 64 bits: five of the system's, and
// keywords by their place in a folder's table.
package flag

import (
	"slices"
	"strings"
)

// Flags are the flags of one message in one folder: five of the system's and,
// from bit 5 on, keywords by their place in the folder's Table.
type Flags uint64

// System flags (RFC 9051 section 2.3.2). \Recent belongs to a session.
const (
	Seen Flags = 1 << iota
	Answered
	Flagged
	Deleted
	Draft

	System = Seen | Answered | Flagged | Deleted | Draft
	// MaxKeywords is how many keywords a folder can have.
	MaxKeywords = 59
)

// names of the flags with a bit of their own, in its order.
var names = [...]string{`\Seen`, `\Answered`, `\Flagged`, `\Deleted`, `\Draft`}

// Table are the keywords of a folder. It only grows, so a bit means the same for
// ever. What changes it gives another slice.
type Table []string

// Bit gives that of a system flag or keyword, any case; 0 if there is none such.
func (t Table) Bit(name string) Flags {
	for i, s := range names {
		if strings.EqualFold(s, name) {
			return 1 << i
		}
	}
	for i, k := range t {
		if strings.EqualFold(k, name) {
			return 1 << (i + len(names))
		}
	}
	return 0
}

// Keyword is Bit for keywords only.
func (t Table) Keyword(name string) Flags { return t.Bit(name) &^ System }

// Names are flags as IMAP writes them.
func (t Table) Names(f Flags) []string {
	var all []string
	for i, s := range names {
		if f&(1<<i) != 0 {
			all = append(all, s)
		}
	}
	for i, k := range t {
		if f&(1<<(i+len(names))) != 0 {
			all = append(all, k)
		}
	}
	return all
}

// Bits gives the flags of these names; unknown ones are left out.
func (t Table) Bits(all []string) (f Flags) {
	for _, n := range all {
		f |= t.Bit(n)
	}
	return f
}

// With gives the table with the keywords among these names that it lacks. \Recent
// is nobody's to set and no keyword. ok is false if one cannot be a keyword or
// there is no room.
func (t Table) With(all []string) (next Table, ok bool) {
	next = slices.Clip(t)
	for _, n := range all {
		switch {
		case next.Bit(n) != 0 || strings.EqualFold(n, `\Recent`):
		case !good(n) || len(next) >= MaxKeywords:
			return t, false
		default:
			next = append(next, n)
		}
	}
	return next, true
}

// Translate gives what flags by table t are by another, which has all keywords
// that occur.
func (t Table) Translate(f Flags, to Table) Flags {
	next := f & System
	for i, k := range t {
		if f&(1<<(i+len(names))) != 0 {
			next |= to.Keyword(k)
		}
	}
	return next
}

// Used gives the keywords among flags.
func (t Table) Used(f Flags) []string { return t.Names(f &^ System) }

// maxKeyword is the longest keyword, in octets; ours.
const maxKeyword = 100

// good: an atom (RFC 9051 section 9, flag-keyword).
func good(n string) bool {
	if n == "" || len(n) > maxKeyword {
		return false
	}
	for i := 0; i < len(n); i++ {
		if c := n[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`(){%*"\]`, c) >= 0 {
			return false
		}
	}
	return true
}
