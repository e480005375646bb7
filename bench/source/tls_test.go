package source

import (
	"bufio"
	"crypto/tls"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"tenma/bench/internet"
	"tenma/bench/internet/fakenet"
)

// Implicit TLS, with the server's certificate verified against a CA's: its
// name must fit.
func TestImplicitTLS(t *testing.T) {
	for words, why := range map[string]string{
		"":                    "",
		"name=mx.test ca":     "",
		"name=other.test ca":  "certificate is valid for mx.test, not other.test",
		"name=mx.test verify": "certificate",
	} {
		synctest.Test(t, func(t *testing.T) {
			config := internet.SelfSigned("mx.test")
			path := filepath.Join(t.TempDir(), "ca.pem")
			block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: config.Certificates[0].Certificate[0]})
			if err := os.WriteFile(path, block, 0o600); err != nil {
				t.Fatal(err)
			}
			sv := &server{net: fakenet.New()}
			l, err := sv.net.Listen("tcp", at)
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					wg.Go(func() {
						defer c.Close()
						s := tls.Server(c, config)
						if s.Handshake() != nil {
							return
						}
						s.Write([]byte("220 hi\r\n"))
						answers([][2]string{{"EHLO", "250 x"}, {"DATA", "354 go"}, {"", "250 ok"}}, nil)(s, bufio.NewScanner(s))
					})
				}
			})
			s := sv.source(t, "sessions=2 count=10 per-session=2 size=40KiB tls=implicit "+strings.ReplaceAll(words, " ca", " ca="+path))
			r, err := s.Run(t.Context())
			if why == "" && (err != nil || r.Accepted != 10) || why != "" && (err == nil || !strings.Contains(err.Error(), why)) {
				t.Errorf("%s: accepted %d: %v", words, r.Accepted, err)
			}
			l.Close()
			wg.Wait()
		})
	}
}
