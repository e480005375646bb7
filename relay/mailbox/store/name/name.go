// Package name says what the name of a folder can be.
//
// Names are UTF-8 in normal form C (RFC 9051 section 5.1), so that a name typed
// on one device is the same as on another. '/' separates levels. Nothing that a
// file system or a shell could mind matters here, since names are only ever keys
// and values in a database; what is refused would confuse people or programs:
// controls, empty levels, and lengths without bound.
package name

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Bounds. MaxLevel is what file systems give a name, so that Maildir exports
// can keep them; the others are ours.
const (
	MaxLevel = 255  // octets of one level
	MaxName  = 1000 // octets of all
	MaxDepth = 20   // levels
)

// Inbox is the name of the folder that everybody has.
const Inbox = "INBOX"

// Clean gives the name as it is kept; ok is false if there can be no such
// folder. INBOX in any case is INBOX, also as the first of several levels (RFC
// 9051 section 5.1).
func Clean(s string) (clean string, ok bool) {
	if len(s) > 4*MaxName || !utf8.ValidString(s) {
		return "", false
	}
	s = norm.NFC.String(s)
	if len(s) > MaxName || strings.ContainsFunc(s, bad) {
		return "", false
	}
	levels := strings.Split(s, "/")
	if len(levels) > MaxDepth {
		return "", false
	}
	for _, l := range levels {
		if l == "" || len(l) > MaxLevel {
			return "", false
		}
	}
	if strings.EqualFold(levels[0], Inbox) {
		levels[0] = Inbox
	}
	return strings.Join(levels, "/"), true
}

// bad are controls, and what pretends to be a line end or the edge of a text.
func bad(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == utf8.RuneError || r == '\ufeff'
}

// Parent is the name without its last level, "" for one of the first.
func Parent(s string) string {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return ""
	}
	return s[:i]
}

// Below reports that s lies below parent.
func Below(s, parent string) bool {
	return len(s) > len(parent) && s[len(parent)] == '/' && s[:len(parent)] == parent
}
