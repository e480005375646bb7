package imap_test

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
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tenma/bench/internet/fakenet"
	"tenma/relay/door"
	"tenma/relay/mail"
	"tenma/relay/mailbox"
	"tenma/relay/mailbox/imap"
	"tenma/relay/wire/sasl"
	"tenma/relay/wire/smtp"
)

const here = "192.0.2.1:993"

// people is a Resolver and Authenticator: everybody exists, and the password is
// "secret"; busy cannot be judged, full has a quota of 10,000 octets.
type people struct{}

func (people) Resolve(a smtp.Address) []smtp.Address { return []smtp.Address{a} }

func (people) Settings(a smtp.Address) (mail.Settings, bool) {
	if a.Local == "full" {
		return mail.Settings{Quota: 10_000}, true
	}
	return mail.Settings{}, true
}

func (people) Accounts(func(smtp.Address) bool) {}

func (people) Plain(ctx context.Context, _ net.Addr, user, password string) (string, error) {
	switch {
	case sasl.WayOf(ctx).Listener != here || sasl.WayOf(ctx).Mechanism == "":
		return "", errors.New("by which way?")
	case user == "busy":
		return "", smtp.Errorf(454, smtp.Status{4, 7, 0}, "try later")
	case password == "secret":
		return user + "@b.test", nil
	}
	return "", errors.New("no")
}

func (people) ScramSHA256(string) (sasl.ScramKeys, bool, error) {
	return sasl.ScramKeys{Salt: []byte("salt"), Iterations: 4096, StoredKey: make([]byte, 32), ServerKey: make([]byte, 32)}, false, nil
}

func (people) ScramDone(context.Context, net.Addr, string, bool) (string, error) {
	return "", errors.New("no")
}

// world is a server in a bubble with its store.
type world struct {
	t     testing.TB
	net   *fakenet.Net
	store *mailbox.Store
	srv   *imap.Server
	conns map[string]*client
}

// inWorld runs story in a bubble with a running server, and then stops it. A
// goroutine that is left fails the test: the bubble does not end.
func inWorld(t *testing.T, story func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, net: fakenet.New(), conns: map[string]*client{}}
		var err error
		w.store, err = mailbox.New(mailbox.Config{Dir: "/boxes"}, mailbox.Deps{Resolver: people{}, FS: vfs.NewMem(), Bubble: true, MemTable: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		cfg := imap.Config{
			Hostname: "imap.test", MessageSize: 1 << 20, Version: "1", MaxTransfer: 50,
			Listeners: []imap.Listener{{Address: here, TLS: door.TLSImplicit}},
		}
		w.srv = imap.New(cfg, imap.Deps{
			Mailboxes: w.store, Auth: people{}, TLS: serverTLS(t), Log: testLog(t), Listen: w.net.Listen,
		})
		if err := w.srv.Listen(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		storeCtx, stopStore := context.WithCancel(context.Background())
		served, stored := make(chan error, 1), make(chan error, 1)
		go func() { stored <- w.store.Run(storeCtx) }()
		go func() { served <- w.srv.Run(ctx) }()
		defer func() { // also after a Fatal
			for _, c := range w.conns {
				_ = c.Close()
			}
			cancel()
			if err := <-served; err != nil {
				t.Errorf("Run: %v", err)
			}
			stopStore()
			if err := <-stored; err != nil {
				t.Errorf("store: %v", err)
			}
			if err := w.store.Close(); err != nil {
				t.Errorf("closing the store: %v", err)
			}
		}()
		story(w)
	})
}

// testLog fails the test if there is a panic.
func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(logWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

type logWriter struct{ t testing.TB }

func (w logWriter) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "panic") {
		w.t.Errorf("log: %s", p)
	} else {
		w.t.Logf("log: %s", p)
	}
	return len(p), nil
}

// client is the other end of a conversation.
type client struct {
	net.Conn
	r *bufio.Reader
}

