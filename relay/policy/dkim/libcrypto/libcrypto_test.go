//go:build linux && !android && !static && (amd64 || arm64)

package libcrypto

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"testing"
)

func BenchmarkSign(b *testing.B) {
	k, _ := rsa.GenerateKey(rand.Reader, 2048)
	l, err := Open()
	if err != nil {
		b.Skip(err)
	}
	b.Log(l.Version())
	s, err := l.Signer(k)
	if err != nil {
		b.Fatal(err)
	}
	d := sha256.Sum256([]byte("x"))
	for name, s := range map[string]crypto.Signer{"libcrypto": s, "crypto-rsa": k} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Sign(nil, d[:], crypto.SHA256); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"-parallel", func(b *testing.B) {
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if _, err := s.Sign(nil, d[:], crypto.SHA256); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
