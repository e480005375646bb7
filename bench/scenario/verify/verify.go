// Package verify checks DKIM signatures of messages that a sink kept as files: a
// server that signs fast and wrong must not win a comparison. It is told the one
// key that the server signs with and asks no DNS.
package verify

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/emersion/go-msgauth/dkim"
	"golang.org/x/sync/errgroup"
)

// maxMessage is the longest message that is read, in octets; maxSignatures how
// many of its signatures are looked at. The server under test signs once.
const (
	maxMessage    = 128 << 20
	maxSignatures = 5
)

// A Signer is who is expected to have signed.
type Signer struct {
	Domain, Selector string
	record           string // the DNS record of the key (RFC 6376 section 3.6.1)
}

// NewSigner makes the signer of a private key in PEM: RSA in PKCS #1, or any in
// PKCS #8.
func NewSigner(domain, selector string, key []byte) (Signer, error) {
	block, _ := pem.Decode(key)
	if block == nil {
		return Signer{}, errors.New("the DKIM key is no PEM")
	}
	var private any
	var err error
	if block.Type == "RSA PRIVATE KEY" {
		private, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	} else {
		private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return Signer{}, fmt.Errorf("the DKIM key: %w", err)
	}
	s := Signer{Domain: domain, Selector: selector}
	switch k := private.(type) {
	case *rsa.PrivateKey:
		der, err := x509.MarshalPKIXPublicKey(k.Public())
		s.record = record("rsa", der)
		return s, err
	case ed25519.PrivateKey:
		s.record = record("ed25519", k.Public().(ed25519.PublicKey)) // RFC 8463 section 4.2: the key alone
		return s, nil
	}
	return s, fmt.Errorf("the DKIM key is a %T, neither RSA nor Ed25519", private)
}

func record(kind string, key []byte) string {
	return "v=DKIM1; k=" + kind + "; p=" + base64.StdEncoding.EncodeToString(key)
}

// Check gives nil if the message has a signature of the signer that holds, and
// otherwise what is wrong. A signature of only a beginning of the body, by l=, does
// not hold (RFC 6376 section 8.2).
func (s Signer) Check(message []byte) error {
	if len(message) > maxMessage {
		return fmt.Errorf("longer than %d MiB", maxMessage>>20)
	}
	all, err := dkim.VerifyWithOptions(bytes.NewReader(message), &dkim.VerifyOptions{LookupTXT: s.lookup, MaxVerifications: maxSignatures})
	if err != nil {
		return err
	}
	var why error
	for _, v := range all {
		if v.Err == nil && strings.EqualFold(v.Domain, s.Domain) {
			return nil
		}
		if why == nil && v.Err != nil {
			why = v.Err
		}
	}
	if why == nil {
		return fmt.Errorf("no signature of %s", s.Domain)
	}
	return fmt.Errorf("no signature of %s that holds: %w", s.Domain, why)
}

// lookup is the DNS: it knows one name.
func (s Signer) lookup(name string) ([]string, error) {
	if !strings.EqualFold(name, s.Selector+"._domainkey."+s.Domain) {
		return nil, fmt.Errorf("no key at %q", name)
	}
	return []string{s.record}, nil
}

// Counts is what came out.
type Counts struct {
	Verified int64
	Bad      int64
	First    error // what was wrong with a bad one, nil for none
}

// Folder checks every *.eml in a folder, with all processors. The error is of
// files that could not be read, or ctx's.
func (s Signer) Folder(ctx context.Context, dir string) (Counts, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.eml"))
	if err != nil {
		return Counts{}, err
	}
	var mu sync.Mutex
	var c Counts
	note := func(file string, bad error) {
		mu.Lock()
		defer mu.Unlock()
		if bad == nil {
			c.Verified++
			return
		}
		if c.Bad++; c.First == nil {
			c.First = fmt.Errorf("%s: %w", filepath.Base(file), bad)
		}
	}
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, file := range files {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			bad, err := s.file(file)
			if err == nil {
				note(file, bad)
			}
			return err
		})
	}
	err = group.Wait()
	return c, err
}

// file tells apart a message that is bad and a file that cannot be read.
func (s Signer) file(name string) (bad, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxMessage+1))
	if err != nil {
		return nil, err
	}
	return s.Check(raw), nil
}
