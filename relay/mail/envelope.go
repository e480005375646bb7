package mail

import (
	"net/netip"
	"time"

	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// Priority is the urgency of a message; the zero value is ordinary mail.
type Priority int8

// Priorities, most urgent last.
const (
	Bulk   Priority = -1
	Normal Priority = 0
	Urgent Priority = 1
)

// Origin says through which door a message came.
type Origin uint8

// The doors.
const (
	FromSMTP Origin = iota
	FromHTTP
	FromSelf // a DSN of ours
)

// Envelope is what was said about a message when it was accepted. It never
// changes after the commit (promise 2 of package relay).
type Envelope struct {
	Sender smtp.Address // the reverse path as the client gave it; null for a DSN
	// ReturnPath goes out as the reverse path in the place of Sender, so that what
	// other mail systems return comes to us; zero: Sender itself does. Sender stays
	// who is told by DSNs of ours.
	ReturnPath smtp.Address
	// Batch is the id that the client was told, where its message was split into
	// an entry for each recipient; zero where it was not.
	Batch      spool.ID
	Recipients []Recipient
	Received   time.Time // when the mail was accepted, to the second
	Expire     time.Time // after this no further attempt; zero: the queue's setting
	Size       int64     // octets of prefix and body together

	// Prefix is the header text that the relay put before the body, each line
	// ended by CRLF. DKIM signatures are not in it; see State.Signature.
	Prefix []byte

	SMTPUTF8   bool // SMTPUTF8 was demanded (RFC 6531 section 3.4)
	EightBit   bool // the content has octets above 127
	LongLines  bool // the content has lines of more than 998 octets (RFC 5322 section 2.1.1)
	RequireTLS bool // REQUIRETLS was demanded (RFC 8689 section 2)
	// OptionalTLS: the header says TLS-Required: No (RFC 8689 section 3). It says
	// nothing beside RequireTLS (section 4.1).
	OptionalTLS bool
	Ret         Ret    // how much of the message a DSN returns
	EnvID       string // ENVID as decoded from xtext (RFC 3461 section 4.4)

	Priority Priority
	Tenant   string
	Campaign string
	Account  string // who authenticated, "" for nobody
	Origin   Origin
	Listener string         // listener's address, for log and metrics
	Client   netip.AddrPort // the peer that handed the mail in
	HELO     string         // as the peer said it
	Trusted  bool           // the client may relay: by its address or because it authenticated
	TLS      bool           // the client's connection was encrypted
	Basic    bool           // the client greeted with HELO, not EHLO
	LMTP     bool           // the client spoke LMTP
	// Submission: the message came from its author (RFC 6409), so it may be
	// completed and is checked for who may send as whom.
	Submission bool
	// NamesTenant: a header field may say whose mail it is. For intake alone; it is
	// not stored.
	NamesTenant bool
	Session     string // id of the session, for the log
	From        string // header From, for the log; at most 256 octets
	Subject     string // header Subject, for the log; at most 256 octets
	MsgID       string // header Message-ID, for the log; at most 256 octets
}

// Protocol is the keyword for how the mail came in, as it stands behind "with"
// in a Received field: SMTP, or ESMTP with S for TLS and A for AUTH (RFC 3848),
// UTF8SMTP likewise (RFC 6531 section 4.3), LMTP, HTTP.
func (e *Envelope) Protocol() string {
	if e.Origin != FromSMTP {
		return "HTTP"
	}
	p := "ESMTP"
	switch {
	case e.LMTP && e.SMTPUTF8:
		p = "UTF8LMTP"
	case e.LMTP:
		p = "LMTP"
	case e.SMTPUTF8:
		p = "UTF8SMTP"
	case e.Basic:
		return "SMTP"
	}
	if e.TLS {
		p += "S"
	}
	if e.Account != "" {
		p += "A"
	}
	return p
}

// ReversePath is what goes out in MAIL FROM.
func (e *Envelope) ReversePath() smtp.Address {
	if !e.ReturnPath.IsNull() {
		return e.ReturnPath
	}
	return e.Sender
}

// Ret is the RET parameter of MAIL (RFC 3461 section 4.3).
type Ret uint8

// Values of RET. RetUnset leaves the choice to us: headers only.
const (
	RetUnset Ret = iota
	RetHeaders
	RetFull
)

// Notify is the NOTIFY parameter of RCPT (RFC 3461 section 4.1), a set. The
// zero value means that none was given: failure, and delay if the operator has
// switched delay notices on.
type Notify uint8

// Members of the set. NotifyNever excludes the others.
const (
	NotifyNever Notify = 1 << iota
	NotifySuccess
	NotifyFailure
	NotifyDelay
)

// OnFailure reports whether a failure is to be told.
func (n Notify) OnFailure() bool { return n == 0 || n&NotifyFailure != 0 }

// OnDelay reports whether a delay is to be told.
func (n Notify) OnDelay() bool { return n == 0 || n&NotifyDelay != 0 }

// OnSuccess reports whether success is to be told.
func (n Notify) OnSuccess() bool { return n&NotifySuccess != 0 }

// MaxRecipients is the most recipients that an envelope may have; it bounds what
// a damaged store can make a reader allocate.
const MaxRecipients = 1 << 20

// Recipient is one RCPT that was accepted.
type Recipient struct {
	Address smtp.Address
	Notify  Notify
	ORcpt   string // ORCPT as "type;address", xtext decoded (RFC 3461 section 4.2); "" for none
}
