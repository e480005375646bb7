package returns

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// Reference is what a token or what is sealed says, in the words that all share.
type Reference = mail.Reference

// Kind says what a token is for. One that was made for one purpose is worth
// nothing for another.
type Kind uint8

// The kinds.
const (
	ReturnPath  Kind = 1 // mail that came back
	Unsubscribe Kind = 2 // somebody wants no more of it (RFC 8058)
	Header      Kind = 3 // a header field of ours, found in what was returned; only sealed
)

// Errors of Read and Open.
var (
	ErrForged  = errors.New("returns: not a token of ours")
	ErrExpired = errors.New("returns: a token that is no longer good")
)

// A token is, in octets: kind, id, hash of the tenant, hash of the recipient, MAC.
// In base32hex (RFC 4648 section 7) these 33 octets are 53 characters of the 64
// that a local part may have; base32, since some hosts change the case of letters.
const (
	tenantSize    = 3 // bits: 24; picks one of the tenants in the configuration
	recipientSize = 5 // bits: 40; picks one of the few addresses that a report names
	// macSize: 64 bits. A guess costs an RCPT, and whoever makes a million of them
	// a second needs 300,000 years for an even chance. What a hit would be worth is
	// one message that is read and thrown away.
	macSize  = 8
	bodySize = 1 + len(spool.ID{}) + tenantSize + recipientSize
	rawSize  = bodySize + macSize

	// TokenSize is the length of a token in octets.
	TokenSize = (rawSize*8 + 4) / 5
)

var encoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// Signer signs and verifies. It may be used from any goroutine.
type Signer struct{ keys []keys } // the first signs

// keys are what one secret yields, so that no key serves two purposes.
type keys struct {
	token, tag, mac []byte
	cipher          cipher.Block
}

// NewSigner makes a Signer of secrets, as LoadKeys gives them.
func NewSigner(secrets [][]byte) (*Signer, error) {
	s := &Signer{}
	if len(secrets) == 0 || len(secrets) > MaxKeys {
		return nil, fmt.Errorf("returns: %d keys, want 1 to %d", len(secrets), MaxKeys)
	}
	for _, secret := range secrets {
		if len(secret) < KeySize {
			return nil, fmt.Errorf("returns: a key of %d octets, want %d", len(secret), KeySize)
		}
		k, err := derive(secret)
		if err != nil {
			return nil, fmt.Errorf("returns: %w", err)
		}
		s.keys = append(s.keys, k)
	}
	return s, nil
}

func derive(secret []byte) (k keys, err error) {
	var aesKey []byte
	for info, to := range map[string]*[]byte{"token": &k.token, "tag": &k.tag, "mac": &k.mac, "cipher": &aesKey} {
		if *to, err = hkdf.Key(sha256.New, secret, nil, "tenma returns "+info, KeySize); err != nil { // RFC 5869
			return k, err
		}
	}
	k.cipher, err = aes.NewCipher(aesKey)
	return k, err
}

// Sign makes a token: TokenSize octets of 0-9 and a-v, a local part as it is.
func (s *Signer) Sign(kind Kind, r Reference) string {
	k := &s.keys[0]
	b := make([]byte, 0, rawSize)
	b = append(append(b, byte(kind)), r.ID[:]...)
	b = append(b, k.tenant(r.ID, r.Tenant)...)
	b = append(b, k.recipient(r.ID, r.Recipient)...)
	b = append(b, sum(k.token, b)[:macSize]...)
	return encoding.EncodeToString(b)
}

// Token is one that Read found to be ours.
type Token struct {
	Kind      Kind
	ID        spool.ID
	keys      *keys
	tenant    []byte
	recipient []byte
}

// Read verifies a token of one kind, in letters of either case. It is good for a
// lifetime from when the message was accepted. Errors are ErrForged and
// ErrExpired; with the latter the Token is there too.
func (s *Signer) Read(kind Kind, text string, now time.Time, life time.Duration) (Token, error) {
	if len(text) != TokenSize {
		return Token{}, ErrForged
	}
	text = strings.ToLower(text)
	b, err := encoding.DecodeString(text)
	// One message has one token: no other text may decode to it.
	if err != nil || encoding.EncodeToString(b) != text || Kind(b[0]) != kind {
		return Token{}, ErrForged
	}
	for i := range s.keys {
		k := &s.keys[i]
		if !hmac.Equal(sum(k.token, b[:bodySize])[:macSize], b[bodySize:]) {
			continue
		}
		t := Token{Kind: kind, keys: k, ID: spool.ID(b[1:17]), tenant: b[17:20], recipient: b[20:25]}
		return t, expired(t.ID, now, life)
	}
	return Token{}, ErrForged
}

// expired is ErrExpired for what is older than its lifetime.
func expired(id spool.ID, now time.Time, life time.Duration) error {
	if now.Sub(id.Time()) > life {
		return ErrExpired
	}
	return nil
}

// For reports whether a is the recipient that the token was made for. Letters may
// have changed their case.
func (t *Token) For(a smtp.Address) bool {
	return t.keys != nil && hmac.Equal(t.keys.recipient(t.ID, a), t.recipient)
}

// Of reports whether the message was the tenant's; "" asks whether it was nobody's.
func (t *Token) Of(tenant string) bool {
	return t.keys != nil && hmac.Equal(t.keys.tenant(t.ID, tenant), t.tenant)
}

// The hashes take the id in, so that nobody can tell from two tokens that they are
// about the same person.
func (k *keys) tenant(id spool.ID, name string) []byte {
	return sum(k.tag, id[:], []byte("tenant "), []byte(name))[:tenantSize]
}

func (k *keys) recipient(id spool.ID, a smtp.Address) []byte {
	return sum(k.tag, id[:], []byte("recipient "), []byte(strings.ToLower(a.String())))[:recipientSize]
}

func sum(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}
