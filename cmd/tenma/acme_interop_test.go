//go:build interop

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// authority is pebble, Let's Encrypt's ACME server for tests, with a DNS that leads
// every name to this host.
type authority struct {
	directory, manage, ca string
	client                *http.Client
}

// background runs a program for the length of the test.
func background(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	c := exec.Command(name, args...)
	out := newTranscript("\x00never said")
	c.Stdout, c.Stderr, c.Env = out, out, append(os.Environ(), env...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
		c.Wait()
		if t.Failed() {
			t.Logf("%s: %s", name, out)
		}
	})
}

// newAuthority starts pebble. It answers at challenge, by HTTP or by TLS, and gives
// certificates that last for a time.
func newAuthority(t *testing.T, dir, challenge string, life time.Duration) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pebble"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{ca: filepath.Join(dir, "pebble.crt")}
	writeFile(t, a.ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	writeFile(t, filepath.Join(dir, "pebble.key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	acme, manage, dns := freePort(t, "127.0.0.1"), freePort(t, "127.0.0.1"), freePort(t, "127.0.0.1")
	_, port, _ := net.SplitHostPort(challenge)
	writeFile(t, filepath.Join(dir, "pebble.json"), fmt.Sprintf(`{"pebble": {
		"listenAddress": %q, "managementListenAddress": %q, "certificate": %q, "privateKey": %q,
		"httpPort": %s, "tlsPort": %s, "certificateValidityPeriod": %d}}`,
		acme, manage, a.ca, filepath.Join(dir, "pebble.key"), port, port, int(life.Seconds())))
	background(t, nil, "pebble-challtestsrv", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-dns01", dns, "-http01", "", "-https01", "", "-tlsalpn01", "", "-management", freePort(t, "127.0.0.1"))
	background(t, []string{"PEBBLE_VA_NOSLEEP=1"}, "pebble", "-config", filepath.Join(dir, "pebble.json"), "-dnsserver", dns)
	a.directory, a.manage = "https://"+acme+"/dir", "https://"+manage
	pool := x509.NewCertPool()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(cert)
	a.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
	return a
}

// roots are those of the certificates that it gives.
func (a *authority) roots(t *testing.T) *x509.CertPool {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		r, err := a.client.Get(a.manage + "/roots/0")
		if err != nil {
			if time.Now().After(deadline) {
				t.Fatalf("pebble does not come up: %v", err)
			}
			continue
		}
		text, err := io.ReadAll(r.Body)
		r.Body.Close()
		pool := x509.NewCertPool()
		if err != nil || !pool.AppendCertsFromPEM(text) {
			t.Fatalf("%.100q, %v", text, err)
		}
		return pool
	}
}

// shownAt gives the certificate that a listener shows after STARTTLS, to a client that
// names a host or, for "", none; the leaf first.
func shownAt(t *testing.T, addr, name string) []*x509.Certificate {
	t.Helper()
	v, err := converse(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if _, err := v.ask("STARTTLS\r\n"); err != nil {
		t.Fatal(err)
	}
	c := tls.Client(v.Conn, &tls.Config{ServerName: name, InsecureSkipVerify: true}) // the test verifies
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c.ConnectionState().PeerCertificates
}

// TestInteropACME goes from nothing to a valid certificate on the submission listener,
// which listens with a self-signed one meanwhile, and on to its successor.
func TestInteropACME(t *testing.T) {
	t.Parallel()
	for _, challenge := range []string{"http-01", "tls-alpn-01"} {
		t.Run(challenge, func(t *testing.T) {
			t.Parallel()
			dir, submission, answer := t.TempDir(), freePort(t, "127.0.0.1"), freePort(t, "127.0.0.1")
			a := newAuthority(t, dir, answer, 45*time.Second)
			extra := fmt.Sprintf("[[listen]]\nprotocol = \"smtp\"\naddress = %q\ntls = \"starttls\"\nauth = \"required\"\n[acme]\nnames = [\"relay.test\", \"mail.relay.test\"]\nemail = \"a@relay.test\"\nagree_to_terms = true\ndirectory = %q\nca = %q\nchallenge = %q\naddress = %q\n",
				submission, a.directory, a.ca, challenge, answer)
			roots := a.roots(t)
			relay := startRelay(t, binary(t), dir, freePort(t, "127.0.0.1"), extra)
			// valid waits until the listener shows a certificate of the authority for name,
			// another than the one before.
			valid := func(asked, name string, before *x509.Certificate) *x509.Certificate {
				t.Helper()
				for deadline := time.Now().Add(2 * patience); ; time.Sleep(100 * time.Millisecond) {
					chain, between := shownAt(t, submission, asked), x509.NewCertPool()
					for _, c := range chain[1:] {
						between.AddCert(c)
					}
					_, err := chain[0].Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: between})
					if err == nil && !chain[0].Equal(before) {
						return chain[0]
					}
					if time.Now().After(deadline) {
						t.Fatalf("no new certificate for %s: %v\n%s", name, err, relay.out)
					}
				}
			}
			first := valid("", "relay.test", nil)
			valid("mail.relay.test", "mail.relay.test", nil)
			info, err := os.Stat(filepath.Join(dir, "data", "acme"))
			if err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
			valid("relay.test", "relay.test", first)
			relay.term()
		})
	}
}
