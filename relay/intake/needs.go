package intake

import (
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// Recorder takes events for the mail log (Reception).
type Recorder interface{ Record(*mail.Event) }

// Senders knows who may send as whom.
type Senders interface {
	// MaySend reports whether an account may send as a: its own address, one
	// that leads to it, or one that it was granted.
	MaySend(account string, a smtp.Address) bool
}
