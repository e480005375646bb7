package suppress

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"tenma/relay/wire/smtp"
)

// Limits, in octets, of the texts of an entry.
const (
	MaxName   = 128 // tenant, campaign, rule, creator, provider
	MaxDetail = 512 // a reply; longer ones are cut
)

// Reason is why mail is not to be sent; the list is closed.
type Reason uint8

// The reasons. The first two are those that a storm of false failures can make.
const (
	HardBounce  Reason = iota + 1 // a mail host refused the address for good
	Returned                      // so did a report that came back later
	Complaint                     // its owner called our mail spam (RFC 5965)
	Unsubscribe                   // its owner asked for no more (RFC 8058)
	Manual                        // an operator said so
	Import                        // it stood in a list that an operator brought
	reasons
)

// Reasons is how many values a Reason has, the zero value included.
const Reasons = int(reasons)

func reasonNames() [reasons]string {
	return [...]string{"", "hard_bounce", "returned", "complaint", "unsubscribe", "manual", "import"}
}

// String gives the name that the API and the mail log have.
func (r Reason) String() string {
	if r > 0 && r < reasons {
		return reasonNames()[r]
	}
	return "unknown"
}

// ParseReason reads what String gives.
func ParseReason(s string) (Reason, error) {
	for i, name := range reasonNames() {
		if i > 0 && name == s {
			return Reason(i), nil
		}
	}
	return 0, fmt.Errorf("there is no reason %q: it is hard_bounce, returned, complaint, unsubscribe, manual or import", s)
}

// Bounced reports that mail to the address failed, and nobody has spoken.
func (r Reason) Bounced() bool { return r == HardBounce || r == Returned }

// weight tells which of two entries for one address stays: what a person said
// weighs more than what a mail host did.
func (r Reason) weight() int {
	switch {
	case r.Bounced():
		return 1
	case r == Complaint:
		return 2
	}
	return 3
}

// Key names an entry: whom it is about and whose mail it stops. It is canonical,
// made by NewKey, so that two keys are the same if ==.
type Key struct {
	Local    string // "": the whole domain, and nothing below it
	Domain   smtp.Domain
	Tenant   string // "": all mail
	Campaign string // "": all mail of the tenant
}

// ErrScope says that tenant and campaign are no scope.
var ErrScope = errors.New("a scope is nothing, a tenant, or a tenant and a campaign, of at most 128 octets each and without control characters")

// NewKey makes the key of an address; one without local part stands for its
// domain. Errors wrap ErrScope or smtp.ErrSyntax.
//
// The local part counts in any case of letters: hosts that tell "Ann" from "ann"
// are rare beyond memory, and two people behind the two even more so. A "+tag" is
// not taken off: only the host knows whether it means anything.
func NewKey(a smtp.Address, tenant, campaign string) (Key, error) {
	if a.Domain == "" || strings.ContainsRune(a.Local, 0) {
		return Key{}, smtp.ErrSyntax
	}
	if campaign != "" && tenant == "" || !named(tenant) || !named(campaign) {
		return Key{}, ErrScope
	}
	return Key{Local: fold(a.Local), Domain: smtp.Domain(strings.ToLower(string(a.Domain))), Tenant: tenant, Campaign: campaign}, nil
}

// ParseSubject reads whom an entry is about: "ann@example.org", "example.org" or
// "@example.org". Errors wrap smtp.ErrSyntax or smtp.ErrLength.
func ParseSubject(s string) (smtp.Address, error) {
	s = strings.TrimSpace(s)
	if i := strings.LastIndexByte(s, '@'); i > 0 {
		a, err := smtp.ParseMailbox(s)
		if err == nil && (a.Domain == "" || a.Local == "") {
			err = smtp.ErrSyntax
		}
		return a, err
	}
	s = strings.TrimPrefix(s, "@")
	d, err := smtp.ParseDomain(s)
	if err == nil && !strings.Contains(string(d), ".") {
		err = smtp.ErrSyntax // a word; nobody means a whole top-level domain
	}
	return smtp.Address{Domain: d}, err
}

// Subject gives what ParseSubject reads.
func (k *Key) Subject() string {
	if k.Local == "" {
		return string(k.Domain)
	}
	return smtp.Address{Local: k.Local, Domain: k.Domain}.String()
}

func named(s string) bool {
	return len(s) <= MaxName && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

func fold(local string) string {
	for i := range len(local) {
		if local[i] >= utf8.RuneSelf {
			return norm.NFC.String(strings.ToLower(local)) // RFC 6532 section 3.1 wants NFC
		}
	}
	return strings.ToLower(local)
}

// Entry is one entry of the list.
type Entry struct {
	Key
	// Held says that it has no effect: it was made in a storm. For one key there
	// may be a held entry beside one in force.
	Held bool

	Reason   Reason
	Rule     string    // of the classifier, that called the failure hard; "": none
	Detail   string    // the reply or report, UTF-8
	Message  string    // id of the message that it came of
	Creator  string    // who made it: "relay", or a word that an operator gave
	Provider string    // where the failure came from, see storm
	Created  time.Time // to the second
	Expires  time.Time // no effect from then on; zero: never
}

// InForce reports whether the entry stops mail now.
func (e *Entry) InForce(now time.Time) bool {
	return !e.Held && (e.Expires.IsZero() || now.Before(e.Expires))
}

// Yields reports whether an entry in force makes way for another of its key
// that nobody insists on. What an operator set for a time does for the owner's wish, if
// that lasts longer: it must not end with the other.
func (e *Entry) Yields(to *Entry) bool {
	outlasts := !e.Expires.IsZero() && (to.Expires.IsZero() || to.Expires.After(e.Expires))
	return to.Reason.weight() > e.Reason.weight() || to.Reason == Unsubscribe && e.Reason != Unsubscribe && outlasts
}

// Check brings the texts of an entry within their limits, and says what is wrong
// with it otherwise.
func (e *Entry) Check() error {
	switch {
	case e.Reason == 0 || e.Reason >= reasons:
		return errors.New("it has no reason")
	case !named(e.Rule) || !named(e.Creator) || !named(e.Provider) || !named(e.Message):
		return fmt.Errorf("rule, creator, provider and message are words of at most %d octets without control characters", MaxName)
	}
	e.Detail = clip(e.Detail)
	e.Created, e.Expires = e.Created.Truncate(time.Second), e.Expires.Truncate(time.Second)
	return nil
}

// clip makes a text of others one line of at most MaxDetail octets.
func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) <= MaxDetail {
		return s
	}
	n := MaxDetail
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
