package table

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"tenma/relay/policy/suppress"
	"tenma/relay/wire/smtp"
)

// Kinds of record, the first octet of a key.
const (
	inForce byte = 'e' // key of an entry -> entry
	held    byte = 'h' // the same
	made    byte = 'm' // held?, time, key of the entry -> nothing
	ends    byte = 'x' // time, held?, key of the entry -> nothing
	counted byte = 'c' // -> numbers
)

const version = 1 // of an entry's value

// errDamaged is a record that this program cannot have written.
var errDamaged = errors.New("a record of the suppression list is damaged")

func kindOf(isHeld bool) byte {
	if isHeld {
		return held
	}
	return inForce
}

// appendKey appends the four parts, a NUL between them: none of them has one.
func appendKey(b []byte, k *suppress.Key) []byte {
	b = append(append(b, k.Domain...), 0)
	b = append(append(b, k.Local...), 0)
	b = append(append(b, k.Tenant...), 0)
	return append(b, k.Campaign...)
}

func parseKey(b []byte) (k suppress.Key, err error) {
	parts := bytes.Split(b, []byte{0})
	if len(parts) != 4 {
		return k, errDamaged
	}
	return suppress.Key{Domain: smtp.Domain(parts[0]), Local: string(parts[1]), Tenant: string(parts[2]), Campaign: string(parts[3])}, nil
}

// entryKey is the key of an entry's record.
func entryKey(b []byte, k *suppress.Key, isHeld bool) []byte {
	return appendKey(append(b, kindOf(isHeld)), k)
}

// madeKey is the key of an entry in the index by time.
func madeKey(e *suppress.Entry) []byte {
	b := binary.BigEndian.AppendUint64([]byte{made, kindOf(e.Held)}, stamp(e.Created))
	return appendKey(b, &e.Key)
}

// endKey is the key of an entry in the index by end.
func endKey(e *suppress.Entry) []byte {
	b := binary.BigEndian.AppendUint64([]byte{ends}, stamp(e.Expires))
	return appendKey(append(b, kindOf(e.Held)), &e.Key)
}

// stamp is a time in seconds, 0 for what was before 1970.
func stamp(t time.Time) uint64 { return uint64(max(0, t.Unix())) }

func appendEntry(b []byte, e *suppress.Entry) []byte {
	b = append(b, version, byte(e.Reason))
	b = binary.AppendUvarint(b, stamp(e.Created))
	var end uint64
	if !e.Expires.IsZero() {
		end = stamp(e.Expires)
	}
	b = binary.AppendUvarint(b, end)
	for _, s := range [...]string{e.Rule, e.Detail, e.Message, e.Creator, e.Provider} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// parseEntry reads a value; the key is the caller's.
func parseEntry(b []byte, e *suppress.Entry) error {
	if len(b) < 2 || b[0] != version || b[1] == 0 || int(b[1]) >= suppress.Reasons {
		return errDamaged
	}
	e.Reason = suppress.Reason(b[1])
	b = b[2:]
	for _, t := range [...]*time.Time{&e.Created, &e.Expires} {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > 1<<40 {
			return errDamaged
		}
		if b = b[size:]; n != 0 || t == &e.Created {
			*t = time.Unix(int64(n), 0).UTC()
		}
	}
	for _, s := range [...]*string{&e.Rule, &e.Detail, &e.Message, &e.Creator, &e.Provider} {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return errDamaged
		}
		*s, b = string(b[size:size+int(n)]), b[size+int(n):]
	}
	if len(b) != 0 {
		return errDamaged
	}
	return nil
}
