package dkim

import (
	"crypto/sha256"
	"hash"
)

// SimpleHash is the SHA-256 of a body in simple form (RFC 6376 section 3.4.3): as
// it came, but for empty lines at its end, of which none count, and for the end of
// its last line, which is there in any case. The body is written in pieces of any
// size. Its lines end with CRLF; a CR or an LF alone is an octet like any other.
type SimpleHash struct {
	sum  hash.Hash
	ends int  // line ends that were read; they count if anything follows
	cr   bool // a CR that was read; it counts if no LF follows
}

// NewSimpleHash gives the hash of an empty body.
func NewSimpleHash() *SimpleHash { return &SimpleHash{sum: sha256.New()} }

// Write adds to the body. It never fails.
func (s *SimpleHash) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if s.cr {
			s.cr = false
			if p[0] == '\n' {
				s.ends++
				p = p[1:]
				continue
			}
			s.let()
			s.sum.Write(crlf[:1])
		}
		if p[0] == '\r' {
			s.cr = true
			p = p[1:]
			continue
		}
		s.let()
		end := len(p)
		if p[end-1] == '\r' {
			end--
		}
		for end >= 2 && p[end-2] == '\r' && p[end-1] == '\n' {
			end -= 2
		}
		s.sum.Write(p[:end])
		p = p[end:]
	}
	return n, nil
}

// let counts the line ends that were held back.
func (s *SimpleHash) let() {
	for ; s.ends > 0; s.ends-- {
		s.sum.Write(crlf)
	}
}

// Sum ends the body and gives its hash. An empty body counts as one line end.
func (s *SimpleHash) Sum() (h [sha256.Size]byte) {
	if s.cr {
		s.let()
		s.sum.Write(crlf[:1])
	}
	s.sum.Write(crlf)
	s.sum.Sum(h[:0])
	return h
}
