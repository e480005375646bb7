package mailbox

import (
	"context"
	"errors"
	"io"
	"time"
)

// Errors that callers branch on. Texts for clients are the callers' own.
var (
	ErrNoFolder  = errors.New("mailbox: no such folder")
	ErrExists    = errors.New("mailbox: folder exists already")
	ErrName      = errors.New("mailbox: not a folder name")
	ErrFolders   = errors.New("mailbox: too many folders")
	ErrInbox     = errors.New("mailbox: not possible with INBOX")
	ErrQuota     = errors.New("mailbox: over quota")
	ErrTooLarge  = errors.New("mailbox: message too large")
	ErrKeywords  = errors.New("mailbox: too many keywords")
	ErrExpunged  = errors.New("mailbox: message is gone")
	ErrReadOnly  = errors.New("mailbox: opened read-only")
	ErrInUse     = errors.New("mailbox: in use by another POP3 session")
	ErrClosed    = errors.New("mailbox: store is closed")
	ErrNoAccount = errors.New("mailbox: account was removed")
)

// Flags are the flags of one message in one folder: five of the system's and,
// from bit 5 on, keywords by their place in the folder's table
// (View.Keywords).
type Flags uint64

// System flags (RFC 9051 section 2.3.2). \Recent belongs to a View.
const (
	Seen Flags = 1 << iota
	Answered
	Flagged
	Deleted
	Draft

	SystemFlags = Seen | Answered | Flagged | Deleted | Draft
	// MaxKeywords is how many keywords a folder can have.
	MaxKeywords = 59
)

// Use is what a folder is for (RFC 6154).
type Use string

// Uses; the texts are those of IMAP's mailbox attributes.
const (
	NoUse   Use = ""
	Archive Use = `\Archive`
	Drafts  Use = `\Drafts`
	Junk    Use = `\Junk`
	Sent    Use = `\Sent`
	Trash   Use = `\Trash`
)

// Separator stands between the levels of a folder's name.
const Separator = '/'

// Folder is what can be told of a folder without opening it.
type Folder struct {
	Name        string // UTF-8, NFC; "INBOX" in upper case
	Use         Use
	Subscribed  bool
	NoSelect    bool // a level without a folder, or a subscription to one that is gone
	UIDValidity uint32
	UIDNext     uint32
	ModSeq      uint64 // the highest
	Messages    uint32
	Unseen      uint32
	Deleted     uint32 // marked \Deleted
	Recent      uint32
	Octets      int64
	DeletedSize int64
}

// Usage is what a mailbox takes.
type Usage struct {
	Octets   int64
	Messages int64
	Limit    int64 // octets; 0: none
}

// Message is what is kept beside the octets of a message.
type Message struct {
	UID    uint32
	Flags  Flags
	ModSeq uint64
	Size   int64     // octets, as Open gives them
	Date   time.Time // when it arrived here, or as APPEND said (INTERNALDATE); to the second
	Saved  time.Time // when it came into this folder (RFC 8514)
	Digest Digest
}

// Digest is of the header what lists, searches and sorts want, decoded to
// UTF-8, together at most MaxDigest octets: each text is cut, never the start
// of one. Texts that SEARCH compares are complete where Whole is set; otherwise
// the message itself must be read.
type Digest struct {
	From, To, Cc, Subject string    // the whole fields as text, decoded
	Sent                  time.Time // of Date; zero: none or unreadable
	MessageID, InReplyTo  string
	References            string
	Whole                 bool
}

// MaxDigest bounds the texts of a Digest together, in octets.
const MaxDigest = 4 << 10

// NewMessage is a message to be added.
type NewMessage struct {
	Size  int64 // octets that Body will give; more or fewer is an error
	Body  io.Reader
	Date  time.Time // zero: now
	Flags []string  // system flags and keywords, any case
}

// Content is the octets of one message, read at the caller's pace: it holds at
// most one chunk (256 KiB) in memory.
type Content interface {
	io.ReaderAt
	io.WriterTo // from the start
	Size() int64
	Close() error
}

// Mailbox is the mail of one account, open. It may be used from any goroutine.
// Open gives the same state to everyone who has it open.
//
// What a method that returned nil has changed is on stable storage.
type Mailbox struct{}

func (m *Mailbox) Account() string { panic(errNotBuilt) }

func (m *Mailbox) Usage() Usage { panic(errNotBuilt) }

// Folders gives all folders, INBOX first, then by name.
func (m *Mailbox) Folders() []Folder { panic(errNotBuilt) }

// Folder gives one. Its error is ErrNoFolder.
func (m *Mailbox) Folder(name string) (Folder, error) { panic(errNotBuilt) }

// Create makes a folder and those above it. Errors: ErrExists, ErrName,
// ErrFolders.
func (m *Mailbox) Create(ctx context.Context, name string, use Use) error { panic(errNotBuilt) }

// Delete removes a folder with its messages; one with folders below it
// becomes NoSelect. Errors: ErrNoFolder, ErrInbox.
func (m *Mailbox) Delete(ctx context.Context, name string) error { panic(errNotBuilt) }

// Rename moves a folder and those below it. INBOX's messages move and INBOX
// stays (RFC 9051 section 6.3.6). UIDs stay; UIDVALIDITY of a name that was
// in use before is larger than it was then.
func (m *Mailbox) Rename(ctx context.Context, from, to string) error { panic(errNotBuilt) }

func (m *Mailbox) Subscribe(ctx context.Context, name string, on bool) error { panic(errNotBuilt) }

