package layout

import (
	"encoding/binary"
	"errors"
	"time"

	"tenma/spool"
)

// ErrRecord says that a record does not read as what it should be.
var ErrRecord = errors.New("layout: damaged record")

// recordVersion begins each entry and state record.
const recordVersion = 1

// entry is the record under e|id. It never changes.
type Entry struct {
	Run      uint64   // in which process run it was stored
	Body     spool.ID // the body's key: the entry's own id, a staged body's, another entry's
	Size     int64    // of the body
	Envelope []byte
}

const entryForeignBody = 1 // flag: body's key follows

func (e *Entry) Append(b []byte, id spool.ID) []byte {
	flags := byte(0)
	if e.Body != id {
		flags = entryForeignBody
	}
	b = append(b, recordVersion, flags)
	b = binary.AppendUvarint(b, e.Run)
	b = binary.AppendUvarint(b, uint64(e.Size))
	if flags&entryForeignBody != 0 {
		b = append(b, e.Body[:]...)
	}
	return append(b, e.Envelope...)
}

// ReadEntry reads b; the envelope aliases it.
func ReadEntry(b []byte, id spool.ID) (Entry, error) {
	var e Entry
	if len(b) < 4 || b[0] != recordVersion {
		return e, ErrRecord
	}
	flags := b[1]
	b = b[2:]
	var n int
	if e.Run, n = binary.Uvarint(b); n <= 0 {
		return e, ErrRecord
	}
	b = b[n:]
	size, n := binary.Uvarint(b)
	if n <= 0 || size > 1<<62 {
		return e, ErrRecord
	}
	b = b[n:]
	e.Size, e.Body = int64(size), id
	if flags&entryForeignBody != 0 {
		if len(b) < IDLen {
			return e, ErrRecord
		}
		copy(e.Body[:], b)
		b = b[IDLen:]
	}
	e.Envelope = b
	return e, nil
}

// Chunks is how many Chunks a body of size octets has.
func Chunks(size int64) int { return int((size + ChunkSize - 1) / ChunkSize) }

// ChunkLen is the size of chunk n.
func ChunkLen(size int64, n int) int { return int(min(ChunkSize, size-int64(n)*ChunkSize)) }

// state is the record under s|id. The zero state has no record.
type State struct {
	Parked bool // stands in the due index, or stood there until it fell due
	Words  bool // there is a record under n|id
	Due    time.Time
	Data   []byte
}

const (
	stateParked = 1
	stateWords  = 2
	stateDue    = 4
)

func (s *State) IsZero() bool {
	return !s.Parked && !s.Words && s.Due.IsZero() && len(s.Data) == 0
}

func (s *State) Append(b []byte) []byte {
	flags := byte(0)
	if s.Parked {
		flags |= stateParked
	}
	if s.Words {
		flags |= stateWords
	}
	if !s.Due.IsZero() {
		flags |= stateDue
	}
	b = append(b, recordVersion, flags)
	if flags&stateDue != 0 {
		b = binary.BigEndian.AppendUint64(b, uint64(s.Due.UnixNano()))
	}
	return append(b, s.Data...)
}

// ReadState reads b; the data aliases it.
func ReadState(b []byte) (State, error) {
	var s State
	if len(b) < 2 || b[0] != recordVersion {
		return s, ErrRecord
	}
	flags := b[1]
	b = b[2:]
	s.Parked, s.Words = flags&stateParked != 0, flags&stateWords != 0
	if flags&stateDue != 0 {
		if len(b) < 8 {
			return s, ErrRecord
		}
		s.Due = time.Unix(0, int64(binary.BigEndian.Uint64(b)))
		b = b[8:]
	}
	if len(b) > 0 {
		s.Data = b
	}
	return s, nil
}

// AppendWords writes the record under n|id.
func AppendWords(b []byte, words []string) []byte {
	for _, w := range words {
		b = binary.AppendUvarint(b, uint64(len(w)))
		b = append(b, w...)
	}
	return b
}

func ReadWords(b []byte) ([]string, error) {
	var words []string
	for len(b) > 0 {
		n, k := binary.Uvarint(b)
		if k <= 0 || n > uint64(len(b)-k) {
			return nil, ErrRecord
		}
		words = append(words, string(b[k:k+int(n)]))
		b = b[k+int(n):]
	}
	return words, nil
}

// dedupe is the record under k|Hash.
type Dedupe struct {
	First  spool.ID
	Expiry uint32
}

func (d *Dedupe) Append(b []byte) []byte {
	return binary.BigEndian.AppendUint32(append(b, d.First[:]...), d.Expiry)
}

func ReadDedupe(b []byte) (d Dedupe, err error) {
	if len(b) != IDLen+4 {
		return d, ErrRecord
	}
	copy(d.First[:], b)
	d.Expiry = binary.BigEndian.Uint32(b[IDLen:])
	return d, nil
}

// DueLen is the length of the values under d|, which are the run that wrote them.
const DueLen = 8

// DueValue makes such a value.
func DueValue(run uint64) []byte { return binary.BigEndian.AppendUint64(nil, run) }

// StagedLen is the length of the record under t|: the body's size, 0 until it
// is finished. A body whose record is there at the start of a process belongs
// to no entry and is swept.
const StagedLen = 8

// StagedValue makes such a record.
func StagedValue(size int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(size)) }
