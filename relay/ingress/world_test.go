package ingress_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
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
	"tenma/relay/ingress"
	"tenma/relay/mail"
	"tenma/relay/wire/sasl"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// Addresses of the story: we, a stranger, one of our own network.
const (
	here     = "192.0.2.1:25"
	stranger = "198.51.100.7"
	friend   = "10.0.0.9"
)

// message is what the fake intake got.
type message struct {
	env  *mail.Envelope
	body string
}

// world is a server in a bubble with everything around it fake.
type world struct {
	t   *testing.T
	net *fakenet.Net
	srv *ingress.Server
	cfg ingress.Config

	mu     sync.Mutex
	got    []message
	events []*mail.Event
	scrams []string       // what ScramDone heard
	writes map[string]int // writes to the socket, by client address

	accept func(ctx context.Context, e *mail.Envelope, body io.WriterTo) error // nil: read it all

	cancel context.CancelFunc
	done   chan error
}

func (w *world) Accept(ctx context.Context, e *mail.Envelope, body io.WriterTo) (spool.ID, error) {
	if w.accept != nil {
		if err := w.accept(ctx, e, body); err != nil {
			return spool.ID{}, err
		}
		return spool.ID{1}, nil
	}
	var b bytes.Buffer
	if _, err := body.WriteTo(&b); err != nil {
		return spool.ID{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got = append(w.got, message{e, b.String()})
	return spool.ID{1}, nil
}

func (w *world) messages() []message {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.got
}

// Recipient knows two mailboxes of ours.test.
func (w *world) Recipient(a smtp.Address, trusted bool) error {
	switch {
	case a.Domain == "ours.test" && (a.Local == "ann" || a.Local == "bob" || a.Local == "ü" || a.Local == "user@other.test"):
		return nil
	case a.Domain == "ours.test":
		return smtp.Errorf(550, smtp.Status{5, 1, 1}, "no such mailbox")
	case trusted:
		return nil
	}
	return smtp.Errorf(550, smtp.Status{5, 7, 1}, "relaying denied")
}

func (w *world) Record(e *mail.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// Plain knows ann, whose password is secret; busy answers for itself.
func (w *world) Plain(ctx context.Context, _ net.Addr, user, password string) (string, error) {
	switch {
	case sasl.WayOf(ctx).Listener == "" || sasl.WayOf(ctx).Mechanism == "":
		return "", errors.New("by which way?")
	case user == "busy":
		return "", smtp.Errorf(454, smtp.Status{4, 7, 0}, "try later")
	case user == "ann" && password == "secret":
		return "ann", nil
	}
	return "", errors.New("no")
}

type option func(*ingress.Config, *ingress.Deps)

func listener(edit func(*ingress.Listener)) option {
	return func(c *ingress.Config, _ *ingress.Deps) { edit(&c.Listeners[0]) }
}

func limits(edit func(*ingress.Limits)) option {
	return func(c *ingress.Config, _ *ingress.Deps) { edit(&c.Limits) }
}

// inWorld runs story in a bubble with a running server, and then stops it. A
// goroutine that is left fails the test: the bubble does not end.
func inWorld(t *testing.T, story func(*testing.T, *world), opts ...option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, net: fakenet.New(), writes: map[string]int{}, done: make(chan error, 1)}
		w.cfg = ingress.Config{
			Hostname: "mx.test",
			Listeners: []ingress.Listener{{
				Address: here, TLS: ingress.TLSStart, Auth: ingress.AuthOption,
				RelayFrom: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
			}},
		}
		deps := ingress.Deps{
			Intake: w, Directory: w, Auth: w, Record: w, TLS: serverTLS(t),
			Log: slog.New(slog.DiscardHandler), Listen: w.listen,
		}
		for _, o := range opts {
			o(&w.cfg, &deps)
		}
		w.srv = ingress.New(w.cfg, deps)
		if err := w.srv.Listen(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		w.cancel = cancel
		go func() { w.done <- w.srv.Run(ctx) }()
		story(t, w)
		w.cancel()
		if err := <-w.done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
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
	c.w.writes[c.RemoteAddr().String()]++
	c.w.mu.Unlock()
	return c.Conn.Write(p)
}

func (w *world) writesTo(c *client) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writes[c.LocalAddr().String()]
}

// client is the other end of a conversation.
type client struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

// dial connects without a word.
func (w *world) dial(from string) *client {
	w.t.Helper()
	to := netip.MustParseAddrPort(w.cfg.Listeners[0].Address)
	nc, err := w.net.Dial(w.t.Context(), netip.MustParseAddr(from), to)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = nc.Close() })
	return &client{Conn: nc, t: w.t, r: bufio.NewReader(nc)}
}

