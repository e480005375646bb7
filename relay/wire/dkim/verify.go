package dkim

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"strings"
	"time"

	"tenma/relay/wire/header"
)

// Fields are those of a header section by name, as signatures pick them.
type Fields map[string][]header.Field

// Index makes Fields of a section.
func Index(h header.Section) Fields {
	all := Fields{}
	for f := range h.Fields() {
		if n := f.Name(); n != nil {
			name := strings.ToLower(string(n))
			all[name] = append(all[name], f)
		}
	}
	return all
}

// Get gives the fields of a name, in small letters, in order.
func (f Fields) Get(name string) []header.Field { return f[name] }

// Verify looks at the claim of a signature over a message: that it is made with
// the key, over this header and over a body with this hash. Without an error it
// is; an error is a *Fault.
func (c *Claim) Verify(k *Key, fields Fields, body [sha256.Size]byte, now time.Time) error {
	switch {
	case c.Partial:
		// RFC 6376 section 8.2: anybody may add to what is signed.
		return fault(Policy, "the body is signed in part")
	case !c.Expire.IsZero() && now.After(c.Expire):
		return fault(Fail, "signature has expired")
	case !c.Expire.IsZero() && c.Expire.Before(c.Time):
		return fault(Neutral, "signature expires before it was made")
	case k.strict && c.Tags.Has("i") && c.Tags.Has("v") && c.identity() != c.Domain:
		return fault(PermError, "key is not for domains below its own")
	case subtle.ConstantTimeCompare(body[:], c.body) == 0:
		return fault(Fail, "body was changed")
	}
	return c.VerifyField(k, c.signed(fields))
}

// VerifyField looks at a claim over octets of a header: those given, and the field
// of the claim itself behind them, with an empty b= and without its line end.
func (c *Claim) VerifyField(k *Key, octets []byte) error {
	kind, _, _ := strings.Cut(c.Algorithm, "-")
	if kind != k.kind {
		return fault(PermError, "key is of another kind than the signature")
	}
	if k.hashes != nil && !contains(k.hashes, "sha256") {
		return fault(PermError, "key is not for SHA-256")
	}
	sum := sha256.New()
	sum.Write(octets)
	sum.Write(c.unsigned())
	digest := sum.Sum(nil)
	ok := false
	switch public := k.Public.(type) {
	case *rsa.PublicKey:
		ok = rsa.VerifyPKCS1v15(public, crypto.SHA256, digest, c.signature) == nil
	case ed25519.PublicKey:
		ok = ed25519.Verify(public, digest, c.signature)
	}
	if !ok {
		return fault(Fail, "signature does not fit")
	}
	return nil
}

// signed gives the fields that the claim names, in canonical form. Of fields with
// one name the last is taken first; a name without a field left stands for
// nothing (RFC 6376 section 5.4.2).
func (c *Claim) signed(fields Fields) []byte {
	var b []byte
	taken := map[string]int{}
	for _, n := range c.Names {
		n = strings.ToLower(n)
		all := fields[n]
		taken[n]++
		if i := len(all) - taken[n]; i >= 0 {
			b = c.appendField(b, all[i].Raw)
		}
	}
	return b
}

// unsigned gives the field of the claim as it was signed: b= empty, without the
// line end.
func (c *Claim) unsigned() []byte {
	raw := c.field.Raw
	if b := c.Tags.find("b"); b != nil {
		at := len(raw) - len(c.field.Value())
		raw = append(append([]byte{}, raw[:at+b.start]...), raw[at+b.end:]...)
	}
	return bytes.TrimRight(c.appendField(nil, raw), "\r\n")
}

// appendField appends a field in the form that the claim says. Fields of ARC that
// say none are relaxed (RFC 8617 section 5.1.1).
func (c *Claim) appendField(b, raw []byte) []byte {
	if c.SimpleHeader { // RFC 6376 section 3.4.1
		return append(b, raw...)
	}
	return AppendRelaxed(b, header.Field{Raw: raw})
}

// AppendRelaxed appends a field as it stands in a message, in relaxed form.
func AppendRelaxed(b []byte, f header.Field) []byte {
	return AppendField(b, string(f.Name()), f.Value())
}
