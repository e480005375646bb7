package ledger

import (
	"encoding/binary"

	"tenma/spool"
)

// Kinds of keys; the first octet. All numbers in keys are big-endian, so keys
// of one kind sort by user, folder and UID.
const (
	kindMeta      = 'm' // "m" -> Meta
	kindAccount   = 'a' // "a" name -> User
	kindFolder    = 'f' // "f" user folder -> Folder
	kindItem      = 'i' // "i" user folder uid -> Item: what changes of a message, small
	kindInfo      = 'n' // "n" user folder uid -> Info: what never changes
	kindRetrieved = 'p' // "p" user folder uid -> time of the first RETR
	kindBlob      = 'b' // "b" blob n -> at most ChunkSize octets of a body
	kindRef       = 'r' // "r" blob user folder uid -> nothing: who needs the body
	kindCondemned = 'c' // "c" blob -> nothing: a body that may have no reference
	kindGrave     = 'x' // "x" user folder -> nothing: a removed folder whose messages still lie here
	kindDelivery  = 'd' // "d" spool id, recipient, user -> time: a delivery that must not be repeated
	kindNote      = 'o' // "o" user key -> a note, see Note
)

// BlobID names a body. It begins with the time, so bodies lie in the order in
// which they came.
type BlobID [16]byte

// Place is where a message is.
type Place struct{ User, Folder, UID uint32 }

// PlaceSize is the length of a Place in a key.
const placeSize = 12

func (p Place) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, p.User)
	b = binary.BigEndian.AppendUint32(b, p.Folder)
	return binary.BigEndian.AppendUint32(b, p.UID)
}

func parsePlace(b []byte) Place {
	return Place{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])}
}

func placeKey(kind byte, p Place) []byte {
	return p.append(append(make([]byte, 0, 1+placeSize), kind))
}

// MetaKey is that of the one Meta.
func MetaKey() []byte { return []byte{kindMeta} }

// AccountKey is that of an account's User.
func AccountKey(name string) []byte { return append([]byte{kindAccount}, name...) }

// AccountOf reads AccountKey.
func AccountOf(key []byte) string { return string(key[1:]) }

// Accounts bounds the keys of all accounts that come after a name.
func Accounts(after string) (lower, upper []byte) {
	return append(AccountKey(after), 0), []byte{kindAccount + 1}
}

// FolderKey is that of a Folder.
func FolderKey(user, folder uint32) []byte {
	b := binary.BigEndian.AppendUint32([]byte{kindFolder}, user)
	return binary.BigEndian.AppendUint32(b, folder)
}

// FolderOf reads FolderKey's folder, or GraveKey's.
func FolderOf(key []byte) uint32 { return binary.BigEndian.Uint32(key[5:]) }

// Folders bounds the keys of a user's folders.
func Folders(user uint32) (lower, upper []byte) {
	return binary.BigEndian.AppendUint32([]byte{kindFolder}, user), after(binary.BigEndian.AppendUint32([]byte{kindFolder}, user))
}

// after is the first key behind all that begin with b.
func after(b []byte) []byte {
	b = append([]byte(nil), b...)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i]++; b[i] != 0 {
			return b[:i+1]
		}
	}
	return nil
}

// ItemKey is that of a message's Item.
func ItemKey(p Place) []byte { return placeKey(kindItem, p) }

// InfoKey is that of a message's Info.
func InfoKey(p Place) []byte { return placeKey(kindInfo, p) }

// RetrievedKey is that of the mark of POP3.
func RetrievedKey(p Place) []byte { return placeKey(kindRetrieved, p) }

// PlaceOf reads ItemKey, InfoKey, RetrievedKey.
func PlaceOf(key []byte) Place { return parsePlace(key[1:]) }

// Items, Infos and Retrieved bound the keys of messages of a folder, from one
// UID to the last, which is included.
func Items(user, folder, first, last uint32) (lower, upper []byte) {
	return span(kindItem, user, folder, first, last)
}

// Infos: see Items.
func Infos(user, folder, first, last uint32) (lower, upper []byte) {
	return span(kindInfo, user, folder, first, last)
}

// Retrieved: see Items.
func Retrieved(user, folder, first, last uint32) (lower, upper []byte) {
	return span(kindRetrieved, user, folder, first, last)
}

func span(kind byte, user, folder, first, last uint32) (lower, upper []byte) {
	return placeKey(kind, Place{user, folder, first}), after(placeKey(kind, Place{user, folder, last}))
}

// BlobKey is that of one chunk of a body.
func BlobKey(id BlobID, chunk uint32) []byte {
	return binary.BigEndian.AppendUint32(append([]byte{kindBlob}, id[:]...), chunk)
}

// Chunks bounds the keys of a body.
func Chunks(id BlobID) (lower, upper []byte) {
	b := append([]byte{kindBlob}, id[:]...)
	return b, after(b)
}

// RefKey says that the message at p needs a body.
func RefKey(id BlobID, p Place) []byte { return p.append(append([]byte{kindRef}, id[:]...)) }

// Refs bounds the references of a body.
func Refs(id BlobID) (lower, upper []byte) {
	b := append([]byte{kindRef}, id[:]...)
	return b, after(b)
}

// CondemnedKey says that a body may have no reference.
func CondemnedKey(id BlobID) []byte { return append([]byte{kindCondemned}, id[:]...) }

// CondemnedOf reads CondemnedKey.
func CondemnedOf(key []byte) (id BlobID) { copy(id[:], key[1:]); return id }

// Condemned bounds all of them after one.
func Condemned(after BlobID) (lower, upper []byte) {
	return append(CondemnedKey(after), 0), []byte{kindCondemned + 1}
}

// GraveKey is that of a removed folder.
func GraveKey(user, folder uint32) []byte {
	b := FolderKey(user, folder)
	b[0] = kindGrave
	return b
}

// GraveOf reads GraveKey.
func GraveOf(key []byte) (user, folder uint32) {
	return binary.BigEndian.Uint32(key[1:]), FolderOf(key)
}

// Graves bounds all of them.
func Graves() (lower, upper []byte) { return []byte{kindGrave}, []byte{kindGrave + 1} }

// Delivery names the delivery of a message to one of its recipients.
type Delivery struct {
	ID        spool.ID
	Recipient uint32 // index in the envelope
}

// DeliveryKey remembers a delivery into one mailbox.
func DeliveryKey(d Delivery, user uint32) []byte {
	b := append([]byte{kindDelivery}, d.ID[:]...)
	b = binary.BigEndian.AppendUint32(b, d.Recipient)
	return binary.BigEndian.AppendUint32(b, user)
}

// Deliveries bounds what is remembered of messages accepted before that of id.
func Deliveries(id spool.ID) (lower, upper []byte) {
	return []byte{kindDelivery}, append([]byte{kindDelivery}, id[:]...)
}

// NoteKey is that of a note: something small that a rule wants to remember of a
// user.
func NoteKey(user uint32, key string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kindNote}, user), key...)
}

// NoteOf reads NoteKey.
func NoteOf(k []byte) (user uint32, key string) {
	return binary.BigEndian.Uint32(k[1:]), string(k[5:])
}

// Notes bounds those of a user.
func Notes(user uint32) (lower, upper []byte) { return NoteKey(user, ""), after(NoteKey(user, "")) }
