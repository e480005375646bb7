package mailbox

import (
	"tenma/relay/mailbox/store"
	"tenma/relay/mailbox/store/digest"
)

// What mail programs see of the mail, by the names of package store, where it is
// told. They stand here because imap and pop3 see this package only.
type (
	Mailbox    = store.Mailbox
	View       = store.View
	Folder     = store.Folder
	Usage      = store.Usage
	Message    = store.Message
	Digest     = store.Digest
	Wanted     = digest.Wanted
	NewMessage = store.NewMessage
	Content    = store.Content
	Copied     = store.Copied
	Update     = store.Update
	Flags      = store.Flags
	Use        = store.Use
	Op         = store.Op
)

// Errors that callers branch on. Texts for clients are the callers' own.
var (
	ErrNoFolder  = store.ErrNoFolder
	ErrExists    = store.ErrExists
	ErrName      = store.ErrName
	ErrFolders   = store.ErrFolders
	ErrInbox     = store.ErrInbox
	ErrQuota     = store.ErrQuota
	ErrTooLarge  = store.ErrTooLarge
	ErrKeywords  = store.ErrKeywords
	ErrExpunged  = store.ErrExpunged
	ErrReadOnly  = store.ErrReadOnly
	ErrInUse     = store.ErrInUse
	ErrClosed    = store.ErrClosed
	ErrNoAccount = store.ErrNoAccount
)

// System flags (RFC 9051 section 2.3.2). \Recent belongs to a View.
const (
	Seen        = store.Seen
	Answered    = store.Answered
	Flagged     = store.Flagged
	Deleted     = store.Deleted
	Draft       = store.Draft
	SystemFlags = store.SystemFlags
	// MaxKeywords is how many keywords a folder can have.
	MaxKeywords = store.MaxKeywords
)

// Uses of folders; the texts are those of IMAP's mailbox attributes (RFC 6154).
const (
	NoUse   = store.NoUse
	Archive = store.Archive
	Drafts  = store.Drafts
	Junk    = store.Junk
	Sent    = store.Sent
	Trash   = store.Trash
)

// Ways to change flags.
const (
	SetFlags = store.SetFlags
	AddFlags = store.AddFlags
	DelFlags = store.DelFlags
)

// Separator stands between the levels of a folder's name.
const Separator = store.Separator

// MaxDigest bounds the texts of a Digest together, in octets.
const MaxDigest = store.MaxDigest

// NewWanted makes a Wanted of names of header fields, in any case.
func NewWanted(names []string) *Wanted { return digest.NewWanted(names) }
