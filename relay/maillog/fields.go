package maillog

import (
	"net/netip"

	"tenma/relay/mail"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
)

// appendField appends a text field, or nothing for "".
func appendField(b []byte, name, v string) []byte {
	if v == "" {
		return b
	}
	b = append(b, `,"`...)
	b = append(b, name...)
	b = append(b, `":`...)
	return appendString(b, v)
}

// appendAddress appends an address as a JSON string.
func appendAddress(b []byte, a smtp.Address) []byte {
	if !plain(a.Local) || !plain(string(a.Domain)) {
		return appendString(b, a.String())
	}
	b = append(b, '"')
	b = append(b, a.Local...)
	if a.Domain != "" {
		b = append(b, '@')
		b = append(b, a.Domain...)
	}
	return append(b, '"')
}

// plain reports text that needs no quotes in an address nor escapes in JSON: a
// Dot-string (RFC 5321 section 4.1.2) in ASCII, or none.
func plain(s string) bool {
	dot := true // as before the first character
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '.' {
			if dot {
				return false
			}
			dot = true
			continue
		}
		dot = false
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c == '-', c == '_', c == '+', c == '=':
		default:
			return false
		}
	}
	return s == "" || !dot && len(s) < maxText/2
}

func appendPeer(b []byte, name string, addr netip.AddrPort) []byte {
	if name == "" && !addr.IsValid() {
		return b
	}
	b = append(b, `,"peer_address":{"name":`...)
	b = appendString(b, name)
	b = append(b, `,"addr":"`...)
	if addr.IsValid() {
		b = addr.Addr().WithZone("").AppendTo(b)
	}
	return append(b, `"}`...)
}

// appendMeta appends meta and headers.
func appendMeta(b []byte, e *mail.Event) []byte {
	env := e.Envelope
	b = append(b, `,"meta":`...)
	b = appendObject(b, [...]pair{{"tenant", env.Tenant}, {"campaign", env.Campaign}, {"authn_id", env.Account}, {}})
	b = append(b, `,"headers":`...)
	return appendObject(b, [...]pair{{"From", env.From}, {"Subject", env.Subject}, {"Message-ID", env.MsgID}, {"Authentication-Results", verdicts(e)}})
}

// verdicts gives what was found about a stranger's message when it arrived, "" for
// nothing. It is the field that stands above our Received field (package intake).
func verdicts(e *mail.Event) string {
	if e.Kind != mail.EventReception || e.Envelope.Trusted {
		return ""
	}
	return header.Section(e.Envelope.Prefix).Text("Authentication-Results")
}

type pair struct{ name, value string }

func appendObject(b []byte, pairs [4]pair) []byte {
	at := len(b)
	for _, p := range pairs {
		b = appendField(b, p.name, p.value)
	}
	if len(b) == at {
		return append(b, "{}"...)
	}
	b[at] = '{' // the first comma
	return append(b, '}')
}
