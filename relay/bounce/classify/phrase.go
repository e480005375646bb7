package classify

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxText is how many octets of a text are looked at. The longest replies of
	// large providers have some 600.
	maxText = 4 << 10
	// maxGap is how many octets may stand for the "*" of a phrase: a name or an
	// address and some words, not another sentence.
	maxGap = 60
)

// plainText makes the texts of different systems alike: small letters, one
// space for any white space and for "_", "@" for an address, so that no local part counts as
// a word, and no reply codes, which stand before each line of a long reply.
func plainText(s string) string {
	s = s[:min(len(s), maxText)]
	var b strings.Builder
	b.Grow(len(s))
	for word := range strings.FieldsFuncSeq(s, unicode.IsSpace) {
		if isCode(word) {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		appendWord(&b, word)
	}
	return b.String()
}

// isCode reports "550", "550-5.7.1", "5.7.1" and "#5.7.1".
func isCode(w string) bool {
	digits, dots := 0, 0
	for i := 0; i < len(w); i++ {
		switch c := w[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c == '.':
			dots++
		case c != '-' && c != '#' && c != ':':
			return false
		}
	}
	return dots == 2 && w[0] != '-' || dots == 0 && digits == 3
}

func appendWord(b *strings.Builder, w string) {
	if at := strings.IndexByte(w, '@'); at > 0 && !strings.Contains(w, "://") {
		// What stands around the address is kept: "<a@b.test>:" is "<@>:".
		first := strings.LastIndexAny(w[:at], "<>()[]{}\"',;:=") + 1
		last := len(w)
		if end := strings.IndexAny(w[at:], "<>()[]{}\"',;:="); end >= 0 {
			last = at + end
		}
		w = w[:first] + "@" + strings.Repeat(".", trailing(w[at:last])) + w[last:]
	}
	for _, r := range w {
		switch {
		case r == '\u2019' || r == '\u2018' || r == '`': // apostrophes of typographers
			r = '\''
		case r == '_':
			r = ' '
		case r == utf8.RuneError:
			r = '?'
		default:
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
}

// trailing counts the full stops at the end.
func trailing(s string) int { return len(s) - len(strings.TrimRight(s, ".")) }

// withoutNames is a plain text without URLs and names of hosts, whose parts look
// like words.
func withoutNames(t string) string {
	if !strings.Contains(t, ".") {
		return t
	}
	var b strings.Builder
	for w := range strings.SplitSeq(t, " ") {
		if strings.Contains(w, "://") || isHost(strings.Trim(w, "<>()[]{}.,;:'\"")) {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(w)
	}
	return b.String()
}

// isHost reports "mx.b.test" and "mx.b.test[192.0.2.1]", but no end of a sentence
// whose space was forgotten.
func isHost(w string) bool {
	dot := strings.IndexByte(w, '.')
	return dot > 0 && dot < len(w)-2 && !strings.Contains(w, "@") && isWord(w[dot-1]) && isWord(w[dot+1]) && isWord(w[dot+2])
}

// phrase is what to look for: pieces that follow each other, with at most maxGap
// octets between two. A piece that starts with a letter or digit starts a word;
// it may end inside one, so that "quota exceed" finds "quota exceeded".
type phrase struct {
	pieces   []string
	anchored bool   // it must be at the start of the text
	head     uint16 // of the word that it begins with; anyHead: it begins with none
}

func parsePhrase(s string) phrase {
	var p phrase
	s, p.anchored = strings.CutPrefix(s, "^")
	for piece := range strings.SplitSeq(strings.ReplaceAll(s, "_", " "), "*") {
		if piece = strings.TrimSpace(strings.ToLower(piece)); piece != "" {
			p.pieces = append(p.pieces, piece)
		}
	}
	p.head = anyHead
	if len(p.pieces) > 0 && len(p.pieces[0]) >= headLen && isWord(p.pieces[0][0]) {
		p.head = headOf(p.pieces[0])
	}
	return p
}

// heads are the beginnings of a text's words, as a filter of 4,096 bits: most
// phrases begin with a word that a text does not have, and are told so in a
// nanosecond.
type heads [64]uint64

const (
	headLen = 3
	anyHead = 0xffff
)

func headOf(word string) uint16 {
	return (uint16(word[0])*961 + uint16(word[1])*31 + uint16(word[2])) & 4095
}

func headsOf(t string) *heads {
	h := &heads{}
	for i := 0; i+headLen <= len(t); i++ {
		if isWord(t[i]) && (i == 0 || !isWord(t[i-1])) {
			n := headOf(t[i:])
			h[n/64] |= 1 << (n % 64)
		}
	}
	return h
}

func (h *heads) has(head uint16) bool { return head == anyHead || h[head/64]&(1<<(head%64)) != 0 }

// in reports that the phrase occurs in the text t, whose heads are h.
func (p *phrase) in(t string, h *heads) bool {
	if !h.has(p.head) {
		return false
	}
	if p.anchored {
		return strings.HasPrefix(t, p.pieces[0]) && follow(p.pieces[1:], t[len(p.pieces[0]):])
	}
	for from := 0; ; {
		at := find(t[from:], p.pieces[0], from > 0)
		if at < 0 {
			return false
		}
		from += at + len(p.pieces[0])
		if follow(p.pieces[1:], t[from:]) {
			return true
		}
	}
}

// follow reports that the pieces come soon, one after the other.
func follow(pieces []string, t string) bool {
	for _, piece := range pieces {
		within := t[:min(len(t), maxGap+len(piece))]
		at := find(within, piece, true)
		if at < 0 {
			return false
		}
		t = t[at+len(piece):]
	}
	return true
}

// find is strings.Index for the start of a word. after says that t has something
// before it.
func find(t, piece string, after bool) int {
	for from := 0; ; {
		at := strings.Index(t[from:], piece)
		if at < 0 {
			return -1
		}
		at += from
		switch {
		case !isWord(piece[0]), at == 0 && !after, at > 0 && !isWord(t[at-1]):
			return at
		}
		from = at + 1
	}
}

func isWord(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
