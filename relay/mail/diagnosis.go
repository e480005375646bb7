package mail

import (
	"fmt"
	"time"
)

// Diagnosis is what a reply means: what is wrong, for how long, and what to do.
// The zero value stands for success and for what nobody has looked at; its
// class reads Uncategorized.
type Diagnosis struct {
	Class    Class
	Severity Severity
	Remedy   Remedy
	// Wait is how long the remote asks to be left alone, 0 if it states nothing.
	Wait time.Duration
	// Rule names the rule that decided, "" for none.
	Rule string
}

// Class is the closed list of what can be wrong. The names are those of
// KumoMTA's bounce classes, so that its consumers work.
type Class uint8

// The classes.
const (
	Uncategorized        Class = iota
	InvalidRecipient           // no such mailbox
	BadDomain                  // no such domain, or none that takes mail
	InactiveMailbox            // the mailbox is there and closed
	QuotaIssues                // mailbox or disk full, message too large
	SpamBlock                  // our address or domain is on a list
	SpamContent                // this message is taken for spam
	SpamRelated                // reputation and complaints
	VirusRelated               // this message is taken for malware
	ProhibitedAttachment       // a kind of file that is not taken
	ContentRelated             // size, form or encoding of the message
	PolicyRelated              // a rule of theirs
	AuthenticationFailed       // SPF, DKIM, DMARC, or a login
	InvalidSender              // the return path or From is refused
	RelayDenied                // it is no server for that domain
	RelayingIssues             // it is, and could not pass the message on
	RoutingErrors              // loops, wrong servers
	DNSFailure                 // names could not be looked up
	NoAnswerFromHost           // nobody took the connection
	BadConnection              // it was refused at once, or broke off
	ProtocolErrors             // the two sides do not understand each other
	BadConfiguration           // somebody's server is set up wrong
	TooManyRecipients          // for one message or one while
	TransientFailure           // theirs, or greylisting: try again
	MessageExpired             // tried until its time ran out
	AutoReply                  // an answer by a machine
	ChallengeResponse          // it asks the sender to prove itself
	Subscribe                  // a wish for a list
	Unsubscribe                // the opposite
	Feedback                   // a complaint (RFC 5965)
	Delivered                  // no failure at all
	classes
)

// String gives the name that the mail log has.
func (c Class) String() string {
	if c < classes {
		return classNames()[c]
	}
	return "Uncategorized"
}

// ParseClass reads what String gives.
func ParseClass(s string) (Class, error) {
	for i, name := range classNames() {
		if name == s {
			return Class(i), nil
		}
	}
	return 0, fmt.Errorf("there is no class %q", s)
}

func classNames() [classes]string {
	return [...]string{
		"Uncategorized", "InvalidRecipient", "BadDomain", "InactiveMailbox", "QuotaIssues", "SpamBlock", "SpamContent", "SpamRelated",
		"VirusRelated", "ProhibitedAttachment", "ContentRelated", "PolicyRelated", "AuthenticationFailed", "InvalidSender", "RelayDenied",
		"RelayingIssues", "RoutingErrors", "DNSFailure", "NoAnswerFromHost", "BadConnection", "ProtocolErrors", "BadConfiguration",
		"TooManyRecipients", "TransientFailure", "MessageExpired", "AutoReply", "ChallengeResponse", "Subscribe", "Unsubscribe", "Feedback", "Delivered",
	}
}

// Severity tells what a failure says about the recipient. Only Hard and Admin
// speak against writing to it again.
type Severity uint8

// The severities.
const (
	Undetermined Severity = iota
	Soft                  // this time; the address is good as far as anybody can tell
	Hard                  // the address will never work
	Block                 // it is about us or our message, not about the recipient
	Admin                 // somebody who may has forbidden it
	severities
)

// String gives the name in lower case.
func (s Severity) String() string {
	if s < severities {
		return severityNames()[s]
	}
	return "undetermined"
}

// ParseSeverity reads what String gives.
func ParseSeverity(s string) (Severity, error) {
	for i, name := range severityNames() {
		if name == s {
			return Severity(i), nil
		}
	}
	return 0, fmt.Errorf("there is no severity %q: it is hard, soft, block, admin or undetermined", s)
}

func severityNames() [severities]string {
	return [...]string{"undetermined", "soft", "hard", "block", "admin"}
}

// Remedy is what the one who sends does best.
type Remedy uint8

// The remedies.
const (
	Retry    Remedy = iota // later, by the schedule or the wait that was stated
	Bounce                 // give up
	SlowDown               // and try again
	Reroute                // from another source
	remedies
)

// String gives the name in lower case.
func (r Remedy) String() string {
	if r < remedies {
		return remedyNames()[r]
	}
	return "retry"
}

// ParseRemedy reads what String gives.
func ParseRemedy(s string) (Remedy, error) {
	for i, name := range remedyNames() {
		if name == s {
			return Remedy(i), nil
		}
	}
	return 0, fmt.Errorf("there is no action %q: it is retry, bounce, slow down or reroute", s)
}

func remedyNames() [remedies]string {
	return [...]string{"retry", "bounce", "slow down", "reroute"}
}
