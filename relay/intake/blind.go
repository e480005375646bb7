package intake

import "tenma/relay/wire/header"

// isBlind reports a field that its author's mail program should have taken out
// before the message left it (RFC 5322 section 3.6.3, for a message that is sent
// on section 3.6.6). Of the three ways that the section allows we take the
// first, by which nobody sees who else got a blind copy.
func isBlind(f header.Field) bool { return f.Is("Bcc") || f.Is("Resent-Bcc") }

// dropBlind takes blind-copy fields out of the header section msg[:end], in
// place. It gives what is left of msg and of its section: all other octets stay
// as they are and in order.
//
// This is before the message is stored, so promise 2 of package relay holds:
// the stored body never changes.
func dropBlind(msg []byte, end int) (kept []byte, section int) {
	at := 0
	for f := range header.Section(msg[:end]).Fields() {
		if isBlind(f) {
			continue
		}
		// What is copied lies at or behind where it goes.
		at += copy(msg[at:], f.Raw)
	}
	if at == end {
		return msg, end
	}
	return append(msg[:at], msg[end:]...), at
}
