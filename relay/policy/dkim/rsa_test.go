package dkim

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"tenma/relay/policy/dkim/libcrypto"
)

// fakeLibrary signs with crypto/rsa, as long as it is told to.
type fakeLibrary struct {
	refuses bool        // to load a key
	lies    bool        // about signatures
	fails   atomic.Bool // to sign
	signed  atomic.Int64
}

func (f *fakeLibrary) Version() string { return "Fake 1.0" }

func (f *fakeLibrary) Signer(k *rsa.PrivateKey) (crypto.Signer, error) {
	if f.refuses {
		return nil, errors.New("fake refusal")
	}
	return &fakeSigner{lib: f, PrivateKey: k}, nil
}

type fakeSigner struct {
	*rsa.PrivateKey
	lib *fakeLibrary
}

func (s *fakeSigner) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if s.lib.fails.Load() {
		return nil, errors.New("fake failure")
	}
	s.lib.signed.Add(1)
	sig, err := s.PrivateKey.Sign(random, digest, opts)
	if s.lib.lies && err == nil {
		sig[len(sig)/2] ^= 1
	}
	return sig, err
}

// Whatever the library does, mail goes out with signatures that verify, and the
// log says once who makes them.
func TestLibrary(t *testing.T) {
	for name, c := range map[string]struct {
		lib   *fakeLibrary
		err   error // of opening it
		later bool  // it fails once it is in use
		used  bool
		logs  []string
	}{
		"good":                  {lib: &fakeLibrary{}, used: true, logs: []string{`level=INFO msg="DKIM: libcrypto makes the RSA signatures" keys=1 version="Fake 1.0"`}},
		"missing":               {err: errors.New("no such file"), logs: []string{`level=INFO msg="DKIM: crypto/rsa makes`, `libcrypto="no such file"`}},
		"left out":              {err: libcrypto.ErrLeftOut, logs: []string{`level=INFO msg="DKIM: crypto/rsa makes`, "left out of this build"}},
		"refuses the key":       {lib: &fakeLibrary{refuses: true}, logs: []string{`level=WARN msg="DKIM: libcrypto cannot use a key`, "r1._domainkey.example.test", "fake refusal"}},
		"makes wrong ones":      {lib: &fakeLibrary{lies: true}, logs: []string{"level=WARN", "verification error"}},
		"fails when it is used": {lib: &fakeLibrary{}, later: true, used: true, logs: []string{"level=WARN", "failed to sign", "fake failure"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			var log bytes.Buffer
			s, err := build(r.config, Deps{Log: slog.New(slog.NewTextHandler(&log, nil))}, func() (library, error) { return c.lib, c.err })
			if err != nil {
				t.Fatal(err)
			}
			r.Signer = s
			if c.later {
				c.lib.fails.Store(true)
			}
			for range 3 {
				if good, bad := r.ours(t, r.sign(t, trusted(prefix), simple)+prefix+simple); good != 2 || bad != 0 {
					t.Errorf("%d good signatures, %d bad", good, bad)
				}
			}
			if c.lib != nil {
				if n := c.lib.signed.Load(); c.used != (n > 1) && !c.later {
					t.Errorf("the library made %d signatures", n)
				}
			}
			if strings.Contains(log.String(), "libcrypto makes") != c.used {
				t.Errorf("the wrong one is told:\n%s", log.String())
			}
			for _, want := range c.logs {
				if strings.Count(log.String(), want) != 1 {
					t.Errorf("not once %q in\n%s", want, log.String())
				}
			}
		})
	}
}

// Who makes the signatures is told at each reload; without an RSA key nobody
// looks for the library.
func TestLibraryIsTold(t *testing.T) {
	r := newRig(t)
	var log bytes.Buffer
	opened := 0
	s, err := build(Config{Keys: r.config.Keys[1:]}, Deps{Log: slog.New(slog.NewTextHandler(&log, nil))}, func() (library, error) { opened++; return &fakeLibrary{}, nil })
	if err != nil {
		t.Fatal(err)
	}
	if opened != 0 || log.Len() != 0 {
		t.Errorf("opened %d times for Ed25519: %s", opened, log.String())
	}
	for range 2 {
		if err := s.Apply(r.config); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), "libcrypto makes"); opened != 1 || n != 2 {
		t.Errorf("opened %d times, told %d times", opened, n)
	}
}

// On a host that has the library the signer uses it. A build that leaves it out
// has the same tests, by crypto/rsa.
func TestHostLibrary(t *testing.T) {
	r := newRig(t)
	k := r.keys.Load().domains["example.test"][0]
	_, fast := k.signer.(*guarded)
	if _, err := libcrypto.Open(); (err == nil) != fast {
		t.Errorf("libcrypto: %v; used: %v", err, fast)
	}
}
