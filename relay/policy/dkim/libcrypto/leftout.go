//go:build static || android || !linux || !(amd64 || arm64)

package libcrypto

import (
	"crypto"
	"crypto/rsa"
)

// Library is the host's libcrypto.
type Library struct{}

// Open fails.
func Open() (*Library, error) { return nil, ErrLeftOut }

// Version is empty.
func (*Library) Version() string { return "" }

// Signer fails.
func (*Library) Signer(*rsa.PrivateKey) (crypto.Signer, error) { return nil, ErrLeftOut }
