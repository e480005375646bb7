package spool

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"time"
)

// ID names an entry. Its first 6 octets are the time of acceptance in
// milliseconds since 1970, so ids sort by age; the rest is random.
type ID [16]byte

// ErrBadID is returned by ParseID.
var ErrBadID = errors.New("spool: not a message id")

// encoding is base32hex without padding: it sorts like the octets and has no
// case to lose when a person reads it out (RFC 4648 section 7).
var encoding = base32.HexEncoding.WithPadding(base32.NoPadding)

// NewID makes an id from the time and 10 octets of randomness.
func NewID(now time.Time, random [10]byte) ID {
	var id ID
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(now.UnixMilli()))
	copy(id[:6], ms[2:])
	copy(id[6:], random[:])
	return id
}

// Derive makes the id of an entry that id's settlement causes. It depends on
// nothing but its arguments, so a settlement that is repeated after a crash
// makes the same entry again and not a second one (promise 4). The time stays
// id's own.
func (id ID) Derive(why string) ID {
	h := sha256.New()
	h.Write(id[:])
	h.Write([]byte(why))
	d := id
	copy(d[6:], h.Sum(nil))
	return d
}

// Time is when the entry was accepted.
func (id ID) Time() time.Time {
	var ms [8]byte
	copy(ms[2:], id[:6])
	return time.UnixMilli(int64(binary.BigEndian.Uint64(ms[:])))
}

// IsZero reports the zero ID, which names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// String gives 26 characters of 0-9 and A-V.
func (id ID) String() string { return encoding.EncodeToString(id[:]) }

// Append appends what String gives.
func (id ID) Append(b []byte) []byte { return encoding.AppendEncode(b, id[:]) }

// MarshalText is String, for JSON.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText is ParseID, for JSON.
func (id *ID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseID(string(b))
	return err
}

// ParseID reads what String wrote, in either case.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 26 {
		return id, ErrBadID
	}
	up := make([]byte, 26)
	for i := range up {
		c := s[i]
		if c >= 'a' && c <= 'v' {
			c -= 'a' - 'A'
		}
		up[i] = c
	}
	n, err := encoding.Decode(id[:], up)
	if err != nil || n != 16 {
		return ID{}, ErrBadID
	}
	return id, nil
}
