package dnscache

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
)

// ids draws ids of queries from the system's randomness (RFC 5452 section
// 9.2), 128 at a time: one by one they cost a tenth of the rest of a query.
type ids struct {
	mu   sync.Mutex
	left []byte
	buf  [256]byte
}

func (r *ids) next() uint16 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.left) == 0 {
		_, _ = rand.Read(r.buf[:]) // it does not fail: without randomness the program ends
		r.left = r.buf[:]
	}
	id := binary.BigEndian.Uint16(r.left)
	r.left = r.left[2:]
	return id
}
