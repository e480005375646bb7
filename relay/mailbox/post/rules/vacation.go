package rules

import (
	"strings"
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
)

// VacationDays is how long a sender is remembered that was answered (RFC 3834
// section 2 wants days; RFC 5230 section 4.1 has 7).
const VacationDays = 7

// Arrival is a message that has come for somebody who may be away.
type Arrival struct {
	Sender smtp.Address   // of the envelope
	Header header.Section // whole
	Own    []smtp.Address // the account's own address, and the one that was written to
}

// Why a message is not answered; "" in the results of Silent is that it is.
const (
	Away       = ""
	NotAway    = "not away"        // no reply is wanted at this time
	NoSender   = "no sender"       // the null sender, or one that cannot be answered
	Robot      = "robot"           // the sender is a program by its name
	Automatic  = "automatic"       // the message was not written by a person, or says not to answer
	List       = "list"            // it came through a mailing list
	Own        = "own"             // from the account itself
	NotWritten = "not written to"  // the account is not in To or Cc
	Loop       = "was here before" // it has been delivered here
)

// Silent says why a is not to be answered, or Away if it is (RFC 3834 section
// 2). Whether its sender has had an answer of late is for the caller to know.
func Silent(v *mail.Vacation, a Arrival, now time.Time) string {
	switch {
	case v == nil || v.Text == "" && v.Subject == "" || now.Before(v.From) || !v.Until.IsZero() && !now.Before(v.Until):
		return NotAway
	case a.Sender.IsNull() || a.Sender.Domain == "":
		return NoSender
	case robot(a.Sender.Local):
		return Robot
	}
	for _, own := range a.Own {
		if sameMailbox(a.Sender, own) {
			return Own
		}
	}
	written := false
	for f := range a.Header.Fields() {
		name := strings.ToLower(string(f.Name()))
		switch {
		case strings.HasPrefix(name, "list-"): // RFC 2369, RFC 2919
			return List
		case name == "auto-submitted" && keyword(f) != "no": // RFC 3834 section 5
			return Automatic
		case name == "precedence" && oneOf(keyword(f), "bulk", "list", "junk"): // section 2, by custom
			return List
		case name == "x-auto-response-suppress" && suppressed(f.Text()): // MS-OXCMAIL section 2.1.3.2.20
			return Automatic
		case oneOf(name, "x-autoreply", "x-autorespond", "feedback-id", "x-loop"):
			return Automatic
		case name == "delivered-to" && toOneOf(f, a.Own):
			return Loop
		case oneOf(name, "to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc"): // RFC 5230 section 4.5
			written = written || names(f, a.Own)
		}
	}
	if !written {
		return NotWritten
	}
	return Away
}

// robot reports a local part of those that only programs have (RFC 3834 section
// 2, and what is customary).
func robot(local string) bool {
	l := strings.ToLower(local)
	base := l
	if i := strings.IndexAny(l, "+="); i > 0 { // variable return paths
		base = l[:i]
	}
	if strings.HasPrefix(l, "owner-") || strings.HasSuffix(base, "-owner") || strings.HasSuffix(base, "-request") ||
		strings.HasPrefix(l, "bounces-") || strings.HasPrefix(l, "bounce-") || strings.HasSuffix(base, "-bounces") || strings.HasSuffix(base, "-bounce") {
		return true
	}
	bare := strings.NewReplacer("-", "", "_", "", ".", "").Replace(base)
	return oneOf(bare, "mailerdaemon", "postmaster", "noreply", "donotreply", "nepasrepondre", "keineantwort",
		"bounce", "bounces", "listserv", "majordomo", "autoresponder", "daemon", "root")
}

func oneOf(s string, all ...string) bool {
	for _, one := range all {
		if s == one {
			return true
		}
	}
	return false
}

// keyword gives the first word of a field in lower case, without comments and
// parameters behind it.
func keyword(f header.Field) string {
	text := strings.ToLower(f.Text())
	if i := strings.IndexAny(text, "; \t("); i >= 0 {
		text = text[:i]
	}
	return text
}

func suppressed(text string) bool {
	for word := range strings.SplitSeq(strings.ToLower(text), ",") {
		if oneOf(strings.TrimSpace(word), "all", "oof", "autoreply") {
			return true
		}
	}
	return false
}

// maxNamed bounds the addresses of one field that are looked at. A letter to
// more people is hardly meant for one of them.
const maxNamed = 1000

func names(f header.Field, own []smtp.Address) bool {
	all, _ := header.Mailboxes(f.Text(), maxNamed)
	for _, a := range all {
		for _, o := range own {
			if sameMailbox(a, o) {
				return true
			}
		}
	}
	return false
}
