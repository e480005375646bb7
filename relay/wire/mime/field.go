package mime

import (
	"slices"
	"strconv"
	"strings"

	"tenma/relay/wire/header"
)

// maxWord bounds words of a protocol: types, encodings. Registered media types
// have at most 127 (RFC 6838 section 4.2).
const maxWord = 127

// maxParams bounds the parameters that are read of one field, pieces of split
// ones included.
const maxParams = 200

type fieldSet uint16

const (
	contentType fieldSet = 1 << iota
	contentEncoding
	contentID
	contentDescription
	contentMD5
	contentLocation
	contentLanguage
	contentDisposition
)

func (s fieldSet) has(f fieldSet) bool { return s&f != 0 }
func (s *fieldSet) add(f fieldSet)     { *s |= f }

// contentField says which of the fields that describe a part one is.
func contentField(f header.Field) (which fieldSet, ok bool) {
	switch c := f.Raw[len("content-")] | 0x20; {
	case c == 't' && f.Is("content-type"):
		return contentType, true
	case c == 't' && f.Is("content-transfer-encoding"):
		return contentEncoding, true
	case c == 'i' && f.Is("content-id"):
		return contentID, true
	case c == 'd' && f.Is("content-description"):
		return contentDescription, true
	case c == 'm' && f.Is("content-md5"):
		return contentMD5, true
	case c == 'l' && f.Is("content-location"):
		return contentLocation, true
	case c == 'l' && f.Is("content-language"):
		return contentLanguage, true
	case c == 'd' && f.Is("content-disposition"):
		return contentDisposition, true
	}
	return 0, false
}

// clean takes out what IMAP cannot say in a string: NUL, and line ends, which a
// bare CR is to some.
func clean(s string) string {
	if strings.IndexByte(s, 0) < 0 && strings.IndexByte(s, '\r') < 0 && strings.IndexByte(s, '\n') < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case 0:
			return -1
		case '\r', '\n':
			return ' '
		}
		return r
	}, s)
}

// lexer reads the words of a structured field (RFC 2045 section 5.1, RFC 5322
// section 3.2), leniently.
type lexer struct {
	s string
	i int
}

// space goes over white space and comments.
func (l *lexer) space() {
	for l.i < len(l.s) {
		switch c := l.s[l.i]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == 0:
			l.i++
		case c == '(':
			l.comment()
		default:
			return
		}
	}
}

// comment goes over the comment that begins here, and gives its text.
func (l *lexer) comment() string {
	depth, from := 0, l.i+1
	for ; l.i < len(l.s); l.i++ {
		switch l.s[l.i] {
		case '\\':
			l.i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				l.i++
				return unescape(l.s[from : l.i-1])
			}
		}
	}
	l.i = len(l.s)
	return unescape(l.s[min(from, l.i):])
}

// skip goes over c, if it comes next.
func (l *lexer) skip(c byte) bool {
	l.space()
	if l.i < len(l.s) && l.s[l.i] == c {
		l.i++
		return true
	}
	return false
}

// token reads a word; "" if none comes next. Octets above 127 are let through.
func (l *lexer) token() string {
	l.space()
	from := l.i
	for l.i < len(l.s) && isToken(l.s[l.i]) {
		l.i++
	}
	return l.s[from:l.i]
}

func isToken(c byte) bool {
	return c > ' ' && c != 0x7f && strings.IndexByte(`()<>@,;:\"/[]?=`, c) < 0
}

// quoted reads the quoted string that begins here; the end may be missing.
func (l *lexer) quoted() string {
	l.i++
	from := l.i
	for ; l.i < len(l.s); l.i++ {
		switch l.s[l.i] {
		case '\\':
			l.i++
		case '"':
			l.i++
			return unescape(l.s[from : l.i-1])
		}
	}
	l.i = len(l.s)
	return unescape(l.s[min(from, l.i):])
}

// unescape takes out the backslashes of quoted pairs (RFC 5322 section 3.2.1).
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return clean(s)
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b = append(b, s[i])
	}
	return clean(string(b))
}

// params reads parameters to the end, as they stand.
func (l *lexer) params() []Param {
	var list []Param
	for len(list) < maxParams {
		if !l.skip(';') {
			// Rubbish up to the next semicolon.
			next := strings.IndexByte(l.s[l.i:], ';')
			if next < 0 {
				return list
			}
			l.i += next + 1
		}
		name := l.token()
		if name == "" || !l.skip('=') {
			continue
		}
		l.space()
		var value string
		if l.i < len(l.s) && l.s[l.i] == '"' {
			value = l.quoted()
		} else {
			// Also what ought to be quoted: spaces, slashes, "=".
			from := l.i
			for l.i < len(l.s) && l.s[l.i] != ';' && l.s[l.i] != '"' {
				if l.s[l.i] == '(' && (l.s[l.i-1] == ' ' || l.s[l.i-1] == '\t') {
					break // a comment
				}
				l.i++
			}
			value = clean(strings.TrimRight(l.s[from:l.i], " \t"))
		}
		list = append(list, Param{name, value})
	}
	return list
}