// hello connects and says EHLO.
func (w *world) hello(from string) *client {
	w.t.Helper()
	c := w.dial(from)
	c.want("220 mx.test")
	c.ask("EHLO client.test", "250")
	return c
}

// raw sends octets as they are.
func (c *client) raw(s string) {
	c.t.Helper()
	if _, err := c.Write([]byte(s)); err != nil {
		c.t.Fatalf("sending %.60q: %v", s, err)
	}
}

// reply reads one reply, its lines joined by "\n"; "" at the end of the
// connection.
func (c *client) reply() string {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(24 * time.Hour))
	var lines []string
	for {
		l, err := c.r.ReadString('\n')
		if err != nil {
			if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
				c.t.Fatal("no reply for a day")
			}
			return strings.Join(append(lines, l), "\n")
		}
		if !strings.HasSuffix(l, "\r\n") {
			c.t.Errorf("reply line without CRLF: %q", l)
		}
		l = strings.TrimRight(l, "\r\n")
		lines = append(lines, l)
		if len(l) < 4 || l[3] != '-' {
			return strings.Join(lines, "\n")
		}
	}
}

// want reads one reply for each prefix.
func (c *client) want(prefixes ...string) string {
	c.t.Helper()
	var r string
	for _, p := range prefixes {
		if r = c.reply(); !strings.HasPrefix(r, p) {
			c.t.Fatalf("reply %q, want %q", r, p)
		}
	}
	return r
}

// gone checks that the server has closed.
func (c *client) gone() {
	c.t.Helper()
	if r := c.reply(); r != "" {
		c.t.Fatalf("reply %q, want the end of the connection", r)
	}
}

// ask sends a line and wants replies.
func (c *client) ask(line string, prefixes ...string) string {
	c.t.Helper()
	c.raw(line + "\r\n")
	return c.want(prefixes...)
}

// envelope begins a message to ann.
func (c *client) envelope() {
	c.t.Helper()
	c.ask("MAIL FROM:<x@far.test>", "250 2.1.0")
	c.ask("RCPT TO:<ann@ours.test>", "250 2.1.5")
}

// startTLS goes on through TLS.
func (c *client) startTLS() {
	c.t.Helper()
	c.ask("STARTTLS", "220")
	c.handshake()
}

func (c *client) handshake() {
	c.t.Helper()
	t := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test
	if err := t.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.Conn, c.r = t, bufio.NewReader(t)
}

// secure is hello through TLS.
func (w *world) secure(from string) *client {
	w.t.Helper()
	c := w.hello(from)
	c.startTLS()
	c.ask("EHLO client.test", "250")
	return c
}

func serverTLS(t *testing.T) *tls.Config {
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

// wantMessages checks the bodies that arrived, in order.
func (w *world) wantMessages(bodies ...string) {
	w.t.Helper()
	got := w.messages()
	if len(got) != len(bodies) {
		w.t.Fatalf("%d messages, want %d: %v", len(got), len(bodies), got)
	}
	for i, b := range bodies {
		if got[i].body != b {
			w.t.Errorf("message %d is %.80q, want %.80q", i, got[i].body, b)
		}
	}
}

func bdat(chunk string, last bool) string {
	word := ""
	if last {
		word = " LAST"
	}
	return fmt.Sprintf("BDAT %d%s\r\n%s", len(chunk), word, chunk)
}
