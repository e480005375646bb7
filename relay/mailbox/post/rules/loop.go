package rules

import (
	"slices"
	"strings"

	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
)

// WasHere reports that a header section tells of a delivery to a: mail that is
// about to be forwarded for the second time (RFC 5321 section 6.3).
func WasHere(h header.Section, a smtp.Address) bool {
	for f := range h.Fields() {
		if f.Is("Delivered-To") && toOneOf(f, []smtp.Address{a}) {
			return true
		}
	}
	return false
}

// toOneOf reads a Delivered-To field.
func toOneOf(f header.Field, own []smtp.Address) bool {
	was, err := smtp.ParseMailbox(strings.Trim(f.Text(), "<>"))
	return err == nil && slices.ContainsFunc(own, func(a smtp.Address) bool { return sameMailbox(was, a) })
}

// sameMailbox compares as mailboxes here are found: without regard to case, and
// to what follows a "+".
func sameMailbox(a, b smtp.Address) bool {
	return a.Domain == b.Domain && strings.EqualFold(untagged(a.Local), untagged(b.Local))
}

func untagged(local string) string {
	if i := strings.IndexByte(local, '+'); i > 0 {
		return local[:i]
	}
	return local
}

// DeliveredTo is the field that tells of a delivery; ReturnPath the one that
// keeps the sender of the envelope (RFC 5321 section 4.4).
func DeliveredTo(a smtp.Address) string { return "Delivered-To: " + a.String() + "\r\n" }

// ReturnPath: see DeliveredTo.
func ReturnPath(sender smtp.Address) string { return "Return-Path: <" + sender.String() + ">\r\n" }