func (w *world) dial() *client {
	w.t.Helper()
	nc, err := w.net.Dial(context.Background(), netip.MustParseAddr("198.51.100.7"), netip.MustParseAddrPort(here))
	if err != nil {
		w.t.Fatal(err)
	}
	_ = nc.SetDeadline(time.Now().Add(24 * time.Hour))
	tc := tls.Client(nc, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test
	return &client{tc, bufio.NewReader(tc)}
}

func (c *client) line() (string, error) {
	l, err := c.r.ReadString('\n')
	if err != nil {
		return l, err
	}
	if !strings.HasSuffix(l, "\r\n") {
		return l, fmt.Errorf("line without CRLF: %q", l)
	}
	return strings.TrimSuffix(l, "\r\n"), nil
}

// ask sends a command and gives all lines up to its tagged response.
func (c *client) ask(tag, command string) ([]string, error) {
	if _, err := c.Write([]byte(tag + " " + command + "\r\n")); err != nil {
		return nil, err
	}
	var lines []string
	for {
		l, err := c.line()
		if err != nil {
			return lines, err
		}
		lines = append(lines, l)
		if strings.HasPrefix(l, tag+" ") {
			return lines, nil
		}
	}
}

// login connects as user.
func (w *world) login(user string) *client {
	w.t.Helper()
	c := w.dial()
	if l, err := c.line(); err != nil || !strings.HasPrefix(l, "* OK ") {
		w.t.Fatalf("greeting %q, %v", l, err)
	}
	if lines, err := c.ask("login", "LOGIN "+user+" secret"); err != nil || !strings.HasPrefix(lines[len(lines)-1], "login OK ") {
		w.t.Fatalf("login: %q, %v", lines, err)
	}
	return c
}

func (w *world) put(account, folder, text string, flags ...string) {
	w.t.Helper()
	box, err := w.store.Open(account)
	if err != nil {
		w.t.Fatal(err)
	}
	defer box.Close()
	if _, _, err := box.Append(context.Background(), folder, mailbox.NewMessage{Size: int64(len(text)), Body: strings.NewReader(text), Flags: flags}); err != nil {
		w.t.Fatal(err)
	}
}

// TestDialogues plays the conversations in testdata. Their lines:
//
//	C: TEXT      client 1 sends TEXT and CRLF; "2C:" is client 2
//	C- TEXT      sends it without CRLF
//	S: TEXT      the next line of the server is TEXT; <n> stands for a number,
//	             <any> for anything
//	S ...        its next lines are passed over, up to the one that follows here
//	EOF          the connection is at its end
//	CONNECT      connects; LOGIN USER also reads the greeting and logs in
//	PUT MAILBOX FLAGS...   brings a message to ann: the lines behind "| "
//
// Other lines are comments.
func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no dialogues", err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			inWorld(t, func(w *world) { w.dialogue(string(text)) })
		})
	}
}

func (w *world) dialogue(text string) {
	w.t.Helper()
	lines := strings.Split(text, "\n")
	skip := false
	for i := 0; i < len(lines); i++ {
		who := "1"
		line := lines[i]
		if len(line) > 1 && line[0] >= '1' && line[0] <= '9' && strings.ContainsAny(line[1:2], "CSEL ") {
			who, line = line[:1], strings.TrimPrefix(line[1:], " ")
		}
		verb, rest, _ := strings.Cut(line, " ")
		fail := func(format string, args ...any) {
			w.t.Helper()
			w.t.Fatalf("line %d: %s: %s", i+1, line, fmt.Sprintf(format, args...))
		}
		c := w.conns[who]
		switch verb {
		case "C:", "C-":
			if verb == "C:" {
				rest += "\r\n"
			}
			if _, err := c.Write([]byte(rest)); err != nil {
				fail("%v", err)
			}
		case "S":
			skip = true
		case "S:":
			for {
				got, err := c.line()
				if err != nil {
					fail("got %q, %v", got, err)
				}
				if matches(rest, got) {
					break
				}
				if !skip {
					fail("got\n%s", got)
				}
			}
			skip = false
		case "EOF":
			if got, err := c.line(); err == nil {
				fail("got %q", got)
			}
		case "CONNECT":
			w.conns[who] = w.dial()
		case "LOGIN":
			w.conns[who] = w.login(rest)
		case "PUT":
			words := strings.Fields(rest)
			var msg strings.Builder
			for ; i+1 < len(lines) && strings.HasPrefix(lines[i+1], "|"); i++ {
				msg.WriteString(strings.TrimPrefix(strings.TrimPrefix(lines[i+1], "|"), " ") + "\r\n")
			}
			w.put("ann@b.test", words[0], msg.String(), words[1:]...)
		}
	}
}

func matches(pattern, line string) bool {
	if pattern == line {
		return true
	}
	p := regexp.QuoteMeta(pattern)
	p = strings.ReplaceAll(p, "<n>", "[0-9]+")
	p = strings.ReplaceAll(p, "<any>", ".*")
	return regexp.MustCompile("^" + p + "$").MatchString(line)
}

func serverTLS(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "imap.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"imap.test"},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}
