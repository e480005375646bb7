package door_test

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
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"tenma/bench/internet/fakenet"
	"tenma/relay/door"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	here    = "192.0.2.1:143"
	ann     = "198.51.100.7"
	neigh   = "198.51.100.8"
	carrier = "10.0.0.9" // a proxy
)

// world is a Door in a bubble. Its handler greets, then echoes lines; "tls"
// begins TLS.
type world struct {
	t      *testing.T
	net    *fakenet.Net
	door   *door.Door
	cfg    door.Config
	log    *log
	cancel context.CancelFunc
	done   chan error
}

// log keeps warnings.
type log struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

func (l *log) lines(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.String(), part)
}

func echo(ctx context.Context, c *door.Conn) {
	fmt.Fprintf(c, "hello %s\r\n", c.Client().Addr())
	var line []byte
	p := make([]byte, 100)
	for {
		n, err := c.Await(p, time.Now().Add(time.Hour))
		switch {
		case errors.Is(err, door.ErrDraining):
			fmt.Fprint(c, "bye\r\n")
			return
		case err != nil:
			return
		}
		line = append(line, p[:n]...)
		if c.TLS() == nil && door.LooksLikeTLS(line) {
			c.WrongTLS()
			return
		}
		if !bytes.HasSuffix(line, []byte("\n")) {
			continue
		}
		switch string(line) {
		case "tls\r\n":
			fmt.Fprint(c, "go\r\n")
			if c.StartTLS() != nil {
				return
			}
		case "panic\r\n":
			panic("as told")
		case "work\r\n":
			<-ctx.Done()
			return
		default:
			_, _ = c.Write(line)
		}
		line = line[:0]
	}
}

func inWorld(t *testing.T, story func(*testing.T, *world), edits ...func(*door.Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, net: fakenet.New(), log: &log{}, done: make(chan error, 1)}
		w.cfg = door.Config{
			Name: here, Protocol: "imap", TLS: serverTLS(t), Mode: door.TLSStart,
			Refusal: func(reason string) string { return "no: " + reason + "\r\n" },
			Log:     slog.New(slog.NewTextHandler(w.log, nil)),
		}
		for _, edit := range edits {
			edit(&w.cfg)
		}
		l, err := w.net.Listen("tcp", here)
		if err != nil {
			t.Fatal(err)
		}
		w.door = door.New(l, w.cfg)
		ctx, cancel := context.WithCancel(t.Context())
		w.cancel = cancel
		go func() { w.done <- w.door.Serve(ctx, echo) }()
		story(t, w)
		w.cancel()
		if err := <-w.done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if n := w.door.Open(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
		synctest.Wait()
	})
}

type client struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func (w *world) dial(from string) *client {
	w.t.Helper()
	nc, err := w.net.Dial(w.t.Context(), netip.MustParseAddr(from), netip.MustParseAddrPort(here))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = nc.Close() })
	return &client{nc, w.t, bufio.NewReader(nc)}
}

func (c *client) say(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatal(err)
	}
}

// hear reads a line and wants it to be s; "" is the end of the connection.
func (c *client) hear(s string) {
	c.t.Helper()
	line, _ := c.r.ReadString('\n')
	if got := strings.TrimSuffix(line, "\r\n"); got != s {
		c.t.Fatalf("heard %q, want %q", got, s)
	}
}

func (c *client) tls() {
	c.t.Helper()
	t := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
	if err := t.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.Conn, c.r = t, bufio.NewReader(t)
}

func implicit(c *door.Config) { c.Mode = door.TLSImplicit; c.PlainOnTLS = "use TLS\r\n" }

func TestEachClientHasItsOwnConversation(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.dial(ann), w.dial(neigh)
		a.hear("hello " + ann)
		b.hear("hello " + neigh)
		a.say("one\r\n")
		b.say("two\r\n")
		b.hear("two")
		a.hear("one")
		a.say("panic\r\n")
		a.hear("")
		b.say("still here\r\n")
		b.hear("still here")
		if w.log.lines("panic in a session") != 1 {
			t.Error("the panic is not in the log")
		}
	})
}

