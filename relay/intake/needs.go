package intake

import (
	"context"
	"io"

	"tenma/relay/mail"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// Lined is a body that tells, when it has been written, how many octets its longest
// line has, without its end. One that does not has lines of the usual length.
type Lined interface{ LongestLine() int }

// Recorder takes events for the mail log (Reception).
type Recorder interface{ Record(*mail.Event) }

// Tenants knows whose mail a message is.
type Tenants interface {
	// Whose gives the tenant of mail that account sends ("": nobody logged in), ""
	// for nobody's. named are the header fields that name it and may be believed.
	// An error is what the client hears.
	Whose(account string, named []string) (tenant string, err *smtp.Error)
	// MaySend reports whether a tenant may send as a domain.
	MaySend(tenant string, d smtp.Domain) bool
}

// Senders knows who may send as whom.
type Senders interface {
	// MaySend reports whether an account may send as a: its own address, one
	// that leads to it, or one that it was granted.
	MaySend(account string, a smtp.Address) bool
}

// Inspector wants to look at messages on their way in: who authenticated them,
// what a mail filter thinks of them.
type Inspector interface {
	// Inspect begins with a message of which the envelope is complete but for what
	// the last octet decides (Size, EightBit, Prefix), or gives nil where it has no
	// interest. ctx ends when the relay stops.
	Inspect(ctx context.Context, e *mail.Envelope) Inspection
}

// Inspection looks at one message, in one goroutine. It ends with Verdict or with
// Drop, and leaves no goroutine behind.
type Inspection interface {
	// Write takes the next part of the message as it is stored, from the first
	// octet of its header section on; it may not keep or change p. What it returns
	// is not looked at: an error that matters is for Verdict to tell.
	io.Writer
	// Verdict is called after the last octet. An error is what the client hears,
	// if it is an *smtp.Error, else 451; the message is then not taken.
	Verdict() (mail.Judgement, error)
	// Drop is called instead where the message will not be taken anyway.
	Drop()
}

// PerRecipient wants something in a message that differs from recipient to
// recipient: a return path, a link. Where anybody does, each recipient gets a copy
// of its own.
type PerRecipient interface {
	// Copies is asked when the header section h is as it will be stored; it is not
	// to be kept. It gives nil where it wants nothing, else what is called for each
	// copy: its envelope has one recipient, ReturnPath may be set in it, and what is
	// given goes into the prefix (whole fields, each line ended by CRLF).
	Copies(e *mail.Envelope, h header.Section) func(id spool.ID, copy *mail.Envelope) []byte
}

// Editor is an Inspection that may change the header section of the message itself,
// and is shown it apart. Sender and recipients of the envelope are its to change too,
// in Verdict.
type Editor interface {
	Inspection
	// Section comes before the first Write, which begins behind the section: with
	// the empty line, where there is one. ahead is what stands in front of it. Both
	// hold until Verdict returns or Drop is called.
	Section(id spool.ID, ahead, section []byte)
	// Whole comes in place of Write for what is in memory. It holds as long.
	Whole(rest []byte)
}
