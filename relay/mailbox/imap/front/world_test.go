package front_test

import (
	"bufio"
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
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
	"go.uber.org/goleak"

	"tenma/bench/internet/fakenet"
	"tenma/relay/door"
	"tenma/relay/mailbox/imap/front"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	here   = "192.0.2.1:143"
	client = "198.51.100.7"
)

// world is a door, a front and the library with its own backend, in a bubble.
type world struct {
	t      *testing.T
	net    *fakenet.Net
	door   door.Config
	front  front.Config
	memory *imapmemserver.Server
	limit  int64 // of APPEND
	log    log   // of the door

	// What the sessions of the tests do, where it is not what nothing does.
	handle   func(s *session, w *front.Writer, cmd *front.Command) string
	rewrite  func(cmd *front.Command) string
	response func(cmd *front.Command, line []byte) []byte
	caps     func(caps []string, loggedIn bool) []string
	idle     func(s *session)

	mu       sync.Mutex
	logins   []string // "user password", good or bad
	appended []string // whole messages
	cut      int      // messages that were not
	closed   int      // sessions
	writes   int      // to the socket
	said     []string // what the library logged

	cancel context.CancelFunc
	done   chan error
}

// log keeps what is written to it.
type log struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) lines(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), part)
}

func (w *world) Printf(format string, v ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, fmt.Sprintf(format, v...))
}

// session is the library's and the front's.
type session struct {
	imapserver.Session
	w    *world
	conn *front.Conn

	idling atomic.Bool // Idle has not returned
}

func (s *session) Login(user, password string) error {
	s.w.mu.Lock()
	s.w.logins = append(s.w.logins, user+" "+password)
	s.w.mu.Unlock()
	return s.Session.Login(user, password)
}

// Delete refuses with a text that is the client's.
func (s *session) Delete(name string) error {
	return &imap.Error{Type: imap.StatusResponseTypeNo, Text: name}
}

func (s *session) Append(mailbox string, r imap.LiteralReader, o *imap.AppendOptions) (*imap.AppendData, error) {
	body, err := io.ReadAll(r)
	s.w.mu.Lock()
	if err != nil {
		s.w.cut++
	} else {
		s.w.appended = append(s.w.appended, string(body))
	}
	s.w.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return s.Session.Append(mailbox, &literal{strings.NewReader(string(body))}, o)
}

type literal struct{ *strings.Reader }

func (l *literal) Size() int64 { return l.Reader.Size() }

// Idle takes a while to stop, which the library must wait for.
func (s *session) Idle(w *imapserver.UpdateWriter, stop <-chan struct{}) error {
	s.idling.Store(true)
	defer s.idling.Store(false)
	if s.w.idle != nil {
		s.w.idle(s)
	}
	err := s.Session.Idle(w, stop)
	<-stop
	time.Sleep(time.Millisecond)
	return err
}

func (s *session) Close() error {
	s.w.mu.Lock()
	s.w.closed++
	if s.idling.Load() {
		s.w.t.Error("a session is closed while its Idle runs")
	}
	s.w.mu.Unlock()
	return s.Session.Close()
}

func (s *session) Handle(w *front.Writer, cmd *front.Command) string {
	if s.w.handle == nil {
		return "OK " + cmd.Name + " <" + cmd.Args + ">"
	}
	return s.w.handle(s, w, cmd)
}

func (s *session) Rewrite(cmd *front.Command) string {
	if s.w.rewrite == nil {
		return ""
	}
	return s.w.rewrite(cmd)
}

func (s *session) Response(cmd *front.Command, line []byte) []byte {
	if s.w.response == nil {
		return line
	}
	return s.w.response(cmd, line)
}

func (s *session) Capabilities(caps []string, loggedIn bool) []string {
	if s.w.caps == nil {
		return caps
	}
	return s.w.caps(caps, loggedIn)
}

func (s *session) AppendLimit() int64 { return s.w.limit }

// inWorld runs story in a bubble; what is left of it fails the test.
func inWorld(t *testing.T, story func(*testing.T, *world), edits ...func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, net: fakenet.New(), memory: imapmemserver.New(), limit: 1 << 20, done: make(chan error, 1)}
		w.door = door.Config{Name: here, Protocol: "imap", TLS: serverTLS(t), Mode: door.TLSStart, Log: slog.New(slog.NewTextHandler(&w.log, nil))}
		w.front = front.Config{
			Hostname: "mx.test", Log: slog.New(slog.DiscardHandler),
			Own: map[string]bool{"ID": true, "GETQUOTA": false, "FETCH": false, "UID SORT": false},
		}
		for _, edit := range edits {
			edit(w)
		}
		user := imapmemserver.NewUser("ann", "secret")
		if err := user.Create("INBOX", nil); err != nil {
			t.Fatal(err)
		}
		w.memory.AddUser(user)
		w.serve(story)
	})
}

