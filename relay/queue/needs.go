package queue

import (
	"context"
	"io"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// Router answers where mail of a domain goes. A non-nil Outcome says why it
// goes nowhere: permanent (no such domain) or temporary (DNS silent).
type Router interface {
	Route(ctx context.Context, d smtp.Domain, e *mail.Envelope) (mail.Route, *mail.Outcome)
	// Cached is Route without waiting; ok is false if it would have to wait.
	Cached(d smtp.Domain, e *mail.Envelope) (r mail.Route, o *mail.Outcome, ok bool)
}

// Signer makes the DKIM signatures of a message, once. It gives header text
// with CRLF line ends, empty where no key is for the sender's domain. An error
// defers the mail: it never goes out unsigned.
type Signer interface {
	Sign(ctx context.Context, e *mail.Envelope, body io.Reader) ([]byte, error)
	// Wants reports whether Sign would sign; without it no body is read.
	Wants(e *mail.Envelope) bool
}

// Returner composes DSNs. It gives no draft where none is due: null sender,
// NOTIFY=NEVER. A draft's id derives from id and the reports, so that a crash
// that repeats the settlement repeats no DSN (promise 4).
type Returner interface {
	Compose(ctx context.Context, id spool.ID, e *mail.Envelope, s *mail.State, reports []mail.Report, open func(context.Context) (spool.Body, error)) ([]spool.Draft, error)
}

// Recorder takes events for the mail log.
type Recorder interface{ Record(*mail.Event) }
