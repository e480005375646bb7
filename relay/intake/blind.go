package intake

import "tenma/relay/wire/header"

// isBlind reports a field that its author's mail program should have taken out
// before the message left it (RFC 5322 section 3.6.3, for a message that is sent
// on section 3.6.6). Of the three ways that the section allows we take the
// first, by which nobody sees who else got a blind copy.
func isBlind(f header.Field) bool { return f.Is("Bcc") || f.Is("Resent-Bcc") }
