package mail

import (
	"time"

	"tenma/relay/wire/smtp"
)

// Fate is how a recipient stands, or what an attempt came to.
type Fate uint8

// Fates. Sent, Failed and Expired are final.
const (
	Pending  Fate = iota // no attempt has decided yet
	Deferred             // tried, to be tried again
	Sent
	Failed  // refused for good; also by an operator
	Expired // deferred until its time ran out
	Deleted // removed by an operator, without a DSN
)

// Final reports that nothing more will be tried.
func (f Fate) Final() bool { return f >= Sent }

// String gives the fate in lower case, as logs and listings show it.
func (f Fate) String() string {
	switch f {
	case Pending:
		return "pending"
	case Deferred:
		return "deferred"
	case Sent:
		return "sent"
	case Failed:
		return "failed"
	case Expired:
		return "expired"
	case Deleted:
		return "deleted"
	}
	return "unknown"
}

// State is how far a message has come. Each settlement stores it anew; the
// zero value is a message that nobody has tried.
type State struct {
	// Recipients runs parallel to Envelope.Recipients; nil means all Pending.
	Recipients []RecipientState
	// Signature is the DKIM header text, CRLF at each line's end, that goes
	// before Envelope.Prefix. Made before the first attempt, kept so that a
	// later attempt sends the same octets.
	Signature []byte
	Held      bool // an operator holds the message
}

// RecipientState is the mutable part of a recipient.
type RecipientState struct {
	Fate      Fate
	Attempts  uint16     // attempts that count
	Due       time.Time  // when Deferred: not before; to the second
	DelayTold bool       // a delay DSN has been sent
	Reply     smtp.Reply // the last one
	Host      string     // who gave it, "" for ourselves
	Owed      bool       // it has its fate, and the sender is still to be told
	As        Action     // with Owed: as what
}
