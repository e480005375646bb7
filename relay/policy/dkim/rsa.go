package dkim

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"

	"tenma/relay/policy/dkim/libcrypto"
)

// A signature by RSA is nearly all that signing costs: of a message of 4 KiB,
// nineteen twentieths. So it is made by the host's libcrypto where that is
// found and makes one that crypto/rsa accepts, else by crypto/rsa.

// library is a maker of RSA signers quicker than crypto/rsa.
type library interface {
	Version() string
	Signer(*rsa.PrivateKey) (crypto.Signer, error)
}

// host opens the library of the host.
func host() (library, error) {
	l, err := libcrypto.Open()
	if err != nil {
		return nil, err // not l: a nil *Library is no nil library
	}
	return l, nil
}

// tell says who makes the RSA signatures of a set of keys, if it has any.
// quicker has told of keys that are left to crypto/rsa for their own sake.
func (s *Signer) tell(set *keySet) {
	keys, fast := 0, 0
	for _, same := range set.domains {
		for _, k := range same {
			switch k.signer.(type) {
			case *guarded:
				fast++
				keys++
			case *rsa.PrivateKey:
				keys++
			}
		}
	}
	if keys == 0 {
		return
	}
	if lib, err := s.library(); err != nil {
		s.log.Info("DKIM: crypto/rsa makes the RSA signatures, which takes several times what libcrypto takes", "keys", keys, "libcrypto", err)
	} else if fast > 0 {
		s.log.Info("DKIM: libcrypto makes the RSA signatures", "keys", fast, "version", lib.Version())
	}
}

// quicker gives a signer with the same key as signer that takes less time, or
// signer itself where there is none. The signature that it made to be tried
// verifies.
func (s *Signer) quicker(k Key, signer crypto.Signer) crypto.Signer {
	slow, isRSA := signer.(*rsa.PrivateKey)
	if !isRSA {
		return signer // for Ed25519 Go has assembly too
	}
	lib, err := s.library()
	if err != nil {
		return signer
	}
	fast, err := lib.Signer(slow)
	if err == nil {
		err = verified(fast, &slow.PublicKey)
	}
	if err != nil {
		s.log.Warn("DKIM: libcrypto cannot use a key; crypto/rsa signs with it", "key", Name(k.Selector, k.Domain), "err", err)
		return signer
	}
	return &guarded{fast: fast, slow: slow, name: Name(k.Selector, k.Domain), log: s.log}
}

// verified makes one signature and asks crypto/rsa about it.
func verified(key crypto.Signer, pub *rsa.PublicKey) error {
	digest := sha256.Sum256([]byte("a signature to try the library"))
	sig, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return err
	}
	return rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest[:], sig)
}

// guarded signs with fast, and with slow what fast cannot.
type guarded struct {
	fast, slow crypto.Signer
	name       string
	log        *slog.Logger
	told       atomic.Bool // that fast failed
}

func (g *guarded) Public() crypto.PublicKey { return g.slow.Public() }

func (g *guarded) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	sig, err := g.fast.Sign(random, digest, opts)
	if err == nil {
		return sig, nil
	}
	if g.told.CompareAndSwap(false, true) {
		g.log.Warn("DKIM: libcrypto failed to sign; crypto/rsa does it instead, and from now on without a word", "key", g.name, "err", err)
	}
	sig, slowErr := g.slow.Sign(random, digest, opts)
	if slowErr != nil {
		return nil, fmt.Errorf("signing by RSA: %w", errors.Join(slowErr, err))
	}
	return sig, nil
}
