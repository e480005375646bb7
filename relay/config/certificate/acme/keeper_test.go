package acme

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"tenma/relay/config"
	"tenma/relay/config/certificate"
)

// logged is a log that can be waited for.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // capacity 1
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default:
	}
	return l.text.Write(p)
}

func (l *logged) await(t *testing.T, want string) {
	t.Helper()
	for {
		l.mu.Lock()
		text := l.text.String()
		l.mu.Unlock()
		if strings.Contains(text, want) {
			return
		}
		select {
		case <-l.more:
		case <-t.Context().Done():
			t.Fatal(text)
		}
	}
}

func rig(t *testing.T, s config.ACME) (*Keeper, *certificate.Pair, *logged) {
	t.Helper()
	dir := t.TempDir()
	l := &logged{more: make(chan struct{}, 1)}
	log := slog.New(slog.NewTextHandler(l, nil))
	pair, err := certificate.Open(config.TLS{Certificate: filepath.Join(dir, "c"), Key: filepath.Join(dir, "k"), SelfSigned: true}, "mx.test", log)
	if err != nil {
		t.Fatal(err)
	}
	s.Dir = filepath.Join(dir, "acme")
	return New(s, "mx.test", pair, log), pair, l
}

// Without a certificate, before Run, during it and after it, listeners show the
// self-signed one; a failure says what to do; and nothing runs on.
func TestAuthorityIsAway(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	refuses := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "not today", http.StatusForbidden)
	}))
	defer refuses.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: refuses.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	s := config.ACME{Names: []string{"mx.test"}, Directory: refuses.URL + "/dir", CA: ca, Challenge: config.ACMEHTTP, Address: "127.0.0.1:0"}
	k, pair, l := rig(t, s)
	self, err := pair.Get(nil)
	if err != nil {
		t.Fatal(err)
	}
	conn, other := net.Pipe()
	defer conn.Close()
	defer other.Close()
	shows := func(when string) {
		t.Helper()
		for _, name := range []string{"", "mx.test", "other.test"} {
			if c, err := k.Server().GetCertificate(&tls.ClientHelloInfo{ServerName: name, Conn: conn}); err != nil || c != self {
				t.Errorf("%s, %q: %v, %v", when, name, c, err)
			}
		}
		if !k.NotAfter().Equal(self.Leaf.NotAfter) {
			t.Errorf("%s: valid until %v", when, k.NotAfter())
		}
	}
	shows("before")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	l.await(t, "see that the name leads to this host")
	shows("during")
	s.Names = nil
	k.Apply(s)
	s.Names, s.CA = []string{"mx.test"}, filepath.Join(t.TempDir(), "none.pem")
	k.Apply(s)
	l.await(t, "correct [acme] and reload")
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	shows("after")
	if info, err := os.Stat(k.settings.Dir); err == nil && info.Mode().Perm() != 0o700 {
		t.Errorf("directory has mode %v", info.Mode())
	}
}

// Without names nothing is done, not even a directory made.
func TestOff(t *testing.T) {
	k, _, _ := rig(t, config.ACME{})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	stop()
	if err := <-ended; err != nil || k.state.Load() != nil {
		t.Errorf("without names something was done: %v", err)
	}
}

// A lock is one holder's at a time, and waiting for it ends with the context.
func TestLocks(t *testing.T) {
	s := newStore(t.TempDir())
	if err := s.Lock(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if err := s.Lock(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := s.Lock(ctx, "a"); err == nil {
		t.Error("a lock was given twice")
	}
	got := make(chan error)
	go func() { got <- s.Lock(t.Context(), "a") }()
	s.Unlock(t.Context(), "a")
	if err := <-got; err != nil {
		t.Error(err)
	}
}

// certmagic's log arrives in ours, with its fields and levels.
func TestLog(t *testing.T) {
	var b bytes.Buffer
	log := bridge(slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug})))
	log.With(zap.String("a", "1")).Warn("careful", zap.Duration("wait", time.Second), zap.Error(io.EOF))
	log.Info("step")
	for _, want := range []string{"level=WARN msg=\"acme: careful\" a=1 wait=1s error=EOF", "level=DEBUG msg=\"acme: step\""} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in %q", want, b.String())
		}
	}
	if bridge(slog.New(slog.NewTextHandler(&b, nil))).Check(zap.InfoLevel, "x") != nil {
		t.Error("steps are made up for a log that does not want them")
	}
}
