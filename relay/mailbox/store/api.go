package store

import (
	"errors"
	"io"
	"time"

	"tenma/relay/mailbox/store/digest"
	"tenma/relay/mailbox/store/flag"
	"tenma/relay/mailbox/store/ledger"
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
	ErrClosed    = ledger.ErrClosed
	ErrNoAccount = errors.New("mailbox: account was removed")
)

// Flags are the flags of one message in one folder: five of the system's and,
// from bit 5 on, keywords by their place in the folder's table
// (View.Keywords).
type Flags = flag.Flags

// System flags (RFC 9051 section 2.3.2). \Recent belongs to a View.
const (
	Seen        = flag.Seen
	Answered    = flag.Answered
	Flagged     = flag.Flagged
	Deleted     = flag.Deleted
	Draft       = flag.Draft
	SystemFlags = flag.System
	// MaxKeywords is how many keywords a folder can have.
	MaxKeywords = flag.MaxKeywords
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

	kept *ledger.Info // where its octets are
}

// Digest is what the header tells to lists, searches and sorts.
type Digest = digest.Digest

// MaxDigest bounds the texts of a Digest together, in octets.
const MaxDigest = digest.Max

// NewMessage is a message to be added.
type NewMessage struct {
	Size  int64 // octets that Body will give; more or fewer is an error
	Body  io.Reader
	Date  time.Time // zero: now
	Flags []string  // system flags and keywords, any case
}

// Content is the octets of one message, read at the caller's pace: it holds at
// most one chunk (256 KiB) in memory. It belongs to one goroutine.
type Content interface {
	io.ReaderAt
	io.WriterTo // from the start
	Size() int64
	Close() error
}

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
	Expunged []int    // numbers as they were one after the other: tell them in this order
	UIDs     []uint32 // of Expunged
	Len      int      // new length; told if Grown
	Grown    bool
	Recent   int   // how many are \Recent now
	Flags    []int // numbers, after Expunged, whose flags others have changed
	Gone     bool  // the folder itself was deleted
}