// joinParams joins values that were split (RFC 2231 section 3). One that has a
// piece with a charset is all encoded then, and has an asterisk.
func joinParams(raw []Param) []Param {
	split := false
	for _, p := range raw {
		split = split || strings.IndexByte(p.Name, '*') > 0
	}
	if !split {
		return raw
	}
	type pieces struct {
		of       []piece
		extended bool
	}
	var (
		out    []Param
		at     = map[string]int{} // base name: index of out and joined
		joined []*pieces          // nil for what was not split
	)
	for _, p := range raw {
		base, n, extended, ok := splitName(p.Name)
		if !ok {
			out, joined = append(out, p), append(joined, nil)
			continue
		}
		key := strings.ToLower(base)
		i, seen := at[key]
		if !seen {
			i = len(out)
			at[key] = i
			out, joined = append(out, Param{Name: base}), append(joined, &pieces{})
		}
		joined[i].of = append(joined[i].of, piece{n, p.Value, extended})
		joined[i].extended = joined[i].extended || extended
	}
	kept := out[:0]
	for i, p := range out {
		if j := joined[i]; j != nil {
			var ok bool
			if p, ok = joinPieces(p.Name, j.of, j.extended); !ok {
				continue
			}
		}
		kept = append(kept, p)
	}
	return kept
}

// piece is a part of a parameter's value.
type piece struct {
	n        int
	value    string
	extended bool
}

// splitName takes apart the name of a piece: base*n or base*n*.
func splitName(name string) (base string, n int, extended, ok bool) {
	name, extended = strings.CutSuffix(name, "*")
	star := strings.IndexByte(name, '*')
	if star <= 0 {
		return "", 0, false, false
	}
	n, err := strconv.Atoi(name[star+1:])
	if err != nil || n < 0 || n >= maxParams {
		return "", 0, false, false
	}
	return name[:star], n, extended, true
}

// joinPieces puts the pieces in order, from 0 up to the first that is missing.
func joinPieces(base string, pieces []piece, extended bool) (Param, bool) {
	slices.SortStableFunc(pieces, func(a, b piece) int { return a.n - b.n })
	pieces = slices.CompactFunc(pieces, func(a, b piece) bool { return a.n == b.n })
	if pieces[0].n != 0 {
		return Param{}, false
	}
	var b strings.Builder
	if extended && !pieces[0].extended {
		b.WriteString("''") // no charset, no language
	}
	for i, piece := range pieces {
		if piece.n != i {
			break
		}
		if !extended || piece.extended {
			b.WriteString(piece.value)
			continue
		}
		for j := 0; j < len(piece.value); j++ {
			if c := piece.value[j]; c < 0x80 && isToken(c) && strings.IndexByte("*'%", c) < 0 {
				b.WriteByte(c)
			} else {
				const hex = "0123456789ABCDEF"
				b.Write([]byte{'%', hex[c>>4], hex[c&15]})
			}
		}
	}
	if extended {
		base += "*"
	}
	return Param{base, b.String()}, true
}

// keeper copies texts out of the header sections, until so many octets are
// kept.
type keeper struct{ left int }

// What a list's member takes besides its texts.
const (
	paramCost   = 32
	addressCost = 64
)

func (k *keeper) take(n int) bool {
	if k.left < n {
		k.left = 0 // and nothing smaller either: what is kept is a beginning
		return false
	}
	k.left -= n
	return true
}

func (k *keeper) text(s string) string {
	if s == "" || !k.take(len(s)) {
		return ""
	}
	return strings.Clone(s)
}

// short is a word of a protocol, or instead if it is none.
func (k *keeper) short(s, instead string) string {
	if len(s) > maxWord {
		return instead
	}
	return intern(s)
}

func (k *keeper) params(list []Param) []Param {
	var kept []Param
	for _, p := range list {
		if !k.take(len(p.Name) + len(p.Value) + paramCost) {
			break
		}
		kept = append(kept, Param{intern(p.Name), strings.Clone(p.Value)})
	}
	return kept
}

// words reads a list of words, as of Content-Language (RFC 3282).
func (k *keeper) words(s string) []string {
	var kept []string
	for l := (lexer{s: s}); len(kept) < maxParams; {
		w := l.token()
		if w != "" {
			if !k.take(len(w) + paramCost/2) {
				break
			}
			kept = append(kept, strings.Clone(w))
		}
		if !l.skip(',') {
			break
		}
	}
	return kept
}

// intern copies a word, but not the usual ones.
func intern(s string) string {
	for _, w := range [...]string{
		"text", "plain", "html", "charset", "multipart", "mixed", "alternative", "related", "boundary", "application", "octet-stream",
		"pdf", "image", "png", "jpeg", "name", "filename", "message", "rfc822", "7bit", "8bit", "quoted-printable", "base64", "utf-8", "us-ascii",
	} {
		if s == w {
			return w
		}
	}
	return strings.Clone(s)
}
