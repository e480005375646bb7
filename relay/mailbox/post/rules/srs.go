package rules

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"strings"
	"time"

	"tenma/relay/wire/smtp"
)

// SRS rewrites senders of forwarded mail, by the Sender Rewriting Scheme (M. W.
// Wong, S. Thornton: http://www.openspf.org/svn/project/specs/drafts/draft-mengwong-sender-rewrite/).
// A receiver checks by SPF (RFC 7208) whether the host that hands a message in
// may use the domain of its sender. A forwarder may not use that of the author,
// so it uses its own:
//
//	ann@author.test             SRS0=HASH=TT=author.test=ann@ours.test
//	SRS0=x=y=z=ann@first.test   SRS1=HASH=first.test==x=y=z=ann@ours.test
//
// HASH proves that we made the address: without it anybody could have us relay
// to anybody. TT is the day, so that an address that got around stops working.
// An address that another forwarder made is not wrapped a second time but
// pointed at, so addresses do not grow with each hop.
//
// The letters of an address may change their case on the way; nothing here
// depends on it.
type SRS struct{ key []byte }

// KeySize is the length of a key in octets, that of the hash (RFC 2104 section 3).
const KeySize = sha256.Size

// Errors of Reverse.
var (
	ErrNotSRS  = errors.New("rules: not a rewritten sender of ours")
	ErrExpired = errors.New("rules: a rewritten sender that is no longer good")
)

// ErrLongSender is a sender that cannot be rewritten within the 64 octets of a
// local part (RFC 5321 section 4.5.3.1.1).
var ErrLongSender = errors.New("rules: sender too long to be rewritten")

// SRSDays is for how many days what comes back is taken: longer than any mail
// system tries (RFC 5321 section 4.5.4.1: 4-5 days), on both legs, and three
// times over.
const SRSDays = 21

const (
	// hashSize is in characters of 5 bits. One guess in a thousand million hits,
	// a guess costs an RCPT, and a hit lets mail through to one address. The
	// reference implementation has 24 bits.
	hashSize = 6
	slots    = 1 << 10 // days until TT begins anew
	alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
)

// NewSRS makes one from a secret of KeySize random octets.
func NewSRS(key []byte) *SRS { return &SRS{key: key} }

// IsSRS reports that a local part has the form of a rewritten sender.
func IsSRS(local string) bool {
	return len(local) > 5 && strings.EqualFold(local[:3], "SRS") && (local[3] == '0' || local[3] == '1') && isSeparator(local[4])
}

// isSeparator: foreign rewriters may use any of three behind SRS0 and SRS1.
func isSeparator(c byte) bool { return c == '=' || c == '+' || c == '-' }

// Forward gives the sender with which a message from sender is forwarded by an
// address at a domain of ours. The null sender stays null (RFC 5321 section
// 4.5.5), and a sender of that same domain stays as it is. The error is
// ErrLongSender.
func (s *SRS) Forward(sender smtp.Address, at smtp.Domain, now time.Time) (smtp.Address, error) {
	if sender.IsNull() || sender.Domain == "" || sender.Domain == at {
		return sender, nil
	}
	var local string
	switch {
	case IsSRS(sender.Local) && sender.Local[3] == '0':
		local = s.pointAt(string(sender.Domain), sender.Local[4:])
	case IsSRS(sender.Local) && strings.Count(sender.Local, "=") >= 3:
		// SRS1 of another forwarder: it points at the first, and so shall we.
		_, rest, _ := strings.Cut(sender.Local[5:], "=")
		first, rest, ok := strings.Cut(rest, "=")
		if !ok || first == "" || rest == "" {
			local = s.wrap(sender, now)
			break
		}
		local = s.pointAt(first, rest)
	default:
		local = s.wrap(sender, now)
	}
	if len(local) > smtp.MaxLocal {
		return sender, ErrLongSender
	}
	return smtp.Address{Local: local, Domain: at}, nil
}

func (s *SRS) wrap(sender smtp.Address, now time.Time) string {
	tt := stamp(now)
	return "SRS0=" + s.hash(tt, string(sender.Domain), sender.Local) + "=" + tt + "=" + string(sender.Domain) + "=" + sender.Local
}

// pointAt makes an SRS1 of what follows "SRS0" in an address at first.
func (s *SRS) pointAt(first, rest string) string {
	return "SRS1=" + s.hash("1", first, rest) + "=" + first + "=" + rest
}

// Reverse gives whom mail to a, an address at a domain of ours, is for: the
// sender that Forward was given, or for SRS1 the forwarder's address that it
// points at. Its errors are ErrNotSRS and ErrExpired.
func (s *SRS) Reverse(a smtp.Address, now time.Time) (smtp.Address, error) {
	if !IsSRS(a.Local) {
		return smtp.Address{}, ErrNotSRS
	}
	hash, rest, ok := strings.Cut(a.Local[5:], "=")
	if !ok {
		return smtp.Address{}, ErrNotSRS
	}
	if a.Local[3] == '1' {
		first, rest, ok := strings.Cut(rest, "=")
		if !ok || !s.right(hash, "1", first, rest) {
			return smtp.Address{}, ErrNotSRS
		}
		return address("SRS0"+rest, first)
	}
	tt, rest, ok := strings.Cut(rest, "=")
	if !ok {
		return smtp.Address{}, ErrNotSRS
	}
	domain, local, ok := strings.Cut(rest, "=")
	if !ok || !s.right(hash, tt, domain, local) {
		return smtp.Address{}, ErrNotSRS
	}
	if !fresh(tt, now) {
		return smtp.Address{}, ErrExpired
	}
	return address(local, domain)
}

func address(local, domain string) (smtp.Address, error) {
	d, err := smtp.ParseDomain(domain)
	if err != nil || local == "" {
		return smtp.Address{}, ErrNotSRS
	}
	return smtp.Address{Local: local, Domain: d}, nil
}

// hash signs the parts of an address, whatever the case of their letters.
func (s *SRS) hash(parts ...string) string {
	h := hmac.New(sha256.New, s.key)
	for _, p := range parts {
		// No part but the last can hold the separator.
		h.Write([]byte(strings.ToLower(p) + "="))
	}
	return base32.StdEncoding.EncodeToString(h.Sum(nil))[:hashSize]
}

// right compares in constant time.
func (s *SRS) right(hash string, parts ...string) bool {
	return hmac.Equal([]byte(strings.ToUpper(hash)), []byte(s.hash(parts...)))
}

// stamp gives the day in two characters.
func stamp(now time.Time) string {
	d := day(now)
	return string([]byte{alphabet[d>>5], alphabet[d&31]})
}

func day(now time.Time) int { return int((now.Unix()/86400%slots + slots) % slots) }

// fresh reports that a stamp is at most SRSDays old. A day ahead is a clock
// that differs.
func fresh(tt string, now time.Time) bool {
	if len(tt) != 2 {
		return false
	}
	tt = strings.ToUpper(tt)
	hi, lo := strings.IndexByte(alphabet, tt[0]), strings.IndexByte(alphabet, tt[1])
	if hi < 0 || lo < 0 {
		return false
	}
	age := (day(now) - (hi<<5 | lo) + slots) % slots
	return age <= SRSDays || age == slots-1
}
