package layout

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"tenma/spool"
)

// Prefixes of the kinds of record; the package comment has the table.
const (
	KindBody   = 'b'
	KindDue    = 'd'
	KindEntry  = 'e'
	KindFind   = 'i'
	KindDedupe = 'k'
	KindMeta   = 'm'
	KindWords  = 'n'
	KindRefs   = 'r'
	KindState  = 's'
	KindStaged = 't'
	KindExpiry = 'x'
)

// ChunkSize is the size of a body's Chunks but the last. Inline bodies have one.
const ChunkSize = spool.MaxInline

const (
	IDLen   = len(spool.ID{})
	HashLen = sha256.Size
)

type (
	idKey    [1 + IDLen]byte
	chunkKey [1 + IDLen + 4]byte
	dueKey   [1 + 4 + IDLen]byte
	hashKey  [1 + HashLen]byte
	expKey   [1 + 4 + HashLen]byte
	Hash     [HashLen]byte
)

func Key(kind byte, id spool.ID) (k idKey) {
	k[0] = kind
	copy(k[1:], id[:])
	return k
}

func ChunkKey(body spool.ID, n int) (k chunkKey) {
	k[0] = KindBody
	copy(k[1:], body[:])
	binary.BigEndian.PutUint32(k[1+IDLen:], uint32(n))
	return k
}

func DueKey(due uint32, id spool.ID) (k dueKey) {
	k[0] = KindDue
	binary.BigEndian.PutUint32(k[1:], due)
	copy(k[5:], id[:])
	return k
}

// Place is a position in the due index.
type Place struct {
	Due uint32
	ID  spool.ID
}

func PlaceOf(k []byte) (p Place, ok bool) {
	if len(k) != len(dueKey{}) {
		return p, false
	}
	p.Due = binary.BigEndian.Uint32(k[1:])
	copy(p.ID[:], k[5:])
	return p, true
}

func (p Place) After(q Place) bool {
	if p.Due != q.Due {
		return p.Due > q.Due
	}
	return Compare(p.ID, q.ID) > 0
}

func DedupeKey(h Hash) (k hashKey) {
	k[0] = KindDedupe
	copy(k[1:], h[:])
	return k
}

func ExpiryKey(at uint32, h Hash) (k expKey) {
	k[0] = KindExpiry
	binary.BigEndian.PutUint32(k[1:], at)
	copy(k[5:], h[:])
	return k
}

// maxWord is the longest word that is stored as it is. A longer one is cut and
// its Hash appended, so that words stay distinct.
const maxWord = 512

// FindPrefix is what the index entries of a word begin with. The length in
// front keeps one word from being a prefix of another.
func FindPrefix(word string) []byte {
	if len(word) > maxWord {
		h := sha256.Sum256([]byte(word))
		word = word[:maxWord-HashLen] + string(h[:])
	}
	k := make([]byte, 0, 3+len(word)+IDLen)
	k = append(k, KindFind)
	k = binary.BigEndian.AppendUint16(k, uint16(len(word)))
	return append(k, word...)
}

func FindKey(word string, id spool.ID) []byte { return append(FindPrefix(word), id[:]...) }

// Next is the smallest key behind every key that begins with k.
func Next(k []byte) []byte {
	n := append([]byte(nil), k...)
	for i := len(n) - 1; i >= 0; i-- {
		if n[i]++; n[i] != 0 {
			return n[:i+1]
		}
	}
	return nil
}

// Seconds rounds t up to whole Seconds, so that nothing is early. The zero time
// is 0. Four octets last until 2106.
func Seconds(t time.Time) uint32 {
	if t.IsZero() {
		return 0
	}
	s := t.Unix()
	if t.Nanosecond() > 0 {
		s++
	}
	return uint32(max(0, min(s, 1<<32-1)))
}

func Compare(a, b spool.ID) int {
	for i := range a {
		if a[i] != b[i] {
			return int(a[i]) - int(b[i])
		}
	}
	return 0
}
