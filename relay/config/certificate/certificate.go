// Package certificate gives listeners the certificate that they show to their
// clients: the pair that the configuration names, taken anew when its files
// change, or a self-signed one that is made when none is named.
//
// Open reads or makes the pair, Server gives the TLS settings of a listener.
package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tenma/relay/config"
)

const (
	// selfLife is how long a self-signed certificate lasts. Nobody can verify
	// it anyway, so a short life would only cause outages.
	selfLife = 10 * 365 * 24 * time.Hour
	// recheck is how often the files are looked at, at most. A renewal is a
	// matter of weeks; a stat for every handshake would be waste.
	recheck = 10 * time.Second
)

// Pair is the certificate that listeners show, with its key. It looks at the files
// again during handshakes, so that a renewed certificate is used without a
// reload; one that cannot be read leaves the former in force.
type Pair struct {
	paths   config.TLS
	log     *slog.Logger
	mu      sync.Mutex // guards what follows
	current *tls.Certificate
	stamp   [2]fs.FileInfo // of the files that current was read from
	next    time.Time
}

// Open reads the pair that t names. A self-signed one that is
// missing or expired is made for hostname first; its directory must exist.
func Open(t config.TLS, hostname string, log *slog.Logger) (*Pair, error) {
	c := &Pair{paths: t, log: log}
	if t.SelfSigned {
		if old, err := tls.LoadX509KeyPair(t.Certificate, t.Key); err != nil || time.Now().After(old.Leaf.NotAfter) {
			if err := selfSign(t, hostname); err != nil {
				return nil, fmt.Errorf("making a self-signed certificate: %w", err)
			}
		}
	}
	c.stamp = c.files()
	pair, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
	if err != nil {
		return nil, fmt.Errorf("reading certificate %s and key %s: %w", t.Certificate, t.Key, err)
	}
	c.current, c.next = &pair, time.Now().Add(recheck)
	return c, nil
}

// Server gives the TLS settings of a listener. [tls] minimum holds for
// opportunistic STARTTLS too: this relay's clients are an operator's own
// programs, not every mail server of the world.
func (c *Pair) Server() *tls.Config {
	minimum := c.paths.Minimum
	if minimum == 0 {
		minimum = tls.VersionTLS12
	}
	return &tls.Config{MinVersion: minimum, GetCertificate: c.Get}
}

// Get gives the certificate for a handshake.
func (c *Pair) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.After(c.next) {
		c.next = now.Add(recheck)
		c.reread()
	}
	return c.current, nil
}

// NotAfter is until when the certificate in force is valid. It looks at the
// files as a handshake does, so that a renewal shows without one.
func (c *Pair) NotAfter() time.Time {
	pair, _ := c.Get(nil) // has no error
	return pair.Leaf.NotAfter
}

// reread takes changed files, with mu held.
func (c *Pair) reread() {
	stamp := c.files()
	if unchanged(stamp[0], c.stamp[0]) && unchanged(stamp[1], c.stamp[1]) {
		return
	}
	pair, err := tls.LoadX509KeyPair(c.paths.Certificate, c.paths.Key)
	if err != nil {
		// Perhaps only one of the two files is new yet: the next look tells.
		c.log.Error("the changed TLS certificate cannot be used, the former stays in force", "certificate", c.paths.Certificate, "err", err)
		return
	}
	c.current, c.stamp = &pair, stamp
	c.log.Info("TLS certificate reloaded", "certificate", c.paths.Certificate, "until", pair.Leaf.NotAfter)
}

// files gives the state of both files, nil for one that is missing.
func (c *Pair) files() (state [2]fs.FileInfo) {
	for i, path := range []string{c.paths.Certificate, c.paths.Key} {
		if info, err := os.Stat(path); err == nil {
			state[i] = info
		}
	}
	return state
}

// unchanged also looks at which file it is: two that were written within a tick
// of the clock have one time, and two keys have one size.
func unchanged(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func selfSign(t config.TLS, hostname string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: hostname},
		NotBefore:    now.Add(-time.Hour), // clients' clocks
		NotAfter:     now.Add(selfLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{hostname, "localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		// Its own issuer, so that a user may add it to a trust store.
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := writePEM(t.Key, "PRIVATE KEY", keyDER, 0o600); err != nil {
		return err
	}
	return writePEM(t.Certificate, "CERTIFICATE", der, 0o644)
}

// writePEM replaces a file whole, so that a reader never sees half of it.
func writePEM(path, kind string, der []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // nothing is left of it after the rename
	err = f.Chmod(mode)
	if err == nil {
		err = pem.Encode(f, &pem.Block{Type: kind, Bytes: der})
	}
	if errClose := f.Close(); err == nil {
		err = errClose
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
