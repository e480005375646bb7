package pebblespool

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"tenma/spool"
)

// Prefixes of the kinds of record; the package comment has the table.
const (
	kindBody   = 'b'
	kindDue    = 'd'
	kindEntry  = 'e'
	kindFind   = 'i'
	kindDedupe = 'k'
	kindMeta   = 'm'
	kindWords  = 'n'
	kindRefs   = 'r'
	kindState  = 's'
	kindStaged = 't'
	kindExpiry = 'x'
)

// chunkSize is the size of a body's chunks but the last. Inline bodies have one.
const chunkSize = spool.MaxInline

const (
	idLen   = len(spool.ID{})
	hashLen = sha256.Size
)

type (
	idKey    [1 + idLen]byte
	chunkKey [1 + idLen + 4]byte
	dueKey   [1 + 4 + idLen]byte
	hashKey  [1 + hashLen]byte
	expKey   [1 + 4 + hashLen]byte
	hash     [hashLen]byte
)

func keyOf(kind byte, id spool.ID) (k idKey) {
	k[0] = kind
	copy(k[1:], id[:])
	return k
}

func keyOfChunk(body spool.ID, n int) (k chunkKey) {
	k[0] = kindBody
	copy(k[1:], body[:])
	binary.BigEndian.PutUint32(k[1+idLen:], uint32(n))
	return k
}

func keyOfDue(due uint32, id spool.ID) (k dueKey) {
	k[0] = kindDue
	binary.BigEndian.PutUint32(k[1:], due)
	copy(k[5:], id[:])
	return k
}

// place is a position in the due index.
type place struct {
	due uint32
	id  spool.ID
}

func placeOf(k []byte) (p place, ok bool) {
	if len(k) != len(dueKey{}) {
		return p, false
	}
	p.due = binary.BigEndian.Uint32(k[1:])
	copy(p.id[:], k[5:])
	return p, true
}

func (p place) after(q place) bool {
	if p.due != q.due {
		return p.due > q.due
	}
	return compare(p.id, q.id) > 0
}

func keyOfHash(h hash) (k hashKey) {
	k[0] = kindDedupe
	copy(k[1:], h[:])
	return k
}

func keyOfExpiry(at uint32, h hash) (k expKey) {
	k[0] = kindExpiry
	binary.BigEndian.PutUint32(k[1:], at)
	copy(k[5:], h[:])
	return k
}

// maxWord is the longest word that is stored as it is. A longer one is cut and
// its hash appended, so that words stay distinct.
const maxWord = 512

// findPrefix is what the index entries of a word begin with. The length in
// front keeps one word from being a prefix of another.
func findPrefix(word string) []byte {
	if len(word) > maxWord {
		h := sha256.Sum256([]byte(word))
		word = word[:maxWord-hashLen] + string(h[:])
	}
	k := make([]byte, 0, 3+len(word)+idLen)
	k = append(k, kindFind)
	k = binary.BigEndian.AppendUint16(k, uint16(len(word)))
	return append(k, word...)
}

func keyOfFind(word string, id spool.ID) []byte { return append(findPrefix(word), id[:]...) }

// next is the smallest key behind every key that begins with k.
func next(k []byte) []byte {
	n := append([]byte(nil), k...)
	for i := len(n) - 1; i >= 0; i-- {
		if n[i]++; n[i] != 0 {
			return n[:i+1]
		}
	}
	return nil
}

// seconds rounds t up to whole seconds, so that nothing is early. The zero time
// is 0. Four octets last until 2106.
func seconds(t time.Time) uint32 {
	if t.IsZero() {
		return 0
	}
	s := t.Unix()
	if t.Nanosecond() > 0 {
		s++
	}
	return uint32(max(0, min(s, 1<<32-1)))
}

func compare(a, b spool.ID) int {
	for i := range a {
		if a[i] != b[i] {
			return int(a[i]) - int(b[i])
		}
	}
	return 0
}
