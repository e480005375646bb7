package smtp

import (
	"errors"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Domain is the part behind the @: a host name in lower case with A-labels
// (RFC 5890), without a trailing dot, or an address literal as written,
// "[192.0.2.1]" or "[IPv6:2001:db8::1]".
type Domain string

// Address is a mailbox (RFC 5321 section 4.1.2). Local is the local part
// without quoting, in its own case (section 2.4). The zero value is the null
// sender "<>"; an empty Domain with Local "postmaster" is the bare
// <Postmaster> that section 4.5.1 demands.
type Address struct {
	Local  string
	Domain Domain
}

// Limits of RFC 5321 section 4.5.3.1.
const (
	MaxLocal  = 64
	MaxDomain = 255
	MaxPath   = 256 // section 4.5.3.1.3, brackets included
)

// Errors that ParsePath and ParseDomain wrap.
var (
	ErrSyntax = errors.New("not an address")
	ErrLength = errors.New("address too long")
)

// IsNull reports the null sender.
func (a Address) IsNull() bool { return a == Address{} }

// String gives the address as it stands between angle brackets, its local part
// quoted where RFC 5321 wants that. The null sender gives "".
func (a Address) String() string {
	if a.Domain != "" && isDotString(a.Local) { // nearly all
		return a.Local + "@" + string(a.Domain)
	}
	return string(a.Append(nil))
}

// Append appends what String gives.
func (a Address) Append(b []byte) []byte {
	switch {
	case a.IsNull():
		return b
	case isDotString(a.Local):
		b = append(b, a.Local...)
	default:
		b = append(b, '"')
		for i := range len(a.Local) {
			if a.Local[i] == '"' || a.Local[i] == '\\' {
				b = append(b, '\\')
			}
			b = append(b, a.Local[i])
		}
		b = append(b, '"')
	}
	if a.Domain == "" {
		return b
	}
	return append(append(b, '@'), a.Domain...)
}

// NeedsUTF8 reports a local part that only an SMTPUTF8 transaction can carry
// (RFC 6531 section 3.4). Domains are kept as A-labels and never need it.
func (a Address) NeedsUTF8() bool { return !isASCII(a.Local) }

// IsLiteral reports an address literal.
func (d Domain) IsLiteral() bool { return strings.HasPrefix(string(d), "[") }

// Literal gives the IP address of an address literal.
func (d Domain) Literal() (netip.Addr, bool) {
	s := string(d)
	if len(s) < 3 || s[0] != '[' || s[len(s)-1] != ']' {
		return netip.Addr{}, false
	}
	s = s[1 : len(s)-1]
	v6 := len(s) > 5 && strings.EqualFold(s[:5], "IPv6:")
	if v6 {
		s = s[5:]
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" || a.Is4() == v6 {
		return netip.Addr{}, false
	}
	return a, true
}

// ParseDomain reads a host name or address literal. Errors wrap ErrSyntax or
// ErrLength.
func ParseDomain(s string) (Domain, error) {
	if len(s) > MaxDomain+1 {
		return "", ErrLength
	}
	if strings.HasPrefix(s, "[") {
		if _, ok := Domain(s).Literal(); !ok {
			return "", ErrSyntax
		}
		return Domain(s), nil
	}
	s = strings.TrimSuffix(s, ".")
	if s == "" || !utf8.ValidString(s) {
		return "", ErrSyntax
	}
	if isASCII(s) {
		s = strings.ToLower(s)
	} else {
		a, err := idna.Lookup.ToASCII(s) // RFC 5891 section 5
		if err != nil {
			return "", ErrSyntax
		}
		s = a
	}
	if len(s) > MaxDomain-2 { // 253 octets as text fill 255 on the wire (RFC 1035 section 2.3.4)
		return "", ErrLength
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return "", ErrSyntax
		}
		for i := 0; i < len(label); i++ {
			// The underscore is no letter of a host name, but such domains
			// exist and receive mail.
			if c := label[i]; !isAlnum(c) && c != '-' && c != '_' {
				return "", ErrSyntax
			}
		}
	}
	return Domain(s), nil
}

// ParseMailbox reads "local@domain" whole, without angle brackets, quoted
// local parts included. A bare "postmaster" is taken (RFC 5321 section 4.5.1).
// Errors wrap ErrSyntax or ErrLength.
func ParseMailbox(s string) (Address, error) {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, isControl) {
		return Address{}, ErrSyntax
	}
	local, rest, err := parseLocal(s)
	if err != nil {
		return Address{}, err
	}
	if len(local) > MaxLocal {
		return Address{}, ErrLength
	}
	if rest == "" && strings.EqualFold(local, "postmaster") {
		return Address{Local: local}, nil
	}
	if !strings.HasPrefix(rest, "@") {
		return Address{}, ErrSyntax
	}
	d, err := ParseDomain(rest[1:])
	if err != nil {
		return Address{}, err
	}
	return Address{Local: local, Domain: d}, nil
}

// isControl reports what no mailbox has and what steers a terminal or breaks a
// line of whoever shows one: C0, DEL, the C1 set that RFC 6532 section 3.1 lets
// in among the UTF-8, and the separators of lines and paragraphs.
func isControl(r rune) bool {
	return r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029
}

// ParsePath reads the path of a MAIL or RCPT command, from its "<" on, and
// returns what follows the ">". "<>" is the null sender. A source route is
// dropped, as RFC 5321 appendix C demands of servers that get one.
func ParsePath(s string) (a Address, rest string, err error) {
	if !strings.HasPrefix(s, "<") {
		return a, s, ErrSyntax
	}
	end := pathEnd(s)
	if end < 0 {
		return a, s, ErrSyntax
	}
	if end+1 > 4*MaxPath { // room for a source route; the mailbox has its own limits
		return a, s, ErrLength
	}
	inner, rest := s[1:end], s[end+1:]
	if inner == "" {
		return a, rest, nil
	}
	if strings.HasPrefix(inner, "@") {
		_, after, ok := strings.Cut(inner, ":")
		if !ok {
			return a, s, ErrSyntax
		}
		inner = after
	}
	a, err = ParseMailbox(inner)
	return a, rest, err
}

// pathEnd finds the ">" that closes a path, outside quotes.
func pathEnd(s string) int {
	quoted := false
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if quoted {
				i++
			}
		case '"':
			quoted = !quoted
		case '>':
			if !quoted {
				return i
			}
		}
	}
	return -1
}

// parseLocal takes a local part off the front of s: Dot-string or
// Quoted-string, with the UTF-8 of RFC 6531 section 3.3.
func parseLocal(s string) (local, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexByte(s, '@')
		if end < 0 {
			end = len(s)
		}
		if !isDotString(s[:end]) {
			return "", "", ErrSyntax
		}
		return s[:end], s[end:], nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '"':
			if b.Len() == 0 {
				return "", "", ErrSyntax // an empty local part reaches nobody
			}
			return b.String(), s[i+1:], nil
		case c == '\\' && i+1 < len(s):
			i++
			c = s[i]
		}
		if c < 0x20 || c == 0x7f {
			return "", "", ErrSyntax
		}
		b.WriteByte(c)
	}
	return "", "", ErrSyntax
}

func isDotString(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < 0x80 && !isAlnum(c) && strings.IndexByte("!#$%&'*+-/=?^_`{|}~.", c) < 0 {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
