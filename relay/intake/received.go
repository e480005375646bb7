package intake

import (
	"net/netip"
	"strings"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// dateLayout is date-time of RFC 5322 section 3.3.
const dateLayout = "Mon, 02 Jan 2006 15:04:05 -0700"

// prefix is the header text that goes before the body: the trace field, and
// what a submitted message lacks (RFC 6409 section 8.2, 8.3). The prefix is for
// the last recipient's eyes as well, so it says nothing of the others. fields are
// more of it, whole.
func (r *reception) prefix(e *mail.Envelope, id spool.ID, fields []byte) []byte {
	var room [768]byte
	b := append(r.appendReceived(room[:0], e, id), r.fields...)
	b = append(b, fields...)
	if submitted(e) && !r.section.headless {
		if !r.section.dated {
			b = append(b, "Date: "...)
			b = e.Received.UTC().AppendFormat(b, dateLayout)
			b = append(b, "\r\n"...)
		}
		if !r.section.named {
			e.MsgID = "<" + strings.ToLower(told(e, id).String()) + "@" + r.config.Hostname + ">"
			b = append(b, "Message-ID: "...)
			b = append(b, e.MsgID...)
			b = append(b, "\r\n"...)
		}
	}
	if r.section.headless {
		// The body begins with text, or with a line that would continue our
		// last field. An empty line keeps it what it is.
		b = append(b, "\r\n"...)
	}
	return append(make([]byte, 0, len(b)), b...)
}

// told is the id that the client hears. Copies of one message have one Message-ID.
func told(e *mail.Envelope, id spool.ID) spool.ID {
	if !e.Batch.IsZero() {
		return e.Batch
	}
	return id
}

// submitted reports that we are the message's first relay and may complete it.
func submitted(e *mail.Envelope) bool { return e.Account != "" || authored(e) }

// authored reports that the message came from its author's own program. Who
// logged in elsewhere may be a relay itself, whose messages are nobody's to
// change.
func authored(e *mail.Envelope) bool { return e.Submission || e.Origin == mail.FromHTTP }

// appendReceived writes the trace field (RFC 5321 section 4.4).
func (r *reception) appendReceived(b []byte, e *mail.Envelope, id spool.ID) []byte {
	b = append(b, "Received: "...)
	if !submitted(e) || r.config.NameSubmitters {
		b = appendClient(append(b, "from "...), e)
		b = append(b, "\r\n\t"...)
	}
	b = append(b, "by "...)
	b = append(b, r.config.Hostname...)
	b = append(b, " with "...)
	b = append(b, e.Protocol()...)
	b = append(b, " id "...)
	b = id.Append(b)
	// With one recipient there is nobody else from whom a blind copy could be
	// hidden (RFC 5321 section 7.2).
	if len(e.Recipients) == 1 {
		if to := e.Recipients[0].Address; !to.NeedsUTF8() || e.SMTPUTF8 {
			b = append(b, "\r\n\tfor <"...)
			b = to.Append(b)
			b = append(b, '>')
		}
	}
	b = append(b, ";\r\n\t"...)
	b = e.Received.UTC().AppendFormat(b, dateLayout)
	return append(b, "\r\n"...)
}

// appendClient writes Extended-Domain of RFC 5321 section 4.4: the name the
// client said, if it is one, and the address we saw.
func appendClient(b []byte, e *mail.Envelope) []byte {
	name, err := smtp.ParseDomain(e.HELO)
	addr := e.Client.Addr().Unmap().WithZone("")
	switch {
	case err == nil && addr.IsValid():
		b = append(b, name...)
		b = append(b, " ("...)
		b = appendLiteral(b, addr)
		return append(b, ')')
	case err == nil:
		return append(b, name...)
	case addr.IsValid():
		return appendLiteral(b, addr)
	}
	return append(b, "unknown"...)
}

// appendLiteral writes an address literal (RFC 5321 section 4.1.3).
func appendLiteral(b []byte, a netip.Addr) []byte {
	if a.Is6() {
		b = append(b, "[IPv6:"...)
	} else {
		b = append(b, '[')
	}
	return append(a.AppendTo(b), ']')
}
