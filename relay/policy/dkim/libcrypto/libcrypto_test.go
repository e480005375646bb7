//go:build linux && !android && !static && (amd64 || arm64)

package libcrypto

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"math/big"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/ebitengine/purego"
)

var digest = sha256.Sum256([]byte("what is signed"))

func library(t testing.TB) *Library {
	t.Helper()
	l, err := Open()
	if err != nil {
		t.Skipf("this host has no %s: %v", Name, err)
	}
	return l
}

func key(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// PKCS #1 v1.5 has one signature for a key and a digest, so both make the same.
func TestSameAsGo(t *testing.T) {
	l := library(t)
	if !strings.HasPrefix(l.Version(), "OpenSSL 3.") {
		t.Error(l.Version())
	}
	for _, bits := range []int{1024, 2048, 3072} {
		k := key(t, bits)
		s, err := l.Signer(k)
		if err != nil {
			t.Fatal(err)
		}
		if !k.PublicKey.Equal(s.Public()) {
			t.Error("another public key")
		}
		for i := range 3 {
			digest := sha256.Sum256([]byte{byte(i)})
			got, err := s.Sign(nil, digest[:], crypto.SHA256)
			if err != nil {
				t.Fatal(err)
			}
			want, err := k.Sign(rand.Reader, digest[:], crypto.SHA256)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%d bits: another signature than crypto/rsa's, %v", bits, err)
			}
		}
	}
}

// Many goroutines share a key, while others are loaded and forgotten.
func TestConcurrent(t *testing.T) {
	l := library(t)
	k := key(t, 1024)
	s, err := l.Signer(k)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 50 {
				digest := sha256.Sum256([]byte{byte(i), byte(j)})
				sig, err := s.Sign(nil, digest[:], crypto.SHA256)
				if err != nil {
					t.Error(err)
					return
				}
				if err := rsa.VerifyPKCS1v15(&k.PublicKey, crypto.SHA256, digest[:], sig); err != nil {
					t.Error(err)
				}
				if j%10 == 0 {
					if _, err := l.Signer(k); err != nil {
						t.Error(err)
					}
					runtime.GC()
				}
			}
		})
	}
	all.Wait()
}

func TestNothingElseIsSigned(t *testing.T) {
	s, err := library(t).Signer(key(t, 1024))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		digest []byte
		opts   crypto.SignerOpts
	}{
		{digest[:], crypto.SHA512},
		{digest[:], crypto.Hash(0)},
		{digest[:], &rsa.PSSOptions{Hash: crypto.SHA256}},
		{digest[:31], crypto.SHA256},
		{nil, crypto.SHA256},
	} {
		if sig, err := s.Sign(nil, c.digest, c.opts); err == nil || sig != nil {
			t.Errorf("%d octets as %v were signed", len(c.digest), c.opts.HashFunc())
		}
	}
}

// What the library refuses comes back as what it said, on a thread whose list
// of errors is empty again.
func TestErrors(t *testing.T) {
	l := library(t)
	k := key(t, 1024)
	s, err := l.Signer(k)
	if err != nil {
		t.Fatal(err)
	}
	small := *s.(*signer)
	small.size = 16 // no room for a signature of 128 octets
	for range 3 {
		_, err = small.Sign(nil, digest[:], crypto.SHA256)
		if err == nil || !strings.Contains(err.Error(), "error:") || strings.ContainsRune(err.Error(), 0) {
			t.Fatalf("not what libcrypto says: %v", err)
		}
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	fail := func() {
		for range 2 {
			if small.sign(make([]byte, 16), digest[:]) {
				t.Fatal("signed without room")
			}
		}
	}
	fail()
	if err := l.do(func() bool { return false }); err == nil || strings.Contains(err.Error(), "error:") {
		t.Errorf("an old error is told again: %v", err)
	}
	fail()
	if first, second := l.errors(), l.errors(); strings.Count(first.Error(), "error:") < 2 || strings.Contains(second.Error(), "error:") {
		t.Errorf("%v\nwas followed by\n%v", first, second)
	}
	if _, err := s.Sign(nil, digest[:], crypto.SHA256); err != nil {
		t.Errorf("after errors: %v", err)
	}
}

// A key whose parts contradict each other gives an error or a wrong signature,
// and not a crash.
func TestDamagedKey(t *testing.T) {
	l := library(t)
	k := key(t, 1024)
	k.Primes = []*big.Int{new(big.Int).Add(k.Primes[0], big.NewInt(2)), k.Primes[1]}
	s, err := l.Signer(k)
	if err != nil {
		return
	}
	sig, err := s.Sign(nil, digest[:], crypto.SHA256)
	if err == nil && rsa.VerifyPKCS1v15(&k.PublicKey, crypto.SHA256, digest[:], sig) == nil {
		t.Log("libcrypto signs without the primes")
	}
}

// A key that nobody holds any more is freed, and one that is held is not.
func TestKeysAreFreed(t *testing.T) {
	l := *library(t)
	freed := make(chan uintptr, 2)
	free := l.freeKey
	l.freeKey = purego.NewCallback(func(key uintptr) uintptr {
		purego.SyscallN(free, key)
		freed <- key
		return 0
	})
	k := key(t, 1024)
	held, err := l.Signer(k)
	if err != nil {
		t.Fatal(err)
	}
	forgotten := func() uintptr {
		s, err := l.Signer(k)
		if err != nil {
			t.Fatal(err)
		}
		return s.(*signer).key
	}()
	for range 1000 { // cleanups run some time after the collection
		runtime.GC()
		select {
		case key := <-freed:
			if key != forgotten {
				t.Fatal("a key in use was freed")
			}
			if _, err := held.Sign(nil, digest[:], crypto.SHA256); err != nil {
				t.Error(err)
			}
			return
		default:
			runtime.Gosched()
		}
	}
	t.Error("the key is held for ever")
}

func TestOpenWhatIsNone(t *testing.T) {
	for _, name := range []string{"libcrypto.so.of-no-host", "libc.so.6"} {
		if l, err := open(name); err == nil || l != nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		} else if errors.Is(err, ErrLeftOut) {
			t.Errorf("%s: %v is another matter", name, err)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	k := key(b, 2048)
	s, err := library(b).Signer(k)
	if err != nil {
		b.Fatal(err)
	}
	for name, s := range map[string]crypto.Signer{"libcrypto": s, "crypto-rsa": k} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