func (w *world) serve(story func(*testing.T, *world)) {
	t := w.t
	inner, err := w.net.Listen("tcp", here)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w.cancel = cancel
	fronts := front.NewListener(inner.Addr())
	library := imapserver.New(&imapserver.Options{NewSession: w.newSession, InsecureAuth: true, Logger: w})
	served := make(chan error)
	go func() { served <- library.Serve(fronts) }()
	go func() {
		w.done <- door.New(counting{inner, w}, w.door).Serve(ctx, func(_ context.Context, c *door.Conn) {
			fronts.Serve(front.New(c, &w.front))
		})
	}()
	defer func() { // also after a Fatal
		cancel()
		if err := <-w.done; err != nil {
			t.Errorf("door: %v", err)
		}
		_ = fronts.Close()
		if err := <-served; err != nil {
			t.Errorf("library: %v", err)
		}
		for _, line := range w.said {
			t.Errorf("the library logged: %.300s", line)
		}
	}()
	story(t, w)
}

func (w *world) newSession(c *imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
	s := &session{Session: w.memory.NewSession(), w: w}
	s.conn, _ = c.NetConn().(*front.Conn)
	s.conn.Attach(s)
	return s, nil, nil
}

// counting counts the writes of what it accepts.
type counting struct {
	net.Listener
	w *world
}

func (l counting) Accept() (net.Conn, error) {
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

// peer is the other end of a conversation.
type peer struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

// dial connects without a word.
func (w *world) dial() *peer {
	w.t.Helper()
	nc, err := w.net.Dial(w.t.Context(), netip.MustParseAddr(client), netip.MustParseAddrPort(here))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = nc.Close() })
	return &peer{nc, w.t, bufio.NewReader(nc)}
}

// secure connects and begins TLS.
func (w *world) secure() *peer {
	w.t.Helper()
	p := w.dial()
	p.want("* OK [CAPABILITY")
	if w.door.Mode == door.TLSStart {
		p.ask("t STARTTLS", "t OK")
		p.tls()
	}
	return p
}

// login is secure with ann logged in.
func (w *world) login() *peer {
	w.t.Helper()
	p := w.secure()
	p.ask("l LOGIN ann secret", "l OK")
	return p
}

// inbox is login with the INBOX selected.
func (w *world) inbox() *peer {
	w.t.Helper()
	p := w.login()
	p.raw("s SELECT INBOX\r\n")
	p.until("s OK")
	return p
}

func (p *peer) tls() {
	p.t.Helper()
	t := tls.Client(p.Conn, &tls.Config{InsecureSkipVerify: true})
	if err := t.Handshake(); err != nil {
		p.t.Fatal(err)
	}
	p.Conn, p.r = t, bufio.NewReader(t)
}

// raw sends octets as they are.
func (p *peer) raw(s string) {
	p.t.Helper()
	if _, err := io.WriteString(p, s); err != nil {
		p.t.Fatalf("sending %.60q: %v", s, err)
	}
}

// line reads one line; "" is the end of the connection.
func (p *peer) line() string {
	p.t.Helper()
	_ = p.SetReadDeadline(time.Now().Add(24 * time.Hour))
	line, err := p.r.ReadString('\n')
	if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		p.t.Fatal("no line for a day")
	}
	if err == nil && !strings.HasSuffix(line, "\r\n") {
		p.t.Errorf("line without CRLF: %q", line)
	}
	return strings.TrimRight(line, "\r\n")
}

// want reads one line for each prefix.
func (p *peer) want(prefixes ...string) (line string) {
	p.t.Helper()
	for _, prefix := range prefixes {
		if line = p.line(); !strings.HasPrefix(line, prefix) {
			p.t.Fatalf("heard %q, want %q", line, prefix)
		}
	}
	return line
}

// until reads lines up to one with the prefix, and gives them all.
func (p *peer) until(prefix string) (lines []string) {
	p.t.Helper()
	for {
		l := p.line()
		if lines = append(lines, l); strings.HasPrefix(l, prefix) {
			return lines
		}
		if l == "" {
			p.t.Fatalf("heard %q, want %q", lines, prefix)
		}
	}
}

// ask sends a line and wants lines.
func (p *peer) ask(line string, prefixes ...string) string {
	p.t.Helper()
	p.raw(line + "\r\n")
	return p.want(prefixes...)
}

// gone checks that the server has closed.
func (p *peer) gone() {
	p.t.Helper()
	if l := p.line(); l != "" {
		p.t.Fatalf("heard %q, want the end of the connection", l)
	}
}

// wantLogins checks whose passwords the session has seen.
func (w *world) wantLogins(want ...string) {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.logins, want) {
		w.t.Errorf("logins %q, want %q", w.logins, want)
	}
}

// wantAppended checks the messages that arrived, and how many were cut off.
func (w *world) wantAppended(cut int, bodies ...string) {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.appended, bodies) || w.cut != cut {
		w.t.Errorf("appended %.200q and %d cut off, want %.200q and %d", w.appended, w.cut, bodies, cut)
	}
}

func serverTLS(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mx.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(240 * time.Hour), DNSNames: []string{"mx.test"},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}
