package ingress

import (
	"context"
	"io"
	"net"

	"tenma/relay/mail"
	"tenma/relay/wire/sasl"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// Intake is the one door. Accept takes the body from w, which writes it in
// canonical form (CRLF line ends, no bare CR or LF, dots unstuffed) and fails
// if the body is cut off, too large or too slow. A nil error means that the
// message is on stable storage. An error that is or wraps *smtp.Error says what
// the client hears; any other is a 451.
type Intake interface {
	Accept(ctx context.Context, e *mail.Envelope, body io.WriterTo) (spool.ID, error)
}

// Directory knows the people and places that are ours.
type Directory interface {
	// Recipient decides on a RCPT: nil if mail for a is taken, else the reply.
	// trusted says that the client may relay. Any error is an *smtp.Error.
	Recipient(a smtp.Address, trusted bool) error
}

// Tenants knows whose an account is.
type Tenants interface {
	// Of gives the name of the account's tenant, "" for none.
	Of(account string) string
}

// Suppressions knows to whom no mail is to be sent.
type Suppressions interface {
	// Recipient decides on a RCPT of a client that may relay: nil if mail of the
	// tenant ("": nobody's) may go to a. Any error is an *smtp.Error.
	Recipient(a smtp.Address, tenant string) error
}

// Authenticator verifies who a client is. client is the peer's address, for
// back-off. An error that is or wraps *smtp.Error says what the client hears
// (454 when overloaded); any other is a 535. A good login gives the account.
type Authenticator interface {
	// Plain checks a name and password (PLAIN, LOGIN).
	Plain(ctx context.Context, client net.Addr, user, password string) (account string, err error)
	// ScramSHA256 gives the stored keys for user; for an unknown user, fake
	// ones that are the same at every call. known tells which, so that the
	// exchange fails at its end, alike in text and time.
	ScramSHA256(user string) (keys sasl.ScramKeys, known bool, err error)
	// ScramDone hears how an exchange with those keys ended, good or not, and
	// has the last word on it: the account, or the error of a failed login.
	ScramDone(ctx context.Context, client net.Addr, user string, good bool) (account string, err error)
}

// Recorder takes events for the mail log (Rejection).
type Recorder interface{ Record(*mail.Event) }