func TestLimits(t *testing.T) {
	registry := prometheus.NewRegistry()
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "refused"}, []string{"listener", "reason"})
	sessions := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "sessions"}, []string{"listener"})
	registry.MustRegister(refused, sessions)
	inWorld(t, func(t *testing.T, w *world) {
		a := w.dial(ann)
		a.hear("hello " + ann)
		w.dial(ann).hear("hello " + ann)
		w.dial(ann).hear("no: address")
		w.dial(neigh).hear("hello " + neigh)
		w.dial(neigh).hear("no: total")
		if got := value(t, registry, "sessions"); got != 3 {
			t.Errorf("%v sessions, want 3", got)
		}
		_ = a.Close()
		synctest.Wait()
		b := w.dial(ann) // the third of this minute
		b.hear("hello " + ann)
		_ = b.Close()
		synctest.Wait()
		w.dial(ann).hear("no: rate")
		time.Sleep(time.Minute)
		w.door.Apply(door.Limits{})
		for range 5 {
			w.dial(ann).hear("hello " + ann)
		}
		if got := value(t, registry, "refused", "rate"); got != 1 {
			t.Errorf("%v refused by rate, want 1", got)
		}
	}, func(c *door.Config) {
		c.Limits = door.Limits{Connections: 3, ConnectionsPerIP: 2, RatePerIP: 3}
		c.Metrics = door.Metrics{Refused: refused, Sessions: sessions}
	})
	if got := value(t, registry, "sessions"); got != 0 {
		t.Errorf("%v sessions are left", got)
	}
}

func TestProxy(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.dial(carrier)
		c.say("PROXY TCP4 198.51.100.7 192.0.2.1 4000 143\r\nahead\r\n")
		c.hear("hello " + ann)
		c.hear("ahead")
		d := w.dial(carrier)
		d.say("PROXY TCP4 198.51.100.7 192.0.2.1 4001 143\r\n")
		d.hear("no: address")
		d.hear("")
		e := w.dial(carrier)
		e.say("PROXY UNKNOWN\r\n")
		e.hear("hello " + carrier)
		f := w.dial(carrier)
		f.say("GET / HTTP/1.0\r\n\r\n")
		f.hear("")
		w.dial(carrier).hear("") // silent for HandshakeTime
		g := w.dial(neigh)       // nobody believes this one
		g.say("PROXY TCP4 198.51.100.9 192.0.2.1 4000 143\r\n")
		g.hear("hello " + neigh)
	}, func(c *door.Config) {
		c.ProxyFrom = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		c.Limits.ConnectionsPerIP = 1
	})
}

func TestStartTLS(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.dial(ann)
		c.hear("hello " + ann)
		c.say("tls\r\n")
		c.hear("go")
		c.tls()
		time.Sleep(door.HandshakeTime)
		c.say("inside\r\n")
		c.hear("inside")
		c.say("tls\r\n") // not twice
		c.hear("go")
		c.hear("")
		d := w.dial(ann)
		d.hear("hello " + ann)
		d.say("tls\r\n")
		d.hear("go")
		d.say("plain\r\n")
		if line, err := d.r.ReadString('\n'); err == nil {
			t.Errorf("heard %q in plaintext", line)
		}
	})
}

func TestImplicitTLS(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.dial(ann)
		c.tls()
		c.hear("hello " + ann)
		time.Sleep(door.HandshakeTime)
		c.say("inside\r\n")
		c.hear("inside")
	}, implicit)
}

// Clients whose TLS setting is not the port's are named in the log once an hour,
// and told if they can read it.
func TestWrongTLS(t *testing.T) {
	const warning = "client_setting_should_be"
	inWorld(t, func(t *testing.T, w *world) {
		for range 2 {
			c := w.dial(ann)
			c.hear("hello " + ann)
			if err := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true}).Handshake(); err == nil {
				t.Error("TLS on a port that begins in plaintext")
			}
		}
		if n := w.log.lines(warning); n != 1 || w.log.lines("STARTTLS") == 0 {
			t.Errorf("%d warnings:\n%s", n, w.log.String())
		}
	})
	inWorld(t, func(t *testing.T, w *world) {
		c := w.dial(ann)
		c.say("a1 LOGIN ann secret\r\n")
		c.hear("use TLS")
		c.hear("")
		time.Sleep(time.Hour)
		d := w.dial(ann) // waits for a greeting
		d.hear("use TLS")
		d.hear("")
		e := w.dial(neigh) // begins to speak TLS and stops
		e.say("\x16\x03\x01")
		e.hear("")
		f := w.dial("203.0.113.1") // speaks TLS wrongly
		f.say("\x16\x03\x01\xff\xff")
		_, _ = io.ReadAll(f)
		if n := w.log.lines(warning); n != 2 || w.log.lines("SSL/TLS") == 0 {
			t.Errorf("%d warnings:\n%s", n, w.log.String())
		}
		if w.log.lines("secret") != 0 {
			t.Error("the log knows a password")
		}
	}, implicit)
}

