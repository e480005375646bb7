package blob

import (
	"errors"
	"io"
	"os"

	"tenma/relay/mailbox/store/ledger"
)

// Content is a message's octets: its own prefix and the body. It belongs to one
// goroutine.
type Content struct {
	s      *Store
	id     ledger.BlobID
	prefix []byte
	body   int64 // octets of the body
	chunk  []byte
	n      int64 // number of chunk
	pinned bool
	closed bool
}

// Open opens a body. there says whether its message is still there; it is
// asked about a body of several chunks, which is kept from then on until Close.
func (s *Store) Open(id ledger.BlobID, size int64, prefix []byte, there func() (bool, error)) (*Content, error) {
	c := &Content{s: s, id: id, prefix: prefix, body: size, n: -1}
	if size <= ChunkSize {
		return c, c.load(0)
	}
	s.pin(id)
	c.pinned = true
	// Sweep looks for pins after the reference went: one of the two sees the
	// other.
	ok, err := there()
	if err == nil && !ok {
		err = ErrGone
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Size is that of prefix and body.
func (c *Content) Size() int64 { return int64(len(c.prefix)) + c.body }

// Close lets the body go.
func (c *Content) Close() error {
	if c.pinned && !c.closed {
		c.s.unpin(c.id)
		c.s.Poke()
	}
	c.closed, c.chunk, c.n = true, nil, -1
	return nil
}

func (c *Content) load(n int64) error {
	if c.n == n {
		return nil
	}
	if c.closed {
		return os.ErrClosed
	}
	chunk, err := c.s.db.Get(ledger.BlobKey(c.id, uint32(n)))
	if err != nil {
		return err
	}
	if want := min(ChunkSize, c.body-n*ChunkSize); int64(len(chunk)) != want {
		return ErrGone
	}
	c.chunk, c.n = chunk, n
	return nil
}

// ReadAt is io.ReaderAt's.
func (c *Content) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("mailbox: negative offset")
	}
	for n < len(p) {
		part, err := c.from(off)
		if err != nil {
			return n, err
		}
		k := copy(p[n:], part)
		n += k
		off += int64(k)
	}
	return n, nil
}

// from gives octets from off on, as many as are at hand but at least one, or
// io.EOF.
func (c *Content) from(off int64) ([]byte, error) {
	if off < int64(len(c.prefix)) {
		return c.prefix[off:], nil
	}
	off -= int64(len(c.prefix))
	if off >= c.body {
		return nil, io.EOF
	}
	if err := c.load(off / ChunkSize); err != nil {
		return nil, err
	}
	return c.chunk[off%ChunkSize:], nil
}

// WriteTo writes all, from the start.
func (c *Content) WriteTo(w io.Writer) (n int64, err error) {
	for n < c.Size() {
		part, err := c.from(n)
		if err != nil {
			return n, err
		}
		k, err := w.Write(part)
		n += int64(k)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
