package mime

import "bytes"

// Builder is Parse for a message that is still coming: Write takes it piece by
// piece, and Tree gives what Parse would. It holds one line.
type Builder struct {
	p    *parser
	size int64
	part []byte // of a line whose end has not come
	odd  bool
}

// NewBuilder makes one that has seen nothing yet, with the default Limits.
func NewBuilder() *Builder { return &Builder{p: newParser(Limits{})} }

// Write takes the next octets. It never fails.
func (b *Builder) Write(text []byte) (int, error) {
	n := len(text)
	for len(text) > 0 && !b.odd {
		i := bytes.IndexByte(text, '\n') + 1
		if i == 0 || len(b.part) > 0 {
			end := i
			if i == 0 {
				end = len(text)
			}
			if b.part, text = append(b.part, text[:end]...), text[end:]; len(b.part) > scanBuffer {
				b.odd, b.part = true, nil
			} else if i > 0 {
				b.line(b.part)
				b.part = b.part[:0]
			}
			continue
		}
		b.line(text[:i])
		text = text[i:]
	}
	return n, nil
}

func (b *Builder) line(line []byte) {
	if len(line) > scanBuffer {
		b.odd = true
		return
	}
	b.p.line(line, b.size)
	b.size += int64(len(line))
}

// Tree is the tree of all that was written; nothing may be written after it. ok is
// false where Parse alone can tell: there is a line of more than 64 KiB, of which
// it takes pieces.
func (b *Builder) Tree() (tree *Part, ok bool) {
	if len(b.part) > 0 {
		b.line(b.part)
		b.part = nil
	}
	if b.odd {
		return nil, false
	}
	return b.p.end(b.size), true
}
