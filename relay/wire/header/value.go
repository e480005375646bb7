package header

import (
	"mime"
	"strings"
	"unicode"
	"unicode/utf8"

	"tenma/relay/wire/smtp"
)

// Decode makes the value of an unstructured field readable: encoded words are
// decoded (RFC 2047) where their charset is ASCII, Latin-1 or UTF-8, control
// characters become spaces, octets that are no UTF-8 become U+FFFD, and the
// whole is cut to at most limit octets. It is for logs and listings.
func Decode(text string, limit int) string {
	// Decoding never makes text longer than 3 octets for one of Latin-1; what
	// lies far behind the limit cannot matter.
	text = text[:min(len(text), 8*limit)]
	if strings.Contains(text, "=?") {
		var d mime.WordDecoder
		if plain, err := d.DecodeHeader(text); err == nil {
			text = plain
		}
	}
	if !isPlain(text) {
		text = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return ' '
			}
			return r
		}, strings.ToValidUTF8(text, "\ufffd"))
	}
	if len(text) > limit {
		for limit > 0 && !utf8.RuneStart(text[limit]) {
			limit--
		}
		text = text[:limit]
	}
	return text
}

func isPlain(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// FirstMailbox reads the first mailbox of an address list such as the value of
// From (RFC 5322 section 3.4), display names, comments, groups and all. ok is
// false if the list is empty or its first entry is no address.
func FirstMailbox(list string) (a smtp.Address, ok bool) {
	a, _, ok = mailbox(list)
	return a, ok
}

// OnlyMailbox is FirstMailbox for a list that must hold no other: ok is false
// as well where another one may follow, comments with an address included.
func OnlyMailbox(list string) (a smtp.Address, ok bool) {
	a, rest, ok := mailbox(list)
	return a, ok && !strings.ContainsAny(rest, "@<")
}

// Mailboxes reads the mailboxes of an address list, at most limit of them. whole
// is false where there are more, or something that is no address.
func Mailboxes(list string, limit int) (all []smtp.Address, whole bool) {
	whole = true
	for rest := list; rest != ""; {
		var spec string
		spec, rest = addrSpec(rest)
		if spec == "" { // comments, the end of a group, nothing
			continue
		}
		a, err := smtp.ParseMailbox(spec)
		switch {
		case err != nil || a.Domain == "":
			whole = false
		case len(all) == limit:
			return all, false
		default:
			all = append(all, a)
		}
	}
	return all, whole
}

// mailbox is FirstMailbox, and gives what follows.
func mailbox(list string) (a smtp.Address, rest string, ok bool) {
	spec, rest := addrSpec(list)
	a, err := smtp.ParseMailbox(spec)
	return a, rest, err == nil && a.Domain != ""
}

// addrSpec takes the first address off the front of a list, without display
// name and comments, and gives what follows; "" where none is left.
func addrSpec(list string) (address, rest string) {
	var spec strings.Builder // the candidate: what stands outside comments
	var angle, quoted bool
	comment := 0
scan:
	for i := 0; i < len(list); i++ {
		c := list[i]
		switch {
		case c == '\\' && (quoted || comment > 0) && i+1 < len(list): // quoted-pair
			i++
			if quoted {
				spec.WriteByte(c)
				spec.WriteByte(list[i])
			}
		case quoted:
			spec.WriteByte(c)
			quoted = c != '"'
		case c == '(':
			comment++
		case comment > 0:
			if c == ')' {
				comment--
			}
		case c == '"':
			quoted = true
			spec.WriteByte(c)
		case c == '<' && !angle: // what came before was a display name
			angle = true
			spec.Reset()
		case c == '>' && angle:
			rest = list[i+1:]
			break scan
		case c == ':' && angle: // an obsolete route (RFC 5322 section 4.4)
			spec.Reset()
		case c == ':': // the name of a group
			spec.Reset()
		case (c == ',' || c == ';') && !angle:
			if spec.Len() > 0 {
				rest = list[i+1:]
				break scan
			}
		case !isSpace(c):
			spec.WriteByte(c)
		}
	}
	return spec.String(), rest
}
