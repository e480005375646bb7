package imap

import (
	"errors"
	"fmt"
	"strings"

	goimap "github.com/emersion/go-imap/v2"

	"tenma/relay/mailbox"
	"tenma/relay/mailbox/imap/literal8"
	wire "tenma/relay/wire/imap"
)

// reply is a tagged response but for its tag: OK, NO or BAD, a response code (RFC
// 9051 section 7.1) or none, and a text for people.
type reply struct{ kind, code, text string }

func ok(code, text string) *reply  { return &reply{"OK", code, text} }
func no(code, text string) *reply  { return &reply{"NO", code, text} }
func bad(code, text string) *reply { return &reply{"BAD", code, text} }

// String is the reply as the front wants it.
func (r *reply) String() string {
	if r.code == "" {
		return r.kind + " " + oneLine(r.text)
	}
	return r.kind + " [" + r.code + "] " + oneLine(r.text)
}

// Error makes a reply an error, so that functions can give up with one.
func (r *reply) Error() string { return r.String() }

// library is the reply as the library wants it: an error, whatever it says.
func (r *reply) library() error {
	return &goimap.Error{Type: goimap.StatusResponseType(r.kind), Code: goimap.ResponseCode(r.code), Text: oneLine(r.text)}
}

// oneLine keeps a text from becoming responses of its own. Texts are ASCII but
// for clients that asked for more.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, s)
}

// answer turns what went wrong with a command into what the client hears. What
// is not the client's doing is logged, and told as little more than trouble.
func (s *session) answer(err error) *reply {
	var r *reply
	var syntax *wire.SyntaxError
	switch {
	case errors.As(err, &r):
		return r
	case errors.As(err, &syntax):
		return bad("CLIENTBUG", "Syntax: "+syntax.Text)
	case errors.Is(err, wire.ErrName):
		return no("CANNOT", "This is no mailbox name: without UTF-8 enabled, & is written &-, and other letters than ASCII in modified UTF-7")
	case errors.Is(err, literal8.ErrPlain):
		return bad("CLIENTBUG", "NUL is not allowed in a message: send it as literal8, or encoded")
	case errors.Is(err, literal8.ErrNUL):
		return no("UNKNOWN-CTE", "The message has NUL where it cannot be encoded")
	case errors.Is(err, mailbox.ErrNoFolder):
		return no("NONEXISTENT", "There is no such mailbox")
	case errors.Is(err, mailbox.ErrExists):
		return no("ALREADYEXISTS", "There is a mailbox of this name already")
	case errors.Is(err, mailbox.ErrName):
		return no("CANNOT", "A mailbox cannot have this name: no empty levels, no control characters, not too long")
	case errors.Is(err, mailbox.ErrFolders):
		return no("LIMIT", "Too many mailboxes: delete some first")
	case errors.Is(err, mailbox.ErrInbox):
		return no("CANNOT", "Not possible with INBOX")
	case errors.Is(err, mailbox.ErrQuota):
		return no("OVERQUOTA", "The mailbox is full: delete messages and empty the trash first")
	case errors.Is(err, mailbox.ErrTooLarge):
		return no("TOOBIG", fmt.Sprintf("The message is too large, the limit is %d octets", s.AppendLimit()))
	case errors.Is(err, mailbox.ErrKeywords):
		return no("LIMIT", "Too many different keywords in this mailbox")
	case errors.Is(err, mailbox.ErrExpunged):
		return no("EXPUNGEISSUED", "Some of these messages are gone")
	case errors.Is(err, mailbox.ErrReadOnly):
		return no("READ-ONLY", "The mailbox was opened read-only, by EXAMINE")
	case errors.Is(err, mailbox.ErrInUse):
		return no("INUSE", "The mailbox is in use by another session")
	case errors.Is(err, mailbox.ErrNoAccount):
		return no("UNAVAILABLE", "The account was removed")
	}
	s.log().Error("command failed", "error", err)
	return no("UNAVAILABLE", "The server has trouble with its disk or is stopping: try again in some minutes")
}

// tryCreate is answer for a command that puts messages into a mailbox (RFC 9051
// section 7.1, TRYCREATE).
func (s *session) tryCreate(err error) *reply {
	if errors.Is(err, mailbox.ErrNoFolder) {
		return no("TRYCREATE", "There is no such mailbox: create it first")
	}
	return s.answer(err)
}
