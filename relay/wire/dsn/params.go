package dsn

import (
	"fmt"
	"strings"
)

// Notify is a NOTIFY parameter (RFC 3461 section 4.1), a set. Its octets are
// those of mail.Notify.
type Notify uint8

// Members of the set. NotifyNever excludes the others; zero: none was given.
const (
	NotifyNever Notify = 1 << iota
	NotifySuccess
	NotifyFailure
	NotifyDelay
)

// String gives the value as the parameter has it, "" for zero.
func (n Notify) String() string {
	if n&NotifyNever != 0 {
		return "NEVER"
	}
	names := make([]string, 0, 3)
	for i, name := range [...]string{"SUCCESS", "FAILURE", "DELAY"} {
		if n&(NotifySuccess<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// ParseNotify reads the value of a NOTIFY parameter, in either case. Errors
// wrap ErrSyntax.
func ParseNotify(s string) (Notify, error) {
	var n Notify
	if len(s) > 100 {
		return 0, fmt.Errorf("%w: NOTIFY", ErrSyntax)
	}
	for word := range strings.SplitSeq(s, ",") {
		switch {
		case strings.EqualFold(word, "NEVER"):
			n |= NotifyNever
		case strings.EqualFold(word, "SUCCESS"):
			n |= NotifySuccess
		case strings.EqualFold(word, "FAILURE"):
			n |= NotifyFailure
		case strings.EqualFold(word, "DELAY"):
			n |= NotifyDelay
		default:
			return 0, fmt.Errorf("%w: NOTIFY=%q", ErrSyntax, word)
		}
	}
	if n&NotifyNever != 0 && n != NotifyNever { // RFC 3461 section 4.1: NEVER stands alone
		return 0, fmt.Errorf("%w: NOTIFY=NEVER beside others", ErrSyntax)
	}
	return n, nil
}

// Ret is a RET parameter (RFC 3461 section 4.3). Its values are those of
// mail.Ret.
type Ret uint8

// Values of RET.
const (
	RetUnset Ret = iota
	RetHeaders
	RetFull
)

// String gives the value as the parameter has it, "" for RetUnset.
func (r Ret) String() string {
	switch r {
	case RetHeaders:
		return "HDRS"
	case RetFull:
		return "FULL"
	}
	return ""
}

// ParseRet reads the value of a RET parameter, in either case. Errors wrap
// ErrSyntax.
func ParseRet(s string) (Ret, error) {
	switch {
	case strings.EqualFold(s, "HDRS"):
		return RetHeaders, nil
	case strings.EqualFold(s, "FULL"):
		return RetFull, nil
	}
	return RetUnset, fmt.Errorf("%w: RET=%.20q", ErrSyntax, s)
}

// ParseEnvID reads the value of an ENVID parameter. RFC 3461 section 4.4 lets
// it decode to printable ASCII only, so the result is safe in a header.
// Errors wrap ErrSyntax.
func ParseEnvID(s string) (string, error) {
	if s == "" || len(s) > MaxEnvID {
		return "", fmt.Errorf("%w: ENVID of %d octets", ErrSyntax, len(s))
	}
	id, err := ParseXtext(s)
	if err != nil {
		return "", err
	}
	if !printable(id) {
		return "", fmt.Errorf("%w: ENVID is not printable", ErrSyntax)
	}
	return id, nil
}

// ParseORcpt reads the value of an ORCPT parameter, "type;address", and gives
// it with the address decoded. The type is an atom; for type utf-8 the address
// may be in either form of RFC 6533 section 3. Errors wrap ErrSyntax.
func ParseORcpt(s string) (string, error) {
	if len(s) > MaxORcpt {
		return "", fmt.Errorf("%w: ORCPT of %d octets", ErrSyntax, len(s))
	}
	kind, addr, ok := strings.Cut(s, ";")
	if !ok || addr == "" || !isAtom(kind) {
		return "", fmt.Errorf("%w: ORCPT is not type;address", ErrSyntax)
	}
	var err error
	if strings.EqualFold(kind, "utf-8") {
		addr, err = parseUTF8Xtext(addr)
	} else {
		addr, err = ParseXtext(addr)
	}
	if err != nil {
		return "", err
	}
	return kind + ";" + addr, nil
}

// AppendORcpt appends a decoded "type;address" as the value of an ORCPT
// parameter, in ASCII. Where the type is missing or no atom, it takes the text
// as a whole for an rfc822 address.
func AppendORcpt(b []byte, orcpt string) []byte {
	kind, addr, ok := strings.Cut(orcpt, ";")
	if !ok || !isAtom(kind) {
		kind, addr = "rfc822", orcpt
	}
	b = append(append(b, kind...), ';')
	if strings.EqualFold(kind, "utf-8") {
		return appendUTF8Xtext(b, addr)
	}
	return AppendXtext(b, addr)
}

// isAtom reports an atom of at most 40 octets (RFC 5322 section 3.2.3) that
// can also stand in a parameter, hence without "=" (RFC 5321 section 4.1.2).
// The registry's longest address type has far fewer octets.
func isAtom(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>[]:;@\,."=`, c) >= 0 {
			return false
		}
	}
	return s != "" && len(s) <= 40
}

func printable(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}
