package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tenma/relay/mail"
	"tenma/relay/policy/hosttls"
)

// How safe delivery is to be reaches the adviser, and is on unless somebody says
// otherwise.
func TestSafety(t *testing.T) {
	const listen = "[[listen]]\nprotocol=\"http\"\naddress=\"127.0.0.1:1\"\n"
	c, _, errs := read(t, listen)
	if len(errs) > 0 || c.HostTLS != (hosttls.Config{}) {
		t.Errorf("%v %+v", errs, c.HostTLS)
	}
	c, _, errs = read(t, listen+"[dns]\ndnssec_probe=\"corp.test.\"\n[delivery]\ndane=false\nmta_sts=false\nprivate_destinations=true\n[[route]]\ndomain=\"a.test\"\nto=\"mx\"\ntls=\"dane\"\n")
	want := hosttls.Config{NoDANE: true, NoSTS: true, Probe: "corp.test.", PrivateDestinations: true}
	if len(errs) > 0 || c.HostTLS != want || c.Route.Rules[0].TLS != mail.TLSDANE {
		t.Errorf("%v %+v", errs, c.HostTLS)
	}
}

// A route has the certificate that it shows.
func TestClientCertificate(t *testing.T) {
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "relay.test"}, NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*pem.Block{
		"cert.pem":    {Type: "CERTIFICATE", Bytes: cert},
		"key.pem":     {Type: "PRIVATE KEY", Bytes: secret},
		"tenma.toml":  nil,
		"nonsense.pm": {Type: "NOTHING"},
	} {
		text := []byte("data_dir = \".\"\n[[listen]]\nprotocol=\"http\"\naddress=\"127.0.0.1:1\"\n[[route]]\ndomain=\"*\"\nto=\"smtp://a.test\"\ncertificate=\"cert.pem\"\nkey=\"key.pem\"\n")
		if b != nil {
			text = pem.EncodeToMemory(b)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, _, err := Load(filepath.Join(dir, "tenma.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Route.Rules[0].Certificate; got == nil || string(got.Certificate[0]) != string(cert) {
		t.Errorf("%+v", got)
	}
	if err := os.Rename(filepath.Join(dir, "nonsense.pm"), filepath.Join(dir, "cert.pem")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Load(filepath.Join(dir, "tenma.toml")); err == nil {
		t.Error("nonsense is taken for a certificate")
	}
}