// Append adds a message to a folder. Errors: ErrNoFolder, ErrQuota,
// ErrTooLarge, ErrKeywords, and what reading the body gave. The body may
// block; nothing is locked meanwhile.
func (m *Mailbox) Append(ctx context.Context, folder string, msg NewMessage) (uidValidity, uid uint32, err error) {
	panic(errNotBuilt)
}

// Select opens a view of a folder.
func (m *Mailbox) Select(name string, readOnly bool) (*View, error) { panic(errNotBuilt) }

// LockPOP3 is the exclusive lock of POP3 (RFC 1939 section 4): ErrInUse if
// another has it. IMAP is not hindered.
func (m *Mailbox) LockPOP3() (unlock func(), err error) { panic(errNotBuilt) }

func (m *Mailbox) Close() { panic(errNotBuilt) }

// View is one session's picture of a folder: a list of messages, numbered from
// 1, that changes only in Update. It belongs to one goroutine, but for Changed.
type View struct{}

// Folder: as it is now, but for Messages: Len.
func (v *View) Folder() Folder { panic(errNotBuilt) }

func (v *View) ReadOnly() bool { panic(errNotBuilt) }

func (v *View) Len() int { panic(errNotBuilt) }

// UID: 0: no such number.
func (v *View) UID(seq int) uint32 { panic(errNotBuilt) }

// Seq: exact.
func (v *View) Seq(uid uint32) (int, bool) { panic(errNotBuilt) }

// SeqFrom: number of the first with at least this UID; Len+1 if none.
func (v *View) SeqFrom(uid uint32) int { panic(errNotBuilt) }

// Recent: \Recent: this view is the first to see it.
func (v *View) Recent(seq int) bool { panic(errNotBuilt) }

// Flags: as Update last told, with the message's mod-sequence.
func (v *View) Flags(seq int) (Flags, uint64) { panic(errNotBuilt) }

// Names are a message's flags as IMAP writes them, \Recent not among them.
func (v *View) Names(f Flags) []string { panic(errNotBuilt) }

// Keyword gives the bit of a keyword, any case; 0 if the folder has none such.
func (v *View) Keyword(name string) Flags { panic(errNotBuilt) }

// Keywords are those of the folder.
func (v *View) Keywords() []string { panic(errNotBuilt) }

// Message reads one. Its error is ErrExpunged, or tells of the disk.
func (v *View) Message(seq int) (Message, error) { panic(errNotBuilt) }

// Each calls fn for the messages from number first to last in order until
// it says false, leaving out those that are gone. It reads in runs: memory
// does not grow with the number.
func (v *View) Each(ctx context.Context, first, last int, fn func(seq int, m *Message) bool) error {
	panic(errNotBuilt)
}

// Open gives the octets. Its error is ErrExpunged, or tells of the disk.
func (v *View) Open(seq int) (Content, error) { panic(errNotBuilt) }

// Store changes flags of the messages with these numbers. With a
// mod-sequence other than 0, those that have changed since are left as they
// are and given in failed (RFC 7162 section 3.1.3). The caller tells the
// client; Update will not tell the same again. Errors: ErrReadOnly,
// ErrKeywords.
func (v *View) Store(ctx context.Context, seqs []int, op Op, flags []string, unchangedSince uint64) (failed []int, err error) {
	panic(errNotBuilt)
}

// Copy and Move bring messages into another folder, with flags and dates,
// all or none. Those that are gone are left out. Errors: ErrNoFolder,
// ErrQuota (Copy), ErrReadOnly (Move), ErrKeywords.
func (v *View) Copy(ctx context.Context, seqs []int, folder string) (Copied, error) {
	panic(errNotBuilt)
}

func (v *View) Move(ctx context.Context, seqs []int, folder string) (Copied, error) {
	panic(errNotBuilt)
}

// Expunge removes messages marked \Deleted: all, or those among seqs if it
// is not nil. They leave this view in Update, as with anyone's.
func (v *View) Expunge(ctx context.Context, seqs []int) error { panic(errNotBuilt) }

// Remove removes messages whatever their flags, in one step (POP3's QUIT,
// retention).
func (v *View) Remove(ctx context.Context, seqs []int) error { panic(errNotBuilt) }

// Changed receives when there is something to Update, at least once after
// the last.
func (v *View) Changed() <-chan struct{} { panic(errNotBuilt) }

// Update brings the view up to date. Without expunge nothing is renumbered:
// messages that are gone stay in the list until a later Update (RFC 9051
// section 7.5.1), and new ones are added only behind.
func (v *View) Update(expunge bool) Update { panic(errNotBuilt) }

func (v *View) Close() { panic(errNotBuilt) }

// Op is how Store changes flags.
type Op uint8

// Ways to change flags.
const (
	SetFlags Op = iota
	AddFlags
	DelFlags
)

// Copied tells where messages went (RFC 4315 section 3), in pairs.
type Copied struct {
	UIDValidity uint32
	From, To    []uint32 // UIDs; rising
}

// Update is what changed in a View, in the order in which to tell it.
type Update struct {
	Expunged []int // numbers as they were one after the other: tell them in this order
	Len      int   // new length; told if Grown
	Grown    bool
	Recent   int   // how many are \Recent now
	Flags    []int // numbers, after Expunged, whose flags others have changed
	Keywords bool  // the folder has keywords that it did not have
	Gone     bool  // the folder itself was deleted
}

var errNotBuilt = errors.New("mailbox: not built")

// Open opens the mailbox of an account, which is made with INBOX, Drafts, Sent,
// Trash, Junk and Archive when it is first used. Close must be called.
func (s *Store) Open(account string) (*Mailbox, error) { return nil, errNotBuilt }
