package dkim

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
)

// Limits of what is read from outside.
const (
	maxSignature = 1024 // octets; a key of 8,192 bits signs with so many
	maxNames     = 1000 // members of h=
)

// Claim is what a field says about a signature (RFC 6376 section 3.5): a
// DKIM-Signature, or one of the fields of ARC that are like it (RFC 8617 section
// 4.1.2). It is a claim until Verify has looked at it.
type Claim struct {
	Tags      Tags
	Domain    smtp.Domain // d=
	Selector  string      // s=
	Algorithm string      // a=: rsa-sha256 or ed25519-sha256
	Time      time.Time   // t=; zero: not told
	Expire    time.Time   // x=; zero: never

	// Of signatures over a message:
	Names        []string // h=
	SimpleHeader bool     // c=
	SimpleBody   bool
	Partial      bool // l=: the end of the body is not signed
	body         []byte

	field     header.Field
	signature []byte
}

// ReadClaim reads a DKIM-Signature field. Errors are a *Fault; the claim that
// comes with one tells what was understood.
func ReadClaim(f header.Field) (*Claim, error) {
	c, err := readSigned(f)
	if err != nil {
		return c, err
	}
	if c.Tags.Packed("v") != "1" { // RFC 6376 section 6.1.1
		return c, fault(Neutral, "unknown version of signature")
	}
	// i= is of the domain d= or of one below it (section 3.5).
	if c.Tags.Has("i") {
		if d := c.identity(); d != c.Domain && !strings.HasSuffix(string(d), "."+string(c.Domain)) {
			return c, fault(Neutral, "identity lies outside the domain")
		}
	}
	// RFC 6376 section 5.4: From must be signed.
	for _, n := range c.Names {
		if strings.EqualFold(n, "From") {
			return c, nil
		}
	}
	return c, fault(PermError, "From is not signed")
}

// ReadMessageClaim reads a field that signs a message as DKIM-Signature does,
// but has no version: ARC-Message-Signature.
func ReadMessageClaim(f header.Field) (*Claim, error) { return readSigned(f) }

// readSigned reads what both have.
func readSigned(f header.Field) (*Claim, error) {
	c, err := ReadFieldClaim(f)
	if err != nil {
		return c, err
	}
	for _, required := range [...]string{"bh", "h"} {
		if !c.Tags.Has(required) {
			return c, fault(Neutral, "tag %s is missing", required)
		}
	}
	if c.Names = c.Tags.List("h"); len(c.Names) > maxNames {
		return c, fault(Neutral, "more than %d fields are signed", maxNames)
	}
	c.body, err = decode(c.Tags.Packed("bh"), sha256.Size)
	if err != nil {
		return c, fault(Neutral, "malformed hash of the body")
	}
	head, body, _ := strings.Cut(c.Tags.Packed("c"), "/") // simple/simple if left out
	var known [2]bool
	c.SimpleHeader, known[0] = form(head)
	c.SimpleBody, known[1] = form(body)
	if !known[0] || !known[1] {
		return c, fault(Neutral, "unknown canonical form")
	}
	c.Partial = c.Tags.Has("l")
	return c, nil
}

// ReadFieldClaim reads what any field says that has a signature in b=: who
// signed, how and when. The rest is Tags.
func ReadFieldClaim(f header.Field) (*Claim, error) {
	c := &Claim{field: f}
	var err error
	if c.Tags, err = ParseTags(f.Value()); err != nil {
		return c, fault(Neutral, "%v", err)
	}
	for _, required := range [...]string{"a", "b", "d", "s"} {
		if !c.Tags.Has(required) {
			return c, fault(Neutral, "tag %s is missing", required)
		}
	}
	if c.Domain, err = smtp.ParseDomain(c.Tags.Packed("d")); err != nil || c.Domain.IsLiteral() {
		c.Domain = ""
		return c, fault(Neutral, "malformed domain")
	}
	selector, err := smtp.ParseDomain(c.Tags.Packed("s"))
	if err != nil || selector.IsLiteral() {
		return c, fault(Neutral, "malformed selector")
	}
	c.Selector = string(selector)
	switch c.Algorithm = strings.ToLower(c.Tags.Packed("a")); c.Algorithm {
	case "rsa-sha256", "ed25519-sha256":
	case "rsa-sha1":
		return c, fault(Policy, "SHA-1 is too weak") // RFC 8301 section 3.1
	default:
		return c, fault(Neutral, "unknown algorithm")
	}
	if q := c.Tags.List("q"); q != nil && !contains(q, "dns/txt") {
		return c, fault(Neutral, "unknown way to the key")
	}
	if c.signature, err = decode(c.Tags.Packed("b"), 0); err != nil || len(c.signature) > maxSignature {
		return c, fault(Neutral, "malformed signature")
	}
	return c, c.readTimes()
}

// identity is the domain of i=, which may stand in U-labels where d= does not (RFC
// 8616 section 4), "" if it has none. The local part may be quoted, and have an at
// sign of its own.
func (c *Claim) identity() smtp.Domain {
	i := c.Tags.Packed("i")
	at := strings.LastIndexByte(i, '@')
	d, err := smtp.ParseDomain(i[at+1:])
	if at < 0 || err != nil || d.IsLiteral() {
		return ""
	}
	return d
}

func (c *Claim) readTimes() error {
	for _, t := range [...]struct {
		tag string
		to  *time.Time
	}{{"t", &c.Time}, {"x", &c.Expire}} {
		if !c.Tags.Has(t.tag) {
			continue
		}
		n, err := strconv.ParseUint(c.Tags.Packed(t.tag), 10, 40) // RFC 6376 section 3.5: 12 digits at most
		if err != nil {
			return fault(Neutral, "malformed time")
		}
		*t.to = time.Unix(int64(n), 0)
	}
	return nil
}

// KeyName is where the key of the claim is published (RFC 6376 section 3.6.2.1).
func (c *Claim) KeyName() string { return c.Selector + "._domainkey." + string(c.Domain) }

// form reads one half of c=; simple is what stands for nothing.
func form(s string) (simple, known bool) {
	return s == "" || s == "simple", s == "" || s == "simple" || s == "relaxed"
}

// decode reads base64 of n octets, of any number but none if n is 0.
func decode(text string, n int) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err == nil && (len(b) == 0 || n > 0 && len(b) != n) {
		err = base64.CorruptInputError(0)
	}
	return b, err
}

func contains(list []string, member string) bool {
	for _, m := range list {
		if m == member {
			return true
		}
	}
	return false
}
