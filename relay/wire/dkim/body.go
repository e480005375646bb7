package dkim

import (
	"bytes"
	"crypto/sha256"
	"hash"
)

// BodyHash is the SHA-256 of a body in relaxed form (RFC 6376 section 3.4.4): a
// run of white space counts as one space, or nothing at the end of a line; empty
// lines at the end of the body do not count. The body is written in pieces of
// any size. Its lines end with CRLF; an LF alone is taken for one, a CR alone is
// an octet like any other.
//
// Nearly all lines are canonical as they stand, so the hash is given stretches
// of what was written, without a copy. Of a line that is cut by the end of a
// piece nothing but its state is kept, however long it is.
type BodyHash struct {
	sum hash.Hash
	out []byte // scratch

	empty int  // empty lines that were read; they count if anything follows
	begun bool // the current line has octets that count, and more than:
	blank bool // white space that was read; it counts if anything follows in the line
	cr    bool // a CR that was read; it counts if no LF follows
	line  bool // the current line has been read in part
}

// NewBodyHash gives the hash of an empty body.
func NewBodyHash() *BodyHash { return &BodyHash{sum: sha256.New()} }

// Reset makes b the hash of an empty body again.
func (b *BodyHash) Reset() {
	b.sum.Reset()
	*b = BodyHash{sum: b.sum, out: b.out[:0]}
}

// Write adds to the body. It never fails.
func (b *BodyHash) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if !b.line {
			whole := canonical(p)
			if whole > 0 {
				b.emptyLines()
				b.sum.Write(p[:whole])
				if p = p[whole:]; len(p) == 0 {
					break
				}
			}
		}
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			b.text(p)
			break
		}
		b.text(p[:end])
		b.endLine()
		p = p[end+1:]
	}
	return n, nil
}

// What matters about an octet of a line.
const (
	space = 1 << iota // one is canonical, two are not
	odd               // not canonical, or not for sure
)

// class is table-driven because words are short: a branch for each space would
// be mispredicted often (measured: twice the time).
var class = [256]byte{' ': space, '\t': odd, '\r': odd}

// canonical gives the length of the lines at the start of p that are in
// canonical form and not empty.
func canonical(p []byte) int {
	for at := 0; ; {
		end := bytes.IndexByte(p[at:], '\n')
		if end < 2 || p[at+end-1] != '\r' {
			return at
		}
		var before, bad byte
		for _, c := range p[at : at+end-1] {
			k := class[c]
			bad |= k&odd | k&before
			before = k
		}
		if bad|before != 0 {
			return at
		}
		at += end + 1
	}
}

// text takes a part of a line, without its LF.
func (b *BodyHash) text(p []byte) {
	b.line = true
	out := b.out[:0]
	for len(p) > 0 {
		if b.cr {
			b.cr = false
			out = b.octets(out, crlf[:1])
		}
		switch p[0] {
		case '\r':
			b.cr = true
			p = p[1:]
		case ' ', '\t':
			b.blank = true
			p = p[1:]
		default:
			n := 1
			for n < len(p) && class[p[n]] == 0 {
				n++
			}
			out = b.octets(out, p[:n])
			p = p[n:]
		}
	}
	b.sum.Write(out)
	b.out = out
}

// octets takes some that count.
func (b *BodyHash) octets(out, p []byte) []byte {
	if !b.begun {
		b.emptyLines() // nothing of this line is in out yet
		b.begun = true
	}
	if b.blank {
		b.blank = false
		out = append(out, ' ')
	}
	return append(out, p...)
}

// endLine ends the current line.
func (b *BodyHash) endLine() {
	if b.begun {
		b.sum.Write(crlf)
	} else {
		b.empty++
	}
	b.begun, b.blank, b.cr, b.line = false, false, false, false
}

// emptyLines counts those held back.
func (b *BodyHash) emptyLines() {
	for ; b.empty > 0; b.empty-- {
		b.sum.Write(crlf)
	}
}

// Sum ends the body and gives its hash. A last line without an end gets one; a
// body without any line that counts is hashed as no octets at all.
func (b *BodyHash) Sum() (h [sha256.Size]byte) {
	if b.cr {
		b.cr = false
		b.sum.Write(b.octets(b.out[:0], crlf[:1]))
	}
	if b.begun {
		b.endLine()
	}
	b.sum.Sum(h[:0])
	return h
}
