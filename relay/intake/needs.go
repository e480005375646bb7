package intake

import (
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// Lined is a body that tells, when it has been written, how many octets its longest
// line has, without its end. One that does not has lines of the usual length.
type Lined interface{ LongestLine() int }

// Recorder takes events for the mail log (Reception).
type Recorder interface{ Record(*mail.Event) }

// Senders knows who may send as whom.
type Senders interface {
	// MaySend reports whether an account may send as a: its own address, one
	// that leads to it, or one that it was granted.
	MaySend(account string, a smtp.Address) bool
}
