package mailbox

import (
	"errors"
	"strings"

	"tenma/relay/wire/smtp"
)

// errName is an address that can have no Maildir.
var errName = errors.New("mailbox: address has no place in the store")

// maxName is the longest name of a directory, in octets; file systems allow
// 255. A lawful local part of 64 octets has at most 192 when escaped.
const maxName = 250

// Dir gives the directory of an account's Maildir relative to the store's, two
// names long. Letters are put into lower case, since people do not tell Ann
// from ann, and so are two addresses the same mailbox only if they differ in
// nothing else. It is an error if a part is empty or too long.
func Dir(a smtp.Address) (domain, local string, err error) {
	domain, local = escape(string(a.Domain)), escape(a.Local)
	if domain == "" || local == "" || len(domain) > maxName || len(local) > maxName {
		return "", "", errName
	}
	return domain, local, nil
}

// escape makes text a file name: letters, digits and a few signs that mean
// nothing to file systems and shells stay, each other octet becomes % and two
// hexadecimal digits. A dot in front is escaped too, so the result is never ".",
// ".." or hidden, and it never holds a separator.
func escape(s string) string {
	const hex = "0123456789ABCDEF" // upper case: apart from every letter that stays
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 'A' && c <= 'Z':
			b.WriteByte(c + 'a' - 'A')
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_', c == '+', c == '=', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}
