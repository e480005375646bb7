package dkim

import "crypto/sha256"

// Bodies hashes one body in the forms that some claims want, each once.
type Bodies struct {
	relaxed   *BodyHash
	simple    *SimpleHash
	ended     bool
	ofRelaxed [sha256.Size]byte
	ofSimple  [sha256.Size]byte
}

// Want adds the form of a claim. It comes before the first Write.
func (b *Bodies) Want(c *Claim) {
	if c.SimpleBody && b.simple == nil {
		b.simple = NewSimpleHash()
	}
	if !c.SimpleBody && b.relaxed == nil {
		b.relaxed = NewBodyHash()
	}
}

// Write adds to the body. It never fails.
func (b *Bodies) Write(p []byte) (int, error) {
	if b.relaxed != nil {
		b.relaxed.Write(p)
	}
	if b.simple != nil {
		b.simple.Write(p)
	}
	return len(p), nil
}

// Of gives the hash of the body in the form of a claim that was wanted. The body
// ends with the first call.
func (b *Bodies) Of(c *Claim) [sha256.Size]byte {
	if !b.ended {
		b.ended = true
		if b.relaxed != nil {
			b.ofRelaxed = b.relaxed.Sum()
		}
		if b.simple != nil {
			b.ofSimple = b.simple.Sum()
		}
	}
	if c.SimpleBody {
		return b.ofSimple
	}
	return b.ofRelaxed
}
