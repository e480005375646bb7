package pop3

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tenma/bench/internet/fakenet"
	"tenma/relay/door"
	"tenma/relay/wire/sasl"
	"tenma/relay/wire/smtp"
)

// Addresses of the story.
const (
	here     = "192.0.2.1:110"
	hereTLS  = "192.0.2.1:995"
	somebody = "198.51.100.7"
)

// world is a server in a bubble, with everything around it fake but the store.
type world struct {
	t   testing.TB
	net *fakenet.Net
	srv *Server
	box *box // ann's
	log bytes.Buffer

	mu     sync.Mutex
	scrams []string // what ScramDone heard
	writes int      // to sockets

	cancel  context.CancelFunc
	done    chan error
	stopped bool
}

type option func(*Config, *Deps)

// inWorld runs story in a bubble with a running server, and then stops it. A
// goroutine that is left fails the test: the bubble does not end.
func inWorld(t *testing.T, story func(*testing.T, *world), opts ...option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, opts...)
		story(t, w)
		w.stop()
	})
}

func newWorld(t testing.TB, opts ...option) *world {
	w := &world{t: t, net: fakenet.New(), done: make(chan error, 1)}
	cfg := Config{Hostname: "mx.test", Listeners: []Listener{
		{Address: here, TLS: door.TLSStart}, {Address: hereTLS, TLS: door.TLSImplicit},
	}}
	deps := Deps{
		Auth: w, TLS: serverTLS(t), Listen: w.listen,
		Log: slog.New(slog.NewTextHandler(lockedWriter{w}, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	_, bench := t.(*testing.B)
	w.box = newBox(t, !bench)
	deps.Mailboxes = w.box.store
	for _, o := range opts {
		o(&cfg, &deps)
	}
	w.srv = New(cfg, deps)
	w.box.open = w.srv.open
	w.srv.open = w.box.openFaulty
	if err := w.srv.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w.cancel = cancel
	go func() { w.done <- w.srv.Run(ctx) }()
	return w
}

// stop comes once, whoever calls it.
func (w *world) stop() {
	if w.stopped {
		return
	}
	w.stopped = true
	w.cancel()
	if err := <-w.done; err != nil {
		w.t.Errorf("Run: %v", err)
	}
	w.box.close()
}

// lockedWriter is the program log.
type lockedWriter struct{ w *world }

func (l lockedWriter) Write(p []byte) (int, error) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	return l.w.log.Write(p)
}

func (w *world) logged(text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Contains(w.log.String(), text)
}

// Plain knows ann, whose password is "se cret"; nobody can judge busy; lost has
// an account and no mailbox.
func (w *world) Plain(ctx context.Context, client net.Addr, user, password string) (string, error) {
	switch {
	case sasl.WayOf(ctx).Listener == "" || sasl.WayOf(ctx).Mechanism == "":
		return "", errors.New("by which way?")
	case client.(*net.TCPAddr).IP.String() != somebody && !client.(*net.TCPAddr).IP.IsLoopback(): //nolint:forcetypeassert // a test
		return "", errors.New("who is that?")
	case user == "busy":
		return "", smtp.Errorf(454, smtp.Status{4, 7, 0}, "try later")
	case user == "banned":
		return "", smtp.Errorf(535, smtp.Status{5, 7, 8}, "go away")
	case user == "ann" && password == "se cret", user == "lost":
		return user + "@ours.test", nil
	}
	return "", errors.New("wrong password")
}

func (w *world) ScramSHA256(user string) (sasl.ScramKeys, bool, error) {
	return scramKeys("se cret"), user == "ann", nil
}

func (w *world) ScramDone(_ context.Context, _ net.Addr, user string, good bool) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scrams = append(w.scrams, fmt.Sprint(user, " ", good))
	if !good {
		return "", errors.New("wrong proof")
	}
	return user + "@ours.test", nil
}

// scramKeys follows RFC 5802 section 3.
func scramKeys(password string) sasl.ScramKeys {
	k := sasl.ScramKeys{Salt: []byte("salt"), Iterations: 4096}
	salted, err := pbkdf2.Key(sha256.New, password, k.Salt, k.Iterations, sha256.Size)
	if err != nil {
		panic(err)
	}
	mac := func(text string) []byte {
		m := hmac.New(sha256.New, salted)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	stored := sha256.Sum256(mac("Client Key"))
	k.StoredKey, k.ServerKey = stored[:], mac("Server Key")
	return k
}

// listen counts the writes on each accepted connection.
func (w *world) listen(network, address string) (net.Listener, error) {
	l, err := w.net.Listen(network, address)
	return countingListener{l, w}, err
}

type countingListener struct {
	net.Listener
	w *world
}

func (l countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countingConn{c, l.w}, nil
}

type countingConn struct {
	net.Conn
	w *world
}

func (c countingConn) Write(p []byte) (int, error) {
	c.w.mu.Lock()
	c.w.writes++
	c.w.mu.Unlock()
	return c.Conn.Write(p)
}

func (c countingConn) CloseWrite() error {
	return c.Conn.(interface{ CloseWrite() error }).CloseWrite()
}

// client is the other end of a session.
type client struct {
	net.Conn
	r *bufio.Reader
	w *world
	t testing.TB
}

func (w *world) dial(to string) *client {
	w.t.Helper()
	c, err := w.net.Dial(w.t.Context(), netip.MustParseAddr(somebody), netip.MustParseAddrPort(to))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	return &client{c, bufio.NewReader(c), w, w.t}
}

// plain is a session in clear, secure one under TLS, login one of ann's, each
// greeted.
func (w *world) plain() *client {
	w.t.Helper()
	c := w.dial(here)
	c.want("+OK mx.test POP3 server ready")
	return c
}

func (w *world) secure() *client {
	w.t.Helper()
	c := w.dial(hereTLS)
	c.handshake()
	c.want("+OK mx.test POP3 server ready")
	return c
}

func (w *world) login() *client {
	w.t.Helper()
	c := w.secure()
	c.ask("USER ann", "+OK...")
	c.ask("PASS se cret", "+OK...")
	return c
}

func (c *client) handshake() {
	c.t.Helper()
	t := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test
	if err := t.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.Conn, c.r = t, bufio.NewReader(t)
}

func (c *client) raw(text string) {
	c.t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		c.t.Errorf("saying %.80q: %v", text, err)
	}
}

// line gives a line of the server's without its end; "" at the end.
func (c *client) line() string {
	text, err := c.r.ReadString('\n')
	if err != nil {
		return ""
	}
	line, ok := strings.CutSuffix(text, "\r\n")
	if !ok {
		c.t.Errorf("line without CRLF: %q", text)
	}
	return line
}

// want checks the next lines: whole, or up to "...". "V" before a dot is the
// UIDVALIDITY.
func (c *client) want(lines ...string) {
	c.t.Helper()
	for _, want := range lines {
		got := c.line()
		if strings.Contains(want, "V.") {
			want = strings.ReplaceAll(want, "V.", fmt.Sprint(c.w.box.validity(), "."))
		}
		prefix, cut := strings.CutSuffix(want, "...")
		if got != want && !(cut && got != "" && strings.HasPrefix(got, prefix)) {
			c.t.Fatalf("the server says %q, want %q", got, want)
		}
	}
}

func (c *client) ask(line string, want ...string) {
	c.t.Helper()
	c.raw(line + "\r\n")
	c.want(want...)
}

// gone wants the end.
func (c *client) gone() {
	c.t.Helper()
	if line, err := c.r.ReadString('\n'); err == nil || line != "" {
		c.t.Fatalf("the server goes on: %q", line)
	}
	_ = c.Close()
}

// talk plays a dialogue: lines that begin with "C: " are said, those that begin
// with "S: " wanted. TLS begins it, GONE wants the end.
func (c *client) talk(dialogue string) {
	c.t.Helper()
	for _, l := range strings.Split(dialogue, "\n") {
		l = strings.TrimLeft(l, "\t")
		switch who, text, _ := strings.Cut(l, ": "); who {
		case "":
		case "TLS":
			c.handshake()
		case "GONE":
			c.gone()
		case "C":
			c.raw(text + "\r\n")
		case "S":
			c.want(text)
		case "S::": // an empty line
			c.want("")
		default:
			c.t.Fatalf("dialogue: %q", l)
		}
	}
}

func serverTLS(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mx.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"mx.test"},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}
