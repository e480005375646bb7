package search

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// fold appends text to out in the form in which texts are compared: accents
// and signs that are composed taken apart, wide and other forms of a letter
// replaced by the letter (as in NFKD, but marks stay in the order in which they
// came), and small letters for capitals. Octets that are no UTF-8 stay.
func fold[T string | []byte](out []byte, text T) []byte {
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			n := i + 1
			for n < len(text) && text[n] < utf8.RuneSelf {
				n++
			}
			out = appendLower(out, text[i:n])
			i = n
			continue
		}
		// Four octets at most: no copy of the text is made.
		var letter [utf8.UTFMax]byte
		r, n := utf8.DecodeRune(letter[:copy(letter[:], text[i:min(i+utf8.UTFMax, len(text))])])
		if r == utf8.RuneError && n == 1 {
			out = append(out, text[i])
		} else {
			out = foldRune(out, r, letter[:n])
		}
		i += n
	}
	return out
}

func appendLower[T string | []byte](out []byte, text T) []byte {
	at := len(out)
	out = append(out, text...)
	for i, c := range out[at:] {
		if c-'A' < 26 {
			out[at+i] = c + 'a' - 'A'
		}
	}
	return out
}

// Syllables of Hangul are taken apart by reckoning (The Unicode Standard,
// section 3.12).
const (
	hangulFirst, hangulLast             = 0xac00, 0xd7a3
	leadBase, vowelBase, trailBase      = 0x1100, 0x1161, 0x11a7
	vowelCount, trailCount              = 21, 28
	noCaseFirst, noCaseLast        rune = 0x2e80, 0xa63f // signs of East Asia
)

func foldRune(out []byte, r rune, letter []byte) []byte {
	switch {
	case r >= hangulFirst && r <= hangulLast:
		s := r - hangulFirst
		out = utf8.AppendRune(out, leadBase+s/(vowelCount*trailCount))
		out = utf8.AppendRune(out, vowelBase+s%(vowelCount*trailCount)/trailCount)
		if t := s % trailCount; t > 0 {
			out = utf8.AppendRune(out, trailBase+t)
		}
		return out
	case r >= 0x4e00 && r <= 0x9fff: // unified ideographs, which have no other form
		return append(out, letter...)
	}
	apart := norm.NFKD.Properties(letter).Decomposition()
	if apart == nil {
		return utf8.AppendRune(out, lower(r))
	}
	for len(apart) > 0 {
		r, n := utf8.DecodeRune(apart)
		out = utf8.AppendRune(out, lower(r))
		apart = apart[n:]
	}
	return out
}

func lower(r rune) rune {
	if r >= noCaseFirst && r <= noCaseLast {
		return r
	}
	return unicode.ToLower(unicode.ToUpper(r))
}

// stream looks for texts in a text that comes in pieces.
type stream struct {
	seeks []seek
	found []bool // by seek
	open  int    // how many are not found
	skip  func(seek) bool

	folded []byte // end of what came before, folded
	tail   []byte // start of a letter that is not whole yet
}

// reset starts a new text; nothing before it joins it.
func (s *stream) reset() {
	s.folded, s.tail = s.folded[:0], s.tail[:0]
}

// write takes the next piece.
func (s *stream) write(piece []byte) {
	if len(s.tail) > 0 {
		piece = append(s.tail, piece...)
		s.tail = nil // piece may lie in it
	}
	whole := len(piece)
	for i := 1; i < utf8.UTFMax && i <= len(piece); i++ {
		if c := piece[len(piece)-i]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(piece[len(piece)-i:]) {
				whole -= i
			}
			break
		}
	}
	s.folded = fold(s.folded, piece[:whole])
	s.tail = append(s.tail[:0:0], piece[whole:]...)
	keep := 0
	for i, seek := range s.seeks {
		if s.found[i] || s.skip != nil && s.skip(seek) {
			continue
		}
		if bytes.Contains(s.folded, seek.text) {
			s.found[i] = true
			s.open--
			continue
		}
		keep = max(keep, len(seek.text)-1)
	}
	keep = min(max(keep, 0), len(s.folded))
	s.folded = append(s.folded[:0], s.folded[len(s.folded)-keep:]...)
}
