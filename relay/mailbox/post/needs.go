package post

import (
	"context"
	"errors"
	"io"
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// Resolver knows the accounts and aliases here; mailbox.Resolver tells more.
type Resolver interface {
	Resolve(a smtp.Address) []smtp.Address
	Settings(a smtp.Address) (s mail.Settings, ok bool)
}

// Outbox takes mail that the stage sends by itself: what is forwarded, and
// automatic replies. nil means that it is on stable storage. key tells a repeat
// of the same message from another: it is taken once.
type Outbox interface {
	Send(ctx context.Context, key string, e *mail.Envelope, body io.WriterTo) error
}

// Errors of Boxes.Put that have replies of their own.
var (
	ErrFull     = errors.New("mailbox: over quota")
	ErrTooLarge = errors.New("mailbox: message too large")
)

// Boxes are the mailboxes.
type Boxes interface {
	// Put brings the message id, of size octets, which source writes, into all
	// mailboxes in one step. One that has it from before is left as it is, and
	// counts. The result has an error, or nil, for each copy.
	Put(ctx context.Context, id spool.ID, to []Copy, size int64, source func(io.Writer) error) []error
	// Warn puts a message of our own into INBOX, whatever the quota.
	Warn(ctx context.Context, account string, text []byte) error
	// Level tells how many octets a mailbox takes, and the last SetLevel.
	Level(account string) (used int64, level int, err error)
	SetLevel(ctx context.Context, account string, level int) error
	// Note gives what SetNote kept of an account under a key, the zero time if
	// nothing. Notes older than rules.VacationDays may be forgotten.
	Note(account, key string) (time.Time, error)
	SetNote(ctx context.Context, account, key string, at time.Time) error
}

// Copy is one mailbox's copy of a message.
type Copy struct {
	Account   string
	Recipient int    // index in the envelope; names the delivery together with id and Account
	Prefix    []byte // this copy's own header fields
}
