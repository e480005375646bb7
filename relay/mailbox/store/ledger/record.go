package ledger

import (
	"encoding/binary"
	"errors"
	"math"
	"time"
)

// ErrRecord is a record that cannot be read.
var ErrRecord = errors.New("mailbox: damaged record")

// version is the first octet of every record but Item, of which there are most.
const version = 1

// Meta is what is known of the whole store.
type Meta struct {
	NextUser uint32
	// Validity is at least the UIDVALIDITY of every folder of a removed
	// account, so that an account of the same name gets larger ones.
	Validity uint32
}

// User is what is known of an account, apart from its folders.
type User struct {
	ID         uint32
	NextFolder uint32
	Validity   uint32 // the last UIDVALIDITY that was given out
	Lost       uint32 // the largest one that a name lost, by deletion or renaming
	Warned     uint32 // percent of the quota of which the user was warned
}

// Folder is what is known of a folder.
type Folder struct {
	Name       string
	Use        string
	Subscribed bool
	NoSelect   bool
	Marked     bool // holds messages that were retrieved by POP3

	Validity    uint32
	Next        uint32 // UIDNEXT
	ModSeq      uint64
	Messages    uint32
	Unseen      uint32
	Deleted     uint32
	Recent      uint32
	FirstRecent uint32 // the first UID that no session has been told is \Recent
	Octets      int64
	DeletedSize int64
	Keywords    []string // package flag's Table
}

// Item is what changes of a message, and its size.
type Item struct {
	Flags, ModSeq uint64
	Size          uint32
}

// Info is what never changes of a message.
type Info struct {
	Blob        BlobID
	BlobSize    int64
	Date, Saved int64  // seconds since 1970
	Prefix      []byte // goes before the body
	Digest      []byte // package digest's
}

// Encode makes the record.
func (m Meta) Encode() []byte {
	return uvarints([]byte{version}, uint64(m.NextUser), uint64(m.Validity))
}

// Encode makes the record.
func (u User) Encode() []byte {
	return uvarints([]byte{version}, uint64(u.ID), uint64(u.NextFolder), uint64(u.Validity), uint64(u.Lost), uint64(u.Warned))
}

// Encode makes the record.
func (f *Folder) Encode() []byte {
	var bits byte
	for i, b := range []bool{f.Subscribed, f.NoSelect, f.Marked} {
		if b {
			bits |= 1 << i
		}
	}
	b := []byte{version, bits}
	b = text(text(b, f.Name), f.Use)
	b = uvarints(b, uint64(f.Validity), uint64(f.Next), f.ModSeq, uint64(f.Messages), uint64(f.Unseen), uint64(f.Deleted),
		uint64(f.Recent), uint64(f.FirstRecent), uint64(f.Octets), uint64(f.DeletedSize), uint64(len(f.Keywords)))
	for _, k := range f.Keywords {
		b = text(b, k)
	}
	return b
}

// Encode makes the record.
func (i Item) Encode() []byte { return uvarints(nil, i.Flags, i.ModSeq, uint64(i.Size)) }

// Encode makes the record.
func (i *Info) Encode() []byte {
	b := make([]byte, 0, 64+len(i.Prefix)+len(i.Digest))
	b = append(append(b, version), i.Blob[:]...)
	b = uvarints(b, uint64(i.BlobSize))
	b = binary.AppendVarint(binary.AppendVarint(b, i.Date), i.Saved)
	b = append(uvarints(b, uint64(len(i.Prefix))), i.Prefix...)
	return append(b, i.Digest...)
}

func uvarints(b []byte, all ...uint64) []byte {
	for _, v := range all {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

func text(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decoder reads a record; after the first fault it gives zeros.
type decoder struct {
	b   []byte
	bad bool
}

func decode(b []byte) *decoder {
	d := &decoder{b: b}
	if d.octet() != version {
		d.bad = true
	}
	return d
}

func (d *decoder) octet() byte {
	if len(d.b) == 0 {
		d.bad = true
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) uint32() uint32 {
	v := d.uint()
	if v > math.MaxUint32 {
		d.bad = true
	}
	return uint32(v)
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) text() string { return string(d.bytes(d.uint())) }

func (d *decoder) err() error {
	if d.bad {
		return ErrRecord
	}
	return nil
}

// DecodeMeta reads Meta.Encode.
func DecodeMeta(b []byte) (Meta, error) {
	d := decode(b)
	m := Meta{d.uint32(), d.uint32()}
	return m, d.err()
}

// DecodeUser reads User.Encode.
func DecodeUser(b []byte) (User, error) {
	d := decode(b)
	u := User{d.uint32(), d.uint32(), d.uint32(), d.uint32(), d.uint32()}
	return u, d.err()
}

// DecodeFolder reads Folder.Encode.
func DecodeFolder(b []byte) (Folder, error) {
	d := decode(b)
	bits := d.octet()
	f := Folder{
		Subscribed: bits&1 != 0, NoSelect: bits&2 != 0, Marked: bits&4 != 0,
		Name: d.text(), Use: d.text(), Validity: d.uint32(), Next: d.uint32(), ModSeq: d.uint(),
		Messages: d.uint32(), Unseen: d.uint32(), Deleted: d.uint32(), Recent: d.uint32(), FirstRecent: d.uint32(),
		Octets: int64(d.uint()), DeletedSize: int64(d.uint()),
	}
	for n := d.uint(); n > 0 && !d.bad; n-- {
		f.Keywords = append(f.Keywords, d.text())
	}
	return f, d.err()
}

// DecodeItem reads Item.Encode.
func DecodeItem(b []byte) (Item, error) {
	d := decoder{b: b}
	i := Item{d.uint(), d.uint(), d.uint32()}
	return i, d.err()
}

// DecodeInfo reads Info.Encode. Prefix and Digest share memory with b.
func DecodeInfo(b []byte) (Info, error) {
	d := decode(b)
	var i Info
	copy(i.Blob[:], d.bytes(uint64(len(i.Blob))))
	i.BlobSize, i.Date, i.Saved = int64(d.uint()), d.int(), d.int()
	i.Prefix = d.bytes(d.uint())
	i.Digest = d.b
	return i, d.err()
}

// Seconds makes the value of a RetrievedKey.
func Seconds(t time.Time) []byte { return binary.AppendVarint(nil, t.Unix()) }

// Time reads Seconds.
func Time(b []byte) time.Time {
	s, _ := binary.Varint(b)
	return time.Unix(s, 0)
}
