package handshake

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"tenma/bench/internet/fakenet"
	"tenma/relay/mail"
	"tenma/relay/wire/dane"
	"tenma/relay/wire/tlsrpt"
)

// certificate makes one that signs itself, for name.
func certificate(t *testing.T, name string, end time.Time) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: end, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func ownKey(c *tls.Certificate) *dane.Set {
	sum := sha256.Sum256(c.Leaf.RawSubjectPublicKeyInfo)
	return dane.New([]dane.Record{{Usage: 3, Selector: 1, MatchingType: 1, Data: sum[:]}}, "base.test")
}

// shake lets h shake hands with a server, and gives the server's state too.
func shake(t *testing.T, h *Handshake, server *tls.Config) (client, host tls.ConnectionState, err error) {
	t.Helper()
	a, b := fakenet.Pipe(netip.MustParseAddrPort("192.0.2.1:1000"), netip.MustParseAddrPort("192.0.2.2:25"))
	defer a.Close()
	defer b.Close()
	done := make(chan struct{})
	s := tls.Server(b, server)
	go func() {
		defer close(done)
		if s.Handshake() == nil {
			_, _ = s.Write([]byte{'!'}) // the session ticket goes before it
		}
		b.Close()
	}()
	c := tls.Client(a, h.Config())
	if err = c.Handshake(); err == nil {
		_, _ = c.Read(make([]byte, 1))
	}
	a.Close()
	<-done
	return c.ConnectionState(), s.ConnectionState(), err
}

func TestHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good, stranger := certificate(t, "mx.test", time.Now().Add(time.Hour)), certificate(t, "mx.test", time.Now().Add(time.Hour))
		other, old := certificate(t, "other.test", time.Now().Add(time.Hour)), certificate(t, "mx.test", time.Now().Add(-time.Minute))
		roots := x509.NewCertPool()
		for _, c := range []*tls.Certificate{good, other, old} {
			roots.AddCert(c.Leaf)
		}
		certs := map[string]*tls.Certificate{"good": good, "stranger": stranger, "other": other, "old": old}
		sts := mail.Safety{TLS: mail.TLSOpportunistic, Policy: tlsrpt.PolicySTS, Testing: true}
		pinned := mail.Safety{TLS: mail.TLSDANE, Policy: tlsrpt.PolicyDANE, DANE: ownKey(stranger)}
		for _, c := range []struct {
			safety mail.Safety
			cert   string
			want   string
		}{
			{mail.Safety{}, "good", "ok verified"},
			{mail.Safety{}, "stranger", "ok"},
			{mail.Safety{TLS: mail.TLSRequired}, "old", "ok"},
			{mail.Safety{TLS: mail.TLSVerified}, "good", "ok verified"},
			{mail.Safety{TLS: mail.TLSVerified}, "stranger", "certificate-not-trusted"},
			{mail.Safety{TLS: mail.TLSVerified}, "other", "certificate-host-mismatch"},
			{mail.Safety{TLS: mail.TLSVerified}, "old", "certificate-expired"},
			{mail.Safety{TLS: mail.TLSImplicit}, "stranger", "certificate-not-trusted"},
			{sts, "good", "ok verified"},
			{sts, "other", "ok doubt certificate-host-mismatch"},
			{pinned, "stranger", "ok verified"},
			{pinned, "good", "tlsa-invalid"},
			{mail.Safety{TLS: mail.TLSRequired, Policy: tlsrpt.PolicyDANE}, "stranger", "ok"},
		} {
			h := &Handshake{Host: "mx.test", Safety: &c.safety, Roots: roots}
			_, server, err := shake(t, h, &tls.Config{Certificates: []tls.Certificate{*certs[c.cert]}})
			got := "ok"
			if err != nil {
				got = string(FaultOf(err))
			}
			if h.Verified {
				got += " verified"
			}
			if h.Doubt != nil {
				got += " doubt " + string(FaultOf(h.Doubt))
			}
			if got != c.want {
				t.Errorf("%s, %s: %s, want %s", PolicyName(&c.safety), c.cert, got, c.want)
			}
			name := "mx.test"
			if c.safety.DANE != nil {
				name = "base.test"
			}
			if err == nil && server.ServerName != name {
				t.Errorf("the host heard the name %q, want %q", server.ServerName, name)
			}
		}
	})
}

