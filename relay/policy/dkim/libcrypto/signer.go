//go:build linux && !android && !static && (amd64 || arm64)

package libcrypto

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
)

// What the headers of OpenSSL 3 call EVP_PKEY_RSA and RSA_PKCS1_PADDING.
const (
	typeRSA      = 6
	paddingPKCS1 = 1
)

// signer is one private key in the library's memory, which OpenSSL lets many
// threads use at once, each with a context of its own. It is freed when the
// signer is garbage.
type signer struct {
	lib  *Library
	key  uintptr // EVP_PKEY *
	size int     // octets of a signature
	pub  *rsa.PublicKey
}

// Signer loads a key into the library. The Signer that it gives signs digests
// of SHA-256 by PKCS #1 v1.5 (RFC 8017 section 8.2) and nothing else; an error
// of Sign tells what the library said.
func (l *Library) Signer(k *rsa.PrivateKey) (crypto.Signer, error) {
	der := x509.MarshalPKCS1PrivateKey(k)
	defer clear(der)
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&der[0]) // the library is given where a pointer to it lies
	s := &signer{lib: l, pub: &k.PublicKey}
	if err := l.do(func() bool {
		at := uintptr(unsafe.Pointer(&der[0]))
		s.key, _, _ = purego.SyscallN(l.parseKey, typeRSA, 0, uintptr(unsafe.Pointer(&at)), uintptr(len(der)))
		return s.key != 0
	}); err != nil {
		return nil, fmt.Errorf("loading the key: %w", err)
	}
	runtime.AddCleanup(s, func(key uintptr) { purego.SyscallN(l.freeKey, key) }, s.key)
	size, _, _ := purego.SyscallN(l.keySize, s.key)
	if s.size = int(int32(size)); s.size != k.Size() {
		return nil, fmt.Errorf("libcrypto reads a key of %d octets as one of %d", k.Size(), s.size)
	}
	return s, nil
}

// Public gives the key's public half.
func (s *signer) Public() crypto.PublicKey { return s.pub }

// Sign signs digest. The random source is the library's own; PKCS #1 v1.5 needs
// it for blinding alone.
func (s *signer) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if _, pss := opts.(*rsa.PSSOptions); pss || opts.HashFunc() != crypto.SHA256 {
		return nil, errors.New("libcrypto is asked for SHA-256 by PKCS #1 v1.5 alone")
	}
	if len(digest) != sha256.Size {
		return nil, fmt.Errorf("a digest of SHA-256 has %d octets, not %d", sha256.Size, len(digest))
	}
	sig := make([]byte, s.size)
	var err error
	// The way that does not fail goes without binding the goroutine to its
	// thread. What went wrong is learnt by failing again.
	if !s.sign(sig, digest) {
		err = s.lib.do(func() bool { return s.sign(sig, digest) })
	}
	runtime.KeepAlive(s)
	if err != nil {
		return nil, fmt.Errorf("signing by libcrypto: %w", err)
	}
	return sig, nil
}

// sign fills sig. A context costs 2 % of a signature, so none is kept: what is
// not shared needs no care.
func (s *signer) sign(sig, digest []byte) bool {
	l := s.lib
	ctx, _, _ := purego.SyscallN(l.newContext, s.key, 0)
	if ctx == 0 {
		return false
	}
	defer purego.SyscallN(l.freeContext, ctx)
	n := uintptr(len(sig))
	return ok(purego.SyscallN(l.signInit, ctx)) &&
		ok(purego.SyscallN(l.setPadding, ctx, paddingPKCS1)) &&
		ok(purego.SyscallN(l.setDigest, ctx, l.sha256)) &&
		ok(purego.SyscallN(l.sign, ctx, uintptr(unsafe.Pointer(&sig[0])), uintptr(unsafe.Pointer(&n)), uintptr(unsafe.Pointer(&digest[0])), uintptr(len(digest)))) &&
		n == uintptr(len(sig))
}
