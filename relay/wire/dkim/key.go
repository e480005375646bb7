package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"strings"
)

// Key sizes that are taken, in bits. RFC 8301 section 3.2: a verifier takes no RSA
// key of less than 1,024 bits, and must take up to 4,096; the upper end bounds the
// work that others can cause.
const (
	minRSA = 1024
	maxRSA = 8192
)

// maxRecord is the longest key record that is read, in octets: RSA with 8,192 bits
// takes 1,400.
const maxRecord = 8 << 10

// Key is a published key (RFC 6376 section 3.6.1).
type Key struct {
	Public  crypto.PublicKey // *rsa.PublicKey or ed25519.PublicKey
	Testing bool             // t=y: its domain is trying DKIM out
	strict  bool             // t=s: i= must be of the domain itself
	kind    string           // k=
	hashes  []string         // h=; nil: any
}

// ParseKey reads a key record. Errors are a *Fault.
func ParseKey(record string) (*Key, error) {
	if len(record) > maxRecord {
		return nil, fault(PermError, "key record is too long")
	}
	tags, err := ParseTags([]byte(record))
	if err != nil {
		return nil, fault(PermError, "key record: %v", err)
	}
	if tags.Has("v") && tags.Get("v") != "DKIM1" {
		return nil, fault(PermError, "key record is of another version")
	}
	if s := tags.List("s"); s != nil && !contains(s, "*") && !contains(s, "email") {
		return nil, fault(PermError, "key is not for mail")
	}
	if !tags.Has("p") {
		return nil, fault(PermError, "key record has no key")
	}
	text := tags.Packed("p")
	if text == "" {
		return nil, fault(PermError, "key is revoked")
	}
	octets, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fault(PermError, "key cannot be read")
	}
	flags := tags.List("t")
	k := &Key{Testing: contains(flags, "y"), strict: contains(flags, "s"), kind: "rsa", hashes: tags.List("h")}
	if tags.Has("k") {
		k.kind = strings.ToLower(tags.Packed("k"))
	}
	switch k.kind {
	case "rsa":
		if k.Public, err = parseRSA(octets); err != nil {
			return nil, err
		}
		return k, nil
	case "ed25519": // RFC 8463 section 4
		if len(octets) != ed25519.PublicKeySize {
			return nil, fault(PermError, "key cannot be read")
		}
		k.Public = ed25519.PublicKey(octets)
		return k, nil
	}
	return nil, fault(PermError, "key is of an unknown kind")
}

// parseRSA reads both forms that are published: SubjectPublicKeyInfo, which
// everybody uses, and RSAPublicKey, which RFC 6376 names (erratum 3017).
func parseRSA(octets []byte) (*rsa.PublicKey, error) {
	any, err := x509.ParsePKIXPublicKey(octets)
	if err != nil {
		any, err = x509.ParsePKCS1PublicKey(octets)
	}
	public, ok := any.(*rsa.PublicKey)
	if err != nil || !ok {
		return nil, fault(PermError, "key cannot be read")
	}
	switch bits := public.N.BitLen(); {
	case bits < minRSA:
		return nil, fault(Policy, "key of %d bits is too weak", bits)
	case bits > maxRSA:
		return nil, fault(Policy, "key of %d bits is too large", bits)
	}
	return public, nil
}
