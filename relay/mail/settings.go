package mail

import (
	"time"

	"tenma/relay/wire/smtp"
)

// Settings are what a person or the administrator chose for one account. The
// zero value is what an account has of which nothing was said.
type Settings struct {
	Quota int64 // octets of its mailbox; 0: the configured default; below 0: none

	// Forward names where mail goes besides the mailbox, or in its place if
	// Keep is false.
	Forward []smtp.Address
	Keep    bool

	Vacation *Vacation // automatic reply (RFC 3834); nil: none

	// Retention, in days; 0: the configured default; below 0: for ever.
	TrashDays int // messages in the folder for Trash
	JunkDays  int // in that for Junk
	POP3Days  int // in INBOX, after they were fetched by POP3 (RFC 2449 section 6.7)

	// SendAs are further senders that the account may use: addresses, or
	// "@domain" for all of a domain.
	SendAs []string
}

// Vacation is an automatic reply.
type Vacation struct {
	From, Until time.Time // zero: no bound
	Subject     string    // "": "Automatic reply: " and the subject of what it answers
	Text        string    // UTF-8, lines ended by LF
}
