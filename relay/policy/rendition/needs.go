package rendition

import (
	"context"
	"io"

	"tenma/relay/mail"
)

// Signer makes the DKIM signatures of a rendition, as it does those of the usual
// form. An error means that mail must wait.
type Signer interface {
	Sign(ctx context.Context, e *mail.Envelope, body io.Reader) ([]byte, error)
	Wants(e *mail.Envelope) bool
}
