package intake

import (
	"cmp"
	"io"
	"log/slog"
	"time"

	"tenma/metrics"
	"tenma/relay/mail"
	"tenma/relay/wire/header"
	"tenma/spool"
)

// Config is what a Server is told. Zero fields take the defaults named here.
type Config struct {
	Hostname string // "by" of the Received field
	MaxHops  int    // Received fields in a message; more is a loop (RFC 5321 section 6.3); 0: 100

	// Memory bounds, in octets, what all bodies that are still arriving take
	// together; beyond it clients hear 452. 0: 256 MiB, room for 1,000 bodies
	// of the largest size that is kept in memory. Clients that may not relay get
	// half of it at most, so that no stranger's slow bodies keep our own out.
	Memory int64

	// CommitWait bounds the wait for the spool, so that a disk that hangs
	// becomes a 451 while the client still listens; 0: 30 s.
	CommitWait time.Duration

	// NameSubmitters writes the name and address of a client that
	// authenticated into the Received field. They are left out otherwise:
	// where people write from is nobody's business (RFC 8314 section 7 has
	// the log for that).
	NameSubmitters bool

	// SubmissionSender says as whom who logged in on a submission listener may
	// send (RFC 6409 section 6.1), "": SenderAccount; Sender, on any other, "":
	// SenderDomain.
	SubmissionSender, Sender SenderRule
}

// MaxHeader is the longest header section that is taken, in octets. It equals
// spool.MaxInline so that a header section is always judged in memory; Postfix
// and Sendmail stop at less than half of it.
const MaxHeader = spool.MaxInline

func (c Config) withDefaults() Config {
	if c.MaxHops == 0 {
		c.MaxHops = 100 // RFC 5321 section 6.3: "at least 100"
	}
	if c.Memory == 0 {
		c.Memory = 256 << 20
	}
	if c.CommitWait == 0 {
		c.CommitWait = 30 * time.Second
	}
	c.SubmissionSender = cmp.Or(c.SubmissionSender, SenderAccount)
	c.Sender = cmp.Or(c.Sender, SenderDomain)
	return c
}

// Deps are what a Server works with.
type Deps struct {
	Spool   spool.Engine
	Record  Recorder
	Metrics *metrics.Intake // nil: counted for nobody
	Log     *slog.Logger
	Senders Senders // nil: an account is its own address alone
	Tenants Tenants // nil: all mail is nobody's
	// Unwanted reports further fields that are taken out of a header section
	// before the message is stored; nil: none. It is asked about each field.
	Unwanted func(e *mail.Envelope, f header.Field) bool
	// Inspectors look at each message, in this order.
	Inspectors []Inspector
	// Fields gives header fields that go in front of a message, whole, each line
	// ended by CRLF; nil: none. h is the header section as it will be stored, and is
	// not to be kept.
	Fields func(e *mail.Envelope, h header.Section) []byte
	// PerRecipient are asked whether recipients get copies of their own.
	PerRecipient []PerRecipient
	Random       io.Reader // for ids; nil: crypto/rand
}
