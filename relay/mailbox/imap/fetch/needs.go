package fetch

import (
	"io"

	"tenma/relay/mailbox"
	"tenma/relay/wire/mime"
)

// Source is a message's octets.
type Source interface {
	io.ReaderAt
	Size() int64
	Close() error
}

// Known is what is kept of a message beside its octets: a *mailbox.Digest. Each may
// say that only the message can tell.
type Known interface {
	Envelope() (*mime.Envelope, bool)
	// Structure has no Envelope of the message itself.
	Structure() (*mime.Part, bool)
	AppendFields(to []byte, want *mailbox.Wanted) ([]byte, bool)
}
