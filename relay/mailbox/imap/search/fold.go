package search

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// fold appends text to out in the form in which texts are compared: accents
// and signs that are composed taken apart, wide and other forms of a letter
// replaced by the letter (NFKD), and small letters for capitals. Octets that
// are no UTF-8 stay.
func fold(out, text []byte) []byte {
	for len(text) > 0 {
		n := 0
		for n < len(text) && text[n] < utf8.RuneSelf {
			n++
		}
		out = appendLower(out, text[:n])
		text = text[n:]
		if len(text) == 0 {
			break
		}
		n = 0
		for n < len(text) && text[n] >= utf8.RuneSelf {
			n++
		}
		// A mark that combines with a letter before it is of no account here:
		// letters of ASCII have nothing to take apart.
		out = foldWide(out, text[:n])
		text = text[n:]
	}
	return out
}

func appendLower(out, text []byte) []byte {
	at := len(out)
	out = append(out, text...)
	for i, c := range out[at:] {
		if c-'A' < 26 {
			out[at+i] = c + 'a' - 'A'
		}
	}
	return out
}

// foldWide folds text without ASCII.
func foldWide(out, text []byte) []byte {
	var scratch [256]byte
	for len(text) > 0 {
		// In pieces, so that nothing grows; each ends with a letter.
		piece := text
		if len(piece) > len(scratch)/4 {
			cut := len(scratch) / 4
			for cut > 0 && !utf8.RuneStart(piece[cut]) {
				cut--
			}
			if cut > 0 {
				piece = piece[:cut]
			}
		}
		text = text[len(piece):]
		apart := piece
		if !norm.NFKD.IsNormal(piece) {
			apart = norm.NFKD.Append(scratch[:0], piece...)
		}
		for len(apart) > 0 {
			r, n := utf8.DecodeRune(apart)
			if r == utf8.RuneError && n == 1 {
				out = append(out, apart[0])
			} else {
				out = utf8.AppendRune(out, unicode.ToLower(unicode.ToUpper(r)))
			}
			apart = apart[n:]
		}
	}
	return out
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
