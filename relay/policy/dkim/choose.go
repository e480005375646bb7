package dkim

import (
	"strings"
	"sync"

	"golang.org/x/net/publicsuffix"

	"tenma/relay/mail"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
)

// maxAuthors bounds how many mailboxes of From are looked at for a key.
const maxAuthors = 10

// choose picks the keys for a message, by what DMARC looks at (RFC 7489 section
// 3.1.1): those of the very domain of From, which pass strict alignment too; or of
// the nearest domain above it within the same organization, which pass relaxed
// alignment. Of several authors the first counts for whom there are keys. The Sender
// field does not count: DMARC never looks at it.
//
// Where no author's domain has keys, those of the envelope sender sign: they are no
// help with DMARC, and still tell who sent the message. Keys that were not granted to
// whoever sends it are passed over (promise 9 of package relay).
func (s *keySet) choose(e *mail.Envelope, h header.Section) (keys []loaded, aligned bool) {
	authors, _ := header.Mailboxes(h.Text("From"), maxAuthors)
	for _, a := range authors {
		if keys := s.find(a.Domain); keys != nil && s.granted.let(e, keys[0].Domain, a.Domain) {
			return keys, true
		}
	}
	if keys := s.find(e.Sender.Domain); keys != nil && s.granted.let(e, keys[0].Domain, e.Sender.Domain) {
		return keys, false
	}
	return nil, false
}

// find gives the keys of d, or of the nearest domain above it that is of the same
// organization.
func (s *keySet) find(d smtp.Domain) []loaded {
	if keys := s.domains[d]; keys != nil || d == "" || d.IsLiteral() {
		return keys
	}
	organization, err := publicsuffix.EffectiveTLDPlusOne(string(d))
	if err != nil {
		return nil // a public suffix: whoever is above it is somebody else
	}
	for at := string(d); len(at) >= len(organization); {
		if keys := s.domains[smtp.Domain(at)]; keys != nil {
			return keys
		}
		_, above, ok := strings.Cut(at, ".")
		if !ok {
			break
		}
		at = above
	}
	return nil
}

// Signs tells whose keys sign, as Sign chooses, what a tenant sends with an author of
// that domain; "" for none. held are the domains that have keys, granted is as in
// Config, tenant "" stands for clients of no tenant.
func Signs(held []smtp.Domain, granted map[string][]smtp.Domain, tenant string, author smtp.Domain) smtp.Domain {
	set := &keySet{domains: map[smtp.Domain][]loaded{}, granted: newGrants(granted)}
	for _, d := range held {
		set.domains[d] = []loaded{{Key: Key{Domain: d}}}
	}
	keys := set.find(author)
	if keys == nil || !set.granted.let(&mail.Envelope{Trusted: true, Tenant: tenant}, keys[0].Domain, author) {
		return ""
	}
	return keys[0].Domain
}

// maxUnaligned bounds how many domains are told of.
const maxUnaligned = 100

// unaligned remembers of which domains of From was told that their mail bears
// signatures of another domain alone.
type unaligned struct {
	mu   sync.Mutex
	told map[smtp.Domain]bool // guarded by mu
}

// first reports that a domain is met for the first time.
func (u *unaligned) first(d smtp.Domain) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.told == nil {
		u.told = map[smtp.Domain]bool{}
	}
	if u.told[d] || len(u.told) == maxUnaligned {
		return false
	}
	u.told[d] = true
	return true
}

// tellUnaligned warns, once for a domain, of mail that DMARC will not pass by DKIM.
func (s *Signer) tellUnaligned(set *keySet, h header.Section, by smtp.Domain) {
	if from, ok := header.FirstMailbox(h.Text("From")); ok && set.unaligned.first(from.Domain) {
		s.log.Warn("mail is signed for another domain than that of its From field, which DMARC does not count; a [[dkim]] key for it is missing", "from", from.Domain, "signed", by)
	}
}
