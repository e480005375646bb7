package unsubscribe

import (
	"context"

	"tenma/relay/mail"
)

// Links reads the tokens of links.
type Links interface {
	// Open tells whose copy of which message a token is about. An error says that it
	// is none of ours.
	Open(token string) (mail.Reference, error)
}

// Wishes fulfils what people want.
type Wishes interface {
	// Unsubscribe stops mail to a recipient, of the tenant or campaign that the
	// message was of. nil means that it will not be forgotten. It may be repeated, and
	// tells whether it was.
	Unsubscribe(ctx context.Context, r mail.Reference) (again bool, err error)
}
