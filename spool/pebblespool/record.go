package pebblespool

import (
	"encoding/binary"
	"errors"
	"time"

	"tenma/spool"
)

// errRecord says that a record does not read as what it should be.
var errRecord = errors.New("pebblespool: damaged record")

// recordVersion begins each entry and state record.
const recordVersion = 1

// entry is the record under e|id. It never changes.
type entry struct {
	run      uint64   // in which process run it was stored
	body     spool.ID // the body's key: the entry's own id, a staged body's, another entry's
	size     int64    // of the body
	envelope []byte
}

const entryForeignBody = 1 // flag: body's key follows

func (e *entry) append(b []byte, id spool.ID) []byte {
	flags := byte(0)
	if e.body != id {
		flags = entryForeignBody
	}
	b = append(b, recordVersion, flags)
	b = binary.AppendUvarint(b, e.run)
	b = binary.AppendUvarint(b, uint64(e.size))
	if flags&entryForeignBody != 0 {
		b = append(b, e.body[:]...)
	}
	return append(b, e.envelope...)
}

// readEntry reads b; the envelope aliases it.
func readEntry(b []byte, id spool.ID) (entry, error) {
	var e entry
	if len(b) < 4 || b[0] != recordVersion {
		return e, errRecord
	}
	flags := b[1]
	b = b[2:]
	var n int
	if e.run, n = binary.Uvarint(b); n <= 0 {
		return e, errRecord
	}
	b = b[n:]
	size, n := binary.Uvarint(b)
	if n <= 0 || size > 1<<62 {
		return e, errRecord
	}
	b = b[n:]
	e.size, e.body = int64(size), id
	if flags&entryForeignBody != 0 {
		if len(b) < idLen {
			return e, errRecord
		}
		copy(e.body[:], b)
		b = b[idLen:]
	}
	e.envelope = b
	return e, nil
}

// chunks is how many chunks a body of size octets has.
func chunks(size int64) int { return int((size + chunkSize - 1) / chunkSize) }

// chunkLen is the size of chunk n.
func chunkLen(size int64, n int) int { return int(min(chunkSize, size-int64(n)*chunkSize)) }

// state is the record under s|id. The zero state has no record.
type state struct {
	parked bool // stands in the due index, or stood there until it fell due
	words  bool // there is a record under n|id
	due    time.Time
	data   []byte
}

const (
	stateParked = 1
	stateWords  = 2
	stateDue    = 4
)

func (s *state) isZero() bool {
	return !s.parked && !s.words && s.due.IsZero() && len(s.data) == 0
}

func (s *state) append(b []byte) []byte {
	flags := byte(0)
	if s.parked {
		flags |= stateParked
	}
	if s.words {
		flags |= stateWords
	}
	if !s.due.IsZero() {
		flags |= stateDue
	}
	b = append(b, recordVersion, flags)
	if flags&stateDue != 0 {
		b = binary.BigEndian.AppendUint64(b, uint64(s.due.UnixNano()))
	}
	return append(b, s.data...)
}

// readState reads b; the data aliases it.
func readState(b []byte) (state, error) {
	var s state
	if len(b) < 2 || b[0] != recordVersion {
		return s, errRecord
	}
	flags := b[1]
	b = b[2:]
	s.parked, s.words = flags&stateParked != 0, flags&stateWords != 0
	if flags&stateDue != 0 {
		if len(b) < 8 {
			return s, errRecord
		}
		s.due = time.Unix(0, int64(binary.BigEndian.Uint64(b)))
		b = b[8:]
	}
	if len(b) > 0 {
		s.data = b
	}
	return s, nil
}

// appendWords writes the record under n|id.
func appendWords(b []byte, words []string) []byte {
	for _, w := range words {
		b = binary.AppendUvarint(b, uint64(len(w)))
		b = append(b, w...)
	}
	return b
}

func readWords(b []byte) ([]string, error) {
	var words []string
	for len(b) > 0 {
		n, k := binary.Uvarint(b)
		if k <= 0 || n > uint64(len(b)-k) {
			return nil, errRecord
		}
		words = append(words, string(b[k:k+int(n)]))
		b = b[k+int(n):]
	}
	return words, nil
}

// dedupe is the record under k|hash.
type dedupe struct {
	first  spool.ID
	expiry uint32
}

func (d *dedupe) append(b []byte) []byte {
	return binary.BigEndian.AppendUint32(append(b, d.first[:]...), d.expiry)
}

func readDedupe(b []byte) (d dedupe, err error) {
	if len(b) != idLen+4 {
		return d, errRecord
	}
	copy(d.first[:], b)
	d.expiry = binary.BigEndian.Uint32(b[idLen:])
	return d, nil
}
