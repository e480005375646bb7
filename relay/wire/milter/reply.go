package milter

import (
	"encoding/binary"
	"strings"

	"tenma/relay/wire/smtp"
)

// Kind is what a filter's packet says (SMFIR_*).
type Kind byte

// Decisions end an event. Accept and the refusals end the talk about the message;
// at Rcpt a refusal is about that recipient only.
const (
	Continue  Kind = 'c'
	Accept    Kind = 'a' // no more events of this message, or of the session
	Reject    Kind = 'r'
	TempFail  Kind = 't'
	Discard   Kind = 'd' // take the message and throw it away
	ReplyCode Kind = 'y' // refuse with this reply
	Skip      Kind = 's' // no more of the body
	Shutdown  Kind = '4' // 421, and close the session
	ConnFail  Kind = 'f' // as if the connection had failed
)

// Progress says that the filter is still at work.
const Progress Kind = 'p'

// Changes come before the decision at the end of the message.
const (
	OpAddHeader       Kind = 'h'
	OpInsertHeader    Kind = 'i'
	OpChangeHeader    Kind = 'm'
	OpReplaceBody     Kind = 'b'
	OpAddRecipient    Kind = '+'
	OpAddRecipientOpt Kind = '2'
	OpDeleteRecipient Kind = '-'
	OpChangeSender    Kind = 'e'
	OpQuarantine      Kind = 'q'
)

// Reply is one packet of a filter.
type Reply struct {
	Kind  Kind
	SMTP  smtp.Reply // of ReplyCode; 4yz or 5yz
	Index uint32     // of a field: place to insert at, or which of its name, from 1
	Name  string     // of a field
	// Value is a field's value, an address with or without angle brackets, or
	// the reason of a quarantine.
	Value string
	Body  []byte // piece of a new body; shares memory with the packet
}

// IsChange reports a change, not a decision.
func (r Reply) IsChange() bool { return actionOf(r.Kind) != 0 }

// actionOf is what must have been negotiated for a change.
func actionOf(k Kind) Actions {
	switch k {
	case OpAddHeader, OpInsertHeader:
		return AddHeader
	case OpChangeHeader:
		return ChangeHeader
	case OpReplaceBody:
		return ReplaceBody
	case OpAddRecipient:
		return AddRecipient
	case OpAddRecipientOpt:
		return AddRecipientOptions
	case OpDeleteRecipient:
		return DeleteRecipient
	case OpChangeSender:
		return ChangeSender
	case OpQuarantine:
		return Quarantine
	}
	return 0
}

// ParseReply reads a packet that answers an event. Changes are taken at BodyEnd
// only, and only those that were negotiated: a filter that asks for another
// believes that it has done something which nobody did, so that is an error. So is
// Skip elsewhere than at Body. Errors wrap ErrProtocol.
func ParseReply(e Event, code byte, data []byte, n Negotiation) (Reply, error) {
	r := Reply{Kind: Kind(code)}
	switch r.Kind {
	case Continue, Accept, Reject, TempFail, Discard, Shutdown, ConnFail, Progress:
		return r, nil
	case Skip:
		if e != Body || n.Steps&CanSkip == 0 {
			return Reply{}, broken("%q out of place", code)
		}
		return r, nil
	case ReplyCode:
		var ok bool
		if r.SMTP, ok = parseSMTP(string(data)); !ok {
			return Reply{}, broken("%.80q is no SMTP reply", data)
		}
		return r, nil
	}
	action := actionOf(r.Kind)
	switch {
	case action == 0:
		return Reply{}, broken("unknown packet %q", code)
	case e != BodyEnd:
		return Reply{}, broken("change %q before the end of the message", code)
	case n.Actions&action == 0:
		return Reply{}, broken("change %q was not negotiated", code)
	}
	if !r.parseChange(data) {
		return Reply{}, broken("change %q: %.80q", code, data)
	}
	return r, nil
}

// parseChange reads the data of a change.
func (r *Reply) parseChange(data []byte) (ok bool) {
	switch r.Kind {
	case OpReplaceBody:
		r.Body = data
		return true
	case OpInsertHeader, OpChangeHeader:
		if len(data) < 4 {
			return false
		}
		r.Index, data = binary.BigEndian.Uint32(data), data[4:]
		fallthrough
	case OpAddHeader:
		if r.Name, data, ok = cutText(data); !ok {
			return false
		}
		fallthrough
	default: // what follows the first text are parameters, which nobody takes
		r.Value, _, ok = cutText(data)
		return ok
	}
}

// Limits of a reply's text: what smfi_setmlreply takes in lines, and a line that
// fits into the 512 octets of RFC 5321 section 4.5.3.1.5 with code and status.
const (
	maxReplyLines = 32
	maxReplyLine  = 480
)

// parseSMTP reads the reply that a filter wants the client to hear: one line or
// several, "550 5.7.1 Text" or "550-5.7.1 Text\r\n550 5.7.1 Text".
func parseSMTP(text string) (r smtp.Reply, ok bool) {
	text, _, ok = strings.Cut(text, "\x00")
	if !ok {
		return r, false
	}
	var lines []string
	for line := range strings.SplitSeq(strings.TrimRight(text, "\r\n"), "\n") {
		line = strings.TrimSuffix(line, "\r")
		code, ok := parseCode(line)
		if !ok || r.Code != 0 && code != r.Code {
			return smtp.Reply{}, false
		}
		r.Code = code
		line = strings.TrimLeft(line[3:], "- ")
		if s, rest, ok := smtp.ParseStatus(line); ok && int(s[0]) == code/100 {
			r.Status, line = s, strings.TrimLeft(rest, " ")
		}
		if line = printable(line); len(line) > maxReplyLine {
			line = line[:maxReplyLine]
		}
		if lines = append(lines, line); len(lines) > maxReplyLines {
			return smtp.Reply{}, false
		}
	}
	r.Text = strings.Join(lines, "\n")
	return r, true
}

// parseCode reads the three digits of a negative reply.
func parseCode(line string) (code int, ok bool) {
	if len(line) < 3 || len(line) > 3 && line[3] != ' ' && line[3] != '-' || line[0] != '4' && line[0] != '5' {
		return 0, false
	}
	for i := range 3 {
		if line[i] < '0' || line[i] > '9' {
			return 0, false
		}
		code = 10*code + int(line[i]-'0')
	}
	return code, true
}

// printable keeps what may stand in an SMTP reply (textstring of RFC 5321 section 4.2, without the tab).
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f {
			return '?'
		}
		return c
	}, s)
}
