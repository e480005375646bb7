package returns

import (
	"crypto/cipher"
	"crypto/hmac"
	"encoding/base64"
	"encoding/binary"
	"time"

	"tenma/relay/wire/smtp"
)

const (
	// sealSize: 128 bits, both the proof that we made it and what the cipher starts from.
	sealSize = 16
	// maxSealed bounds what Open looks at. An address has at most 254 octets, the
	// names of tenants and campaigns have fewer.
	maxSealed = 2 << 10
)

// Seal says the whole of a Reference so that only we can read it, in letters,
// digits, "-" and "_" (RFC 4648 section 5): fit for a URL and for a header field,
// but not where the case of letters may change. The same Reference always gives
// the same text.
//
// It is sealed as RFC 5297 does it, the hash over the text being the start of the
// cipher's stream, but with HMAC-SHA-256 as that hash: shorter by 12 octets than
// AES-GCM with a nonce, and no nonce could ever be used twice.
func (s *Signer) Seal(kind Kind, r Reference) string {
	k := &s.keys[0]
	plain := append([]byte{byte(kind)}, r.ID[:]...)
	for _, text := range [...]string{r.Recipient.Local, string(r.Recipient.Domain), r.Tenant, r.Campaign} {
		plain = append(binary.AppendUvarint(plain, uint64(len(text))), text...)
	}
	seal := sum(k.mac, plain)[:sealSize]
	k.stream(seal).XORKeyStream(plain, plain)
	return base64.RawURLEncoding.EncodeToString(append(seal, plain...))
}

// stream is the cipher's from a start on.
func (k *keys) stream(seal []byte) cipher.Stream { return cipher.NewCTR(k.cipher, seal) }

// Open reads what Seal wrote for the same kind, within a lifetime from when the
// message was accepted. Errors are ErrForged and ErrExpired; with the latter the
// Reference is there too.
func (s *Signer) Open(kind Kind, text string, now time.Time, life time.Duration) (Reference, error) {
	if len(text) > maxSealed {
		return Reference{}, ErrForged
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < sealSize {
		return Reference{}, ErrForged
	}
	seal, sealed := b[:sealSize], b[sealSize:]
	plain := make([]byte, len(sealed))
	for i := range s.keys {
		k := &s.keys[i]
		k.stream(seal).XORKeyStream(plain, sealed)
		if !hmac.Equal(sum(k.mac, plain)[:sealSize], seal) {
			continue
		}
		r, ok := parse(kind, plain)
		if !ok {
			return Reference{}, ErrForged
		}
		return r, expired(r.ID, now, life)
	}
	return Reference{}, ErrForged
}

// parse reads what is ours, but may be of another kind or of a later version.
func parse(kind Kind, b []byte) (Reference, bool) {
	var r Reference
	if len(b) < 1+len(r.ID) || Kind(b[0]) != kind {
		return r, false
	}
	b = b[1+copy(r.ID[:], b[1:]):]
	var domain string
	for _, to := range [...]*string{&r.Recipient.Local, &domain, &r.Tenant, &r.Campaign} {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return Reference{}, false
		}
		*to, b = string(b[size:][:n]), b[size+int(n):]
	}
	r.Recipient.Domain = smtp.Domain(domain)
	return r, len(b) == 0
}
