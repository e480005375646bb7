package mail

import (
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// Reference names one recipient's copy of a message of ours. What is not known is
// zero.
type Reference struct {
	ID        spool.ID // of the spool's entry
	Recipient smtp.Address
	Tenant    string
	Campaign  string
}
