package returned

import (
	"context"
	"io"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// Tracer knows which messages were ours.
type Tracer interface {
	// IsReturnPath reports that mail to an address is about a message of ours.
	IsReturnPath(to smtp.Address) bool
	// Trace says which copy of which message another is about, as far as that is
	// known, and whether it is proven. The first of paths is the address to which
	// that came.
	Trace(paths []smtp.Address, fields []string, guesses []smtp.Address) (mail.Reference, bool)
}

// Suppressor hears to whom mail should not be sent any more. nil means that it will
// not forget; it must take the same Finding twice.
type Suppressor interface {
	Suppress(ctx context.Context, f *Finding) error
}

// Finding is what a message that came back says of a recipient of ours, where that
// is proven.
type Finding struct {
	mail.Reference                // of the message that it is about; Recipient is there
	Complaint      bool           // somebody called the message spam
	Diagnosis      mail.Diagnosis // of a failure
	Reply          smtp.Reply     // the words of the report
	Report         spool.ID       // the message that says so
}

// Outbox sends mail on. nil means that it is on stable storage, now or since an
// earlier call with the same key.
type Outbox interface {
	Send(ctx context.Context, key string, e *mail.Envelope, body io.WriterTo) error
}

// Recorder takes events for the mail log (OOB, Feedback).
type Recorder interface{ Record(*mail.Event) }