func TestLooksLikeTLS(t *testing.T) {
	for in, want := range map[string]bool{"": false, "\x16": true, "\x16\x03\x01": true, "\x16x": false, "a1 NOOP": false} {
		if door.LooksLikeTLS([]byte(in)) != want {
			t.Errorf("%q: %v", in, !want)
		}
	}
}

func TestDrain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b, busy := w.dial(ann), w.dial(neigh), w.dial(ann)
		a.hear("hello " + ann)
		b.hear("hello " + neigh)
		busy.hear("hello " + ann)
		busy.say("work\r\n")
		synctest.Wait()
		began := time.Now()
		w.cancel()
		a.hear("bye")
		b.hear("bye")
		busy.hear("")
		if d := time.Since(began); d != time.Minute {
			t.Errorf("work was cancelled after %v", d)
		}
	}, func(c *door.Config) { c.Grace = time.Minute })
}

// A handler that hears of nothing loses its socket when the grace is over.
func TestAbort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := fakenet.New()
		l, err := n.Listen("tcp", here)
		if err != nil {
			t.Fatal(err)
		}
		d := door.New(l, door.Config{Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- d.Serve(ctx, func(_ context.Context, c *door.Conn) { _, _ = io.Copy(io.Discard, c) })
		}()
		c, err := n.Dial(t.Context(), netip.MustParseAddr(ann), netip.MustParseAddrPort(here))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestInterrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := fakenet.New()
		l, err := n.Listen("tcp", here)
		if err != nil {
			t.Fatal(err)
		}
		d := door.New(l, door.Config{Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		conns, errs := make(chan *door.Conn), make(chan error)
		go func() {
			done <- d.Serve(ctx, func(_ context.Context, c *door.Conn) {
				conns <- c
				for range 2 {
					_, err := c.Await(make([]byte, 1), time.Now().Add(time.Hour))
					errs <- err
				}
			})
		}()
		c, err := n.Dial(t.Context(), netip.MustParseAddr(ann), netip.MustParseAddrPort(here))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		served := <-conns
		synctest.Wait()
		served.Interrupt()
		began := time.Now()
		defer func() {
			if d := time.Since(began); d > 0 {
				t.Errorf("interrupted after %v", d)
			}
		}()
		for range 2 {
			if err := <-errs; !errors.Is(err, door.ErrInterrupted) {
				t.Errorf("Await: %v", err)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// tired is a listener that fails as it is told.
type tired struct {
	net.Listener
	errs []error
}

func (l *tired) Accept() (net.Conn, error) {
	if len(l.errs) > 0 {
		err := l.errs[0]
		l.errs = l.errs[1:]
		return nil, err
	}
	return l.Listener.Accept()
}

func TestFailingListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := fakenet.New()
		l, err := n.Listen("tcp", here)
		if err != nil {
			t.Fatal(err)
		}
		broken := errors.New("broken")
		full := &net.OpError{Op: "accept", Err: syscall.EMFILE}
		began := time.Now()
		d := door.New(&tired{l, []error{full, full, full, broken}}, door.Config{Log: slog.New(slog.DiscardHandler)})
		if err := d.Serve(t.Context(), echo); !errors.Is(err, broken) {
			t.Errorf("Serve: %v", err)
		}
		if got := time.Since(began); got != 35*time.Millisecond {
			t.Errorf("paused %v, want 5+10+20 ms", got)
		}
		l, _ = n.Listen("tcp", "192.0.2.1:993")
		d = door.New(l, door.Config{Mode: door.TLSImplicit, Log: slog.New(slog.DiscardHandler)})
		if err := d.Serve(t.Context(), echo); err == nil {
			t.Error("implicit TLS without a certificate")
		}
	})
}

func serverTLS(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mx.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), DNSNames: []string{"mx.test"},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// value is the sum of a metric's values that have all these label values.
func value(t *testing.T, r *prometheus.Registry, name string, labels ...string) (sum float64) {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var have []string
			for _, l := range m.GetLabel() {
				have = append(have, l.GetValue())
			}
			if f.GetName() == name && !slices.ContainsFunc(labels, func(l string) bool { return !slices.Contains(have, l) }) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}
