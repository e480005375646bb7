package verify

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"
)

const message = "From: a@src.test\r\nTo: b@d.test\r\nSubject: x\r\n\r\nfirst line\r\n.second\r\n"

func signed(t testing.TB, domain string, key crypto.Signer, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	err := dkim.Sign(&out, strings.NewReader(text), &dkim.SignOptions{Domain: domain, Selector: "s1", Signer: key, HeaderKeys: []string{"From", "Subject"}})
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func keys(t testing.TB) (*rsa.PrivateKey, Signer) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSigner("src.test", "s1", pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	if err != nil {
		t.Fatal(err)
	}
	return key, s
}

func pkcs8(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func TestCheck(t *testing.T) {
	key, s := keys(t)
	other, _ := keys(t)
	good := signed(t, "src.test", key, message)
	short := bytes.Replace(good, []byte("DKIM-Signature: "), []byte("DKIM-Signature: l=5; "), 1)
	for name, c := range map[string]struct {
		in   []byte
		good bool
	}{
		"good":             {good, true},
		"with a trace":     {append([]byte("Received: by x\r\n"), good...), true},
		"good and other":   {append(signed(t, "other.test", other, message)[:0:0], signed(t, "other.test", other, string(good))...), true},
		"no signature":     {[]byte(message), false},
		"another's key":    {signed(t, "src.test", other, message), false},
		"another's domain": {signed(t, "other.test", key, message), false},
		"body changed":     {bytes.Replace(good, []byte("first"), []byte("First"), 1), false},
		"header changed":   {bytes.Replace(good, []byte("Subject: x"), []byte("Subject: y"), 1), false},
		"end cut":          {bytes.TrimSuffix(good, []byte(".second\r\n")), false},
		"longer":           {append(bytes.Clone(good), "more\r\n"...), false},
		"l=":               {short, false},
		"nothing":          {nil, false},
		"too many":         {append(bytes.Repeat([]byte("DKIM-Signature: v=1\r\n"), maxSignatures), good...), false},
	} {
		if err := s.Check(c.in); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSigner(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSigner("src.test", "s1", pkcs8(t, ed))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(signed(t, "src.test", ed, message)); err != nil {
		t.Errorf("Ed25519: %v", err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string][]byte{"none": nil, "rubbish": []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "ECDSA": pkcs8(t, curve)} {
		if _, err := NewSigner("src.test", "s1", key); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestFolder(t *testing.T) {
	key, s := keys(t)
	dir := t.TempDir()
	write := func(name string, b []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if c, err := s.Folder(t.Context(), dir); c != (Counts{}) || err != nil {
		t.Errorf("an empty folder: %+v, %v", c, err)
	}
	for i := range 20 {
		write(fmt.Sprintf("r.%d.eml", i), signed(t, "src.test", key, fmt.Sprintf("%s%d\r\n", message, i)))
	}
	write("notes.txt", nil)
	if c, err := s.Folder(t.Context(), dir); c != (Counts{Verified: 20}) || err != nil {
		t.Errorf("%+v, %v", c, err)
	}
	write("r.7.eml", []byte(message))
	c, err := s.Folder(t.Context(), dir)
	if err != nil || c.Verified != 19 || c.Bad != 1 || c.First == nil || !strings.Contains(c.First.Error(), "r.7.eml: no signature") {
		t.Errorf("%+v, %v", c, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Folder(ended, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "x.eml"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Folder(t.Context(), dir); err == nil {
		t.Error("a file that cannot be read is no error")
	}
}

func FuzzCheck(f *testing.F) {
	key, s := keys(f)
	good := signed(f, "src.test", key, message)
	f.Add(good)
	f.Add([]byte(message))
	_, signature, _ := bytes.Cut(good[:bytes.Index(good, []byte("From:"))], []byte(":"))
	f.Add(append([]byte("DKIM-Signature : "), signature...))
	f.Fuzz(func(t *testing.T, in []byte) {
		if err := s.Check(in); err == nil && !bytes.Contains(in, []byte("second")) {
			t.Errorf("%q holds", in)
		}
	})
}