// A session is resumed under its own key only, and is verified again.
func TestResumption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cert := certificate(t, "mx.test", time.Now().Add(time.Hour))
		server := &tls.Config{Certificates: []tls.Certificate{*cert}}
		var all Sessions
		safety := mail.Safety{TLS: mail.TLSDANE, Policy: tlsrpt.PolicyDANE, DANE: ownKey(cert)}
		key := Key{Source: "s", Host: "mx.test:25", Demand: safety.TLS, Digest: safety.Digest()}
		try := func(k Key, s *mail.Safety) (bool, error) {
			state, _, err := shake(t, &Handshake{Host: "mx.test", Safety: s, Sessions: all.Of(k)}, server)
			return state.DidResume, err
		}
		if resumed, err := try(key, &safety); resumed || err != nil {
			t.Fatal(resumed, err)
		}
		if resumed, err := try(key, &safety); !resumed || err != nil {
			t.Error("not resumed", err)
		}
		for what, change := range map[string]func(*Key){
			"source":      func(k *Key) { k.Source = "other" },
			"host":        func(k *Key) { k.Host = "other" },
			"demand":      func(k *Key) { k.Demand = mail.TLSVerified },
			"records":     func(k *Key) { k.Digest = "other" },
			"certificate": func(k *Key) { k.Certificate = cert },
		} {
			k := key
			change(&k)
			if resumed, err := try(k, &safety); resumed || err != nil {
				t.Errorf("a session of another %s is resumed (%v)", what, err)
			}
		}
		// Even if it were offered: the certificate of a resumed session is held
		// to what is demanded now.
		strict := mail.Safety{TLS: mail.TLSDANE, DANE: ownKey(certificate(t, "mx.test", time.Now().Add(time.Hour)))}
		if _, err := try(key, &strict); err == nil {
			t.Error("a resumed session is not verified")
		}
	})
}

// A host that asks for a certificate gets the route's, and only that.
func TestClientCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, ours := certificate(t, "mx.test", time.Now().Add(time.Hour)), certificate(t, "relay.test", time.Now().Add(time.Hour))
		unrelated := x509.NewCertPool()
		unrelated.AddCert(host.Leaf)
		server := &tls.Config{Certificates: []tls.Certificate{*host}, ClientAuth: tls.RequestClientCert, ClientCAs: unrelated}
		for _, cert := range []*tls.Certificate{nil, ours} {
			_, state, err := shake(t, &Handshake{Host: "mx.test", Safety: &mail.Safety{}, Certificate: cert}, server)
			if err != nil {
				t.Fatal(err)
			}
			if got := len(state.PeerCertificates) > 0; got != (cert != nil) {
				t.Errorf("a certificate was shown: %v", got)
			}
		}
	})
}

func TestSessionsAreBounded(t *testing.T) {
	var s Sessions
	for i := range maxSessions + 100 {
		s.Of(Key{Host: fmt.Sprint(i)})
	}
	if len(s.caches) > maxSessions {
		t.Errorf("%d sessions remembered", len(s.caches))
	}
}

func TestPolicyName(t *testing.T) {
	for want, s := range map[string]mail.Safety{
		"opportunistic":               {},
		"dane":                        {TLS: mail.TLSDANE, Policy: tlsrpt.PolicyDANE},
		"dane without usable records": {TLS: mail.TLSRequired, Policy: tlsrpt.PolicyDANE},
		"mta-sts":                     {TLS: mail.TLSVerified, Policy: tlsrpt.PolicySTS},
		"mta-sts testing":             {Policy: tlsrpt.PolicySTS, Testing: true},
		"verified":                    {TLS: mail.TLSVerified, Policy: tlsrpt.PolicySTS, Testing: true}, // REQUIRETLS
		"required":                    {TLS: mail.TLSRequired},
		"unknown":                     {TLS: 99},
	} {
		if got := PolicyName(&s); got != want {
			t.Errorf("%+v: %s, want %s", s, got, want)
		}
	}
}
