package mailbox

import (
	"context"
	"io"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// Resolver knows the accounts and aliases here.
type Resolver interface {
	// Resolve gives where mail for a goes in the end: accounts here, as their
	// canonical addresses, and foreign addresses that an alias names. Nothing
	// means that there is no such address.
	Resolve(a smtp.Address) []smtp.Address
	// Settings gives what was chosen for an account; ok is false if there is no
	// such account (also for a foreign address).
	Settings(a smtp.Address) (s mail.Settings, ok bool)
	// Accounts calls fn for each account, until it says false.
	Accounts(fn func(a smtp.Address) bool)
}

// Outbox takes mail that the stage sends by itself: what is forwarded, and
// automatic replies. nil means that it is on stable storage. key tells a repeat
// of the same message from another: it is taken once.
type Outbox interface {
	Send(ctx context.Context, key string, e *mail.Envelope, body io.WriterTo) error
}
