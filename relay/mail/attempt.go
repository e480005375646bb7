package mail

import (
	"context"
	"net/netip"
	"time"

	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// Attempt is one try to bring a message to recipients that share a lane. The
// queue makes it, one Deliverer at a time holds it, and its outcomes come back
// in the order of To. It is read-only once handed over.
type Attempt struct {
	ID       spool.ID
	Number   int       // of this try for these recipients, from 1
	Envelope *Envelope // shared
	To       []int     // indexes into Envelope.Recipients, at least one
	Route    Route
	Queued   time.Time // when it became due
	// Header is what goes before the body: signature and Envelope.Prefix.
	Header []byte
	// Open opens the stored body. Each call starts at the beginning.
	Open func(ctx context.Context) (spool.Body, error)
}

// Size is the number of octets that Header and body have together.
func (a *Attempt) Size() int64 {
	return a.Envelope.Size - int64(len(a.Envelope.Prefix)) + int64(len(a.Header))
}

// Rendition is another form of a message, for a next hop that cannot take it as
// it is stored. It is derived when first needed and signed as such; the stored
// body stays what it was (promise 2 of package relay).
type Rendition struct {
	Header []byte // goes before what Open opens, in place of Attempt.Header
	Open   func(ctx context.Context) (spool.Body, error)
}

// Outcome is the one value that tells what an attempt came to for one
// recipient. Log, retry decision and DSN are all derived from it.
type Outcome struct {
	// Reply decided the recipient's fate: the remote's, or one that we
	// composed ourselves when no remote spoke (Host is then "").
	Reply   smtp.Reply
	Command string // what it answered: CONNECT, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, BDAT, "." ; DNS; LOCAL
	Host    string // name of the remote that replied
	Peer    netip.AddrPort
	Local   netip.Addr // our address on the connection
	TLS     TLSInfo
	Phases  Phases
	Detail  string // our own text, for the log only
	// Untried marks a try that never reached the point of a reply for reasons
	// that lie in another message of the same connection, or in our shutdown:
	// it costs the message no attempt and is queued again at once.
	Untried bool
	// DSN says that whoever took the message took over the duty to send success
	// DSNs: a next hop that offered DSN (RFC 3461 section 5.2.1), or the one
	// address to which it was forwarded (section 5.2.7.2).
	DSN bool
	// Expanded says that the address stood for others, to which the message went
	// on (RFC 3461 section 5.2.7.3).
	Expanded bool
	// RetryAfter is a wait that the remote stated, 0 for none.
	RetryAfter time.Duration
}

// Fate derives what the outcome means: Sent, Failed or Deferred. An outcome
// that is untried, or that has no reply, is Deferred.
func (o *Outcome) Fate() Fate {
	switch {
	case o.Untried:
		return Deferred
	case o.Reply.Positive():
		return Sent
	case o.Reply.Permanent():
		return Failed
	}
	return Deferred
}

// TLSInfo tells how a connection was protected; the zero value: not at all.
type TLSInfo struct {
	Version  string // "TLSv1.3"
	Cipher   string
	PeerName string // subject of the peer's certificate
	Verified bool
	Policy   string // the demand that was applied: "opportunistic", "required", ...
}

// Phases tells where the time of an attempt went.
type Phases struct {
	DNS, Connect, TLS time.Duration // 0 on a reused connection
	Transaction       time.Duration // MAIL to the final reply
}

// Deliver is the shape of whatever carries attempts: the delivery stage for
// remote mail, the mailbox stage for local mail. It carries first and then,
// over the same connection, whatever next gives: next never blocks and gives
// nil when nothing is ready. done is called exactly once for each attempt
// taken, from any goroutine, with one outcome per recipient in the order of
// Attempt.To; a next that rides behind an unfinished attempt may be taken
// before the earlier one is done. Deliver returns when nothing is left.
//
// Cancelling ctx means: take no more, finish what is held. An attempt whose
// final dot was sent waits for its reply even so (promise 6).
type Deliver func(ctx context.Context, first *Attempt, next func() *Attempt, done func(*Attempt, []Outcome))

// Report is what one settlement tells about one recipient; from reports the
// bounce stage composes a DSN.
type Report struct {
	Recipient int // index into Envelope.Recipients
	Action    Action
	Outcome   Outcome
	Attempts  int
	WillRetry time.Time // for Delayed: when trying ends
}

// Action is the Action field of a DSN (RFC 3464 section 2.3.3).
type Action uint8

// Actions.
const (
	ActionFailed Action = iota
	ActionDelayed
	ActionDelivered
	ActionRelayed
	ActionExpanded
)
