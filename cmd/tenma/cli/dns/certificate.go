package dns

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"tenma/relay/config"
)

// tlsa gives "3 1 1 DIGEST" of the certificate: the server's own, its public
// key, SHA-256 (RFC 7672 section 3.1.1), so that a renewal with the same key
// needs no new record.
func tlsa(t config.TLS) (string, error) {
	text, err := os.ReadFile(t.Certificate)
	if errors.Is(err, os.ErrNotExist) && t.SelfSigned {
		return "", fmt.Errorf("there is no certificate yet: \"tenma serve\" makes %s when it first starts", t.Certificate)
	}
	if err != nil {
		return "", fmt.Errorf("reading the certificate: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return "", fmt.Errorf("%s holds no certificate", t.Certificate)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("reading the certificate %s: %w", t.Certificate, err)
	}
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return "3 1 1 " + hex.EncodeToString(sum[:]), nil
}
