package ingress_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pires/go-proxyproto"
	"github.com/prometheus/client_golang/prometheus"

	"tenma/metrics"
	"tenma/relay/ingress"
	"tenma/relay/mail"
)

func TestConnectionLimits(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.hello("2001:db8::1")
		b := w.hello("2001:db8::2")
		c := w.dial("2001:db8::ffff:1") // the same /64
		c.want("421 4.7.0 mx.test too many connections from your address")
		c.gone()
		w.hello("2001:db8:0:1::1")
		w.hello(stranger)
		c = w.dial(friend)
		c.want("421 4.3.2 mx.test too many connections")
		c.gone()
		a.ask("QUIT", "221")
		a.gone()
		_ = b.Close()
		synctest.Wait()
		w.hello("2001:db8::3")
	}, limits(func(l *ingress.Limits) { l.Connections, l.ConnectionsPerIP = 4, 2 }))
}

func TestConnectionRate(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		visit := func() *client {
			c := w.dial(stranger)
			r := c.reply()
			if strings.HasPrefix(r, "220") {
				c.ask("QUIT", "221")
				c.gone()
				return nil
			}
			if !strings.HasPrefix(r, "421 4.7.0") {
				t.Errorf("reply %q", r)
			}
			return c
		}
		for range 3 {
			if visit() != nil {
				t.Fatal("refused too early")
			}
		}
		if visit() == nil {
			t.Error("the fourth in a minute was let in")
		}
		w.hello(friend)
		time.Sleep(time.Minute)
		if visit() != nil {
			t.Error("refused a minute later")
		}
	}, limits(func(l *ingress.Limits) { l.RatePerIP = 3 }))
}

func TestIdle(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.hello(stranger)
		start := time.Now()
		c.want("421 4.4.2")
		c.gone()
		// Deadlines may be a second late, never early.
		if d := time.Since(start); d < 300*time.Second || d > 301*time.Second {
			t.Errorf("idle for %v", d)
		}
		// One octet at a time does not help.
		c = w.hello(stranger)
		start = time.Now()
		for range 4 {
			c.raw("N")
			time.Sleep(70 * time.Second)
		}
		c.want("421")
		if d := time.Since(start); d < 300*time.Second || d > 301*time.Second {
			t.Errorf("a line took %v", d)
		}
	})
	inWorld(t, func(t *testing.T, w *world) {
		for range 10 {
			w.hello(stranger)
		}
		c := w.hello(stranger)
		start := time.Now()
		c.want("421 4.4.2")
		if d := time.Since(start); d < 10*time.Second || d > 11*time.Second {
			t.Errorf("idle under load for %v", d)
		}
	}, limits(func(l *ingress.Limits) { l.Connections = 11 }))
}

func TestDrain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		idle, busy, chunks, lost := w.hello(stranger), w.hello(stranger), w.hello(stranger), w.hello(stranger)
		silent := w.dial(stranger)
		for _, c := range []*client{busy, chunks, lost} {
			c.envelope()
		}
		busy.ask("DATA", "354")
		busy.raw("half ")
		chunks.raw(bdat("one\r\n", false))
		chunks.want("250")
		lost.ask("DATA", "354")
		silent.want("220")
		synctest.Wait()
		start := time.Now()
		w.cancel()
		idle.want("421 4.3.2 mx.test shutting down")
		idle.gone()
		silent.want("421 4.3.2")
		if _, err := w.net.Dial(t.Context(), netip.MustParseAddr(stranger), netip.MustParseAddrPort(here)); err == nil {
			t.Error("still listening")
		}
		time.Sleep(10 * time.Second)
		busy.ask("done\r\n.", "250 2.0.0 Ok", "421 4.3.2")
		busy.gone()
		chunks.raw(bdat("two\r\n", true))
		chunks.want("250 2.0.0 Ok", "421")
		lost.gone()
		if d := time.Since(start); d != 30*time.Second {
			t.Errorf("grace of %v", d)
		}
		w.wantMessages("half done\r\n", "one\r\ntwo\r\n")
		if err := <-w.done; err != nil {
			t.Error(err)
		}
		w.done <- nil
	})
}

// The disk may take what is left of the grace: Accept's context outlives the
// drain, and ends with the grace.
func TestDrainWhileCommitting(t *testing.T) {
	for _, need := range []time.Duration{20 * time.Second, time.Hour} {
		inWorld(t, func(t *testing.T, w *world) {
			w.accept = func(ctx context.Context, _ *mail.Envelope, body io.WriterTo) error {
				if _, err := body.WriteTo(io.Discard); err != nil {
					return err
				}
				select {
				case <-time.After(need):
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			c := w.hello(stranger)
			c.envelope()
			c.ask("DATA", "354")
			c.raw("x\r\n.\r\n")
			synctest.Wait()
			start := time.Now()
			w.cancel()
			if need < 30*time.Second {
				c.want("250 2.0.0 Ok", "421")
			}
			c.gone()
			w.done <- <-w.done
			if d := time.Since(start); d != min(need, 30*time.Second) {
				t.Errorf("Run returned after %v", d)
			}
		})
	}
}

func TestProxy(t *testing.T) {
	from := listener(func(l *ingress.Listener) { l.ProxyFrom = []netip.Prefix{netip.MustParsePrefix("192.0.2.99/32")} })
	const proxy = "192.0.2.99"
	header := func(version byte, src string) string {
		h := proxyproto.HeaderProxyFromAddrs(version, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(src)), net.TCPAddrFromAddrPort(netip.MustParseAddrPort(here)))
		b, err := h.Format()
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, version := range []byte{1, 2} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				c := w.dial(proxy)
				c.raw(header(version, friend+":1234"))
				c.want("220")
				c.ask("EHLO x", "250")
				c.ask("MAIL FROM:<x@far.test>", "250")
				c.ask("RCPT TO:<y@other.test>", "250") // relay_from is about the client
				c.ask("DATA", "354")
				c.ask("x\r\n.", "250")
				if got := w.messages()[0].env.Client.String(); got != friend+":1234" {
					t.Errorf("client %s", got)
				}
				c = w.dial(proxy)
				c.raw(header(version, stranger+":1234") + "EHLO x\r\nMAIL FROM:<x@far.test>\r\nRCPT TO:<y@other.test>\r\n")
				c.want("220", "250", "250", "550")
				// The limit is by client, whichever way it comes.
				w.hello(stranger)
				c = w.dial(proxy)
				c.raw(header(version, stranger+":1235"))
				c.want("421 4.7.0")
				c.gone()
			}, from, limits(func(l *ingress.Limits) { l.ConnectionsPerIP = 2 }))
		})
	}
	inWorld(t, func(t *testing.T, w *world) {
		c := w.dial(proxy) // no header
		c.raw("EHLO x\r\n")
		c.gone()
		c = w.dial(proxy) // nothing at all
		c.gone()
		c = w.dial(stranger) // may not tell us who it is
		c.want("220")
		c.ask(strings.TrimSpace(header(1, friend+":1234")), "50")
		c.ask("EHLO x", "250")
		c.ask("MAIL FROM:<x@far.test>", "250")
		c.ask("RCPT TO:<y@other.test>", "550")
	}, from)
	// The header stands before TLS.
	inWorld(t, func(t *testing.T, w *world) {
		c := w.dial(proxy)
		c.raw(header(2, friend+":1234"))
		c.handshake()
		c.want("220")
		c.ask("EHLO x", "250")
	}, from, listener(func(l *ingress.Listener) { l.TLS = ingress.TLSImplicit }))
}

func TestImplicitTLS(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.dial(stranger)
		c.raw("EHLO x\r\n") // in plaintext: an alert at most
		if r, _ := io.ReadAll(c); strings.Contains(string(r), "220") {
			t.Errorf("plaintext got %q", r)
		}
		c = w.dial(stranger)
		start := time.Now()
		c.gone()
		if d := time.Since(start); d != 30*time.Second {
			t.Errorf("a silent client was borne for %v", d)
		}
		c = w.dial(stranger)
		c.handshake()
		c.want("220")
		c.ask("EHLO x", "250")
		c.ask("STARTTLS", "503")
	}, listener(func(l *ingress.Listener) { l.TLS = ingress.TLSImplicit }))
}

func TestTLSOff(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.dial(stranger)
		c.want("220")
		if hello := c.ask("EHLO x", "250"); strings.Contains(hello, "STARTTLS") {
			t.Errorf("EHLO:\n%s", hello)
		}
		c.ask("STARTTLS", "502")
		c.ask("AUTH PLAIN", "538")
	}, listener(func(l *ingress.Listener) { l.TLS = ingress.TLSOff }))
}

func TestApply(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		before := w.hello(stranger)
		next := w.cfg
		next.Limits.MessageSize = 1000
		next.Listeners = []ingress.Listener{w.cfg.Listeners[0], {Address: "192.0.2.1:26"}}
		next.Listeners[0].RelayFrom = nil
		w.srv.Apply(next)
		before.ask("MAIL FROM:<x@far.test> SIZE=5000", "250")
		c := w.hello(friend)
		c.ask("MAIL FROM:<x@far.test> SIZE=5000", "552")
		c.ask("MAIL FROM:<x@far.test>", "250")
		c.ask("RCPT TO:<y@other.test>", "550")
		if a := w.srv.Addrs(); len(a) != 1 || a[0].String() != here {
			t.Errorf("addresses %v", a)
		}
	})
}

func TestListenFails(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		second := ingress.New(ingress.Config{Listeners: []ingress.Listener{
			{Address: "192.0.2.1:26"}, {Address: here},
		}}, ingress.Deps{Listen: w.net.Listen})
		if err := second.Listen(); err == nil {
			t.Fatal("two listeners on one address")
		}
		l, err := w.net.Listen("tcp", "192.0.2.1:26")
		if err != nil {
			t.Fatal("the first listener was left open")
		}
		_ = l.Close()
		bare := ingress.New(ingress.Config{Listeners: []ingress.Listener{{Address: "192.0.2.1:27", TLS: ingress.TLSImplicit}}}, ingress.Deps{Listen: w.net.Listen})
		if bare.Listen() == nil {
			t.Error("implicit TLS without a certificate")
		}
	})
}

func TestMetrics(t *testing.T) {
	r := prometheus.NewRegistry()
	m := metrics.New(r).Ingress
	inWorld(t, func(t *testing.T, w *world) {
		c := w.secure(stranger)
		c.envelope()
		c.ask("RCPT TO:<no@ours.test>", "550")
		c.ask("DATA", "354")
		c.ask("x\r\n.", "250")
		c.envelope()
		c.ask("DATA", "354")
		c.ask("x\ry\r\n.", "550")
		c.ask("QUIT", "221")
		c.gone()
		synctest.Wait()
		got := map[string]float64{}
		families, err := r.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				name, ours := strings.CutPrefix(f.GetName(), "tenma_ingress_")
				if !ours {
					continue
				}
				for _, l := range m.GetLabel() {
					if l.GetName() != "listener" {
						name += " " + l.GetValue()
					} else if l.GetValue() != here {
						t.Errorf("listener %s", l.GetValue())
					}
				}
				got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
		want := map[string]float64{
			"connections_total": 1, "sessions": 0, "commands_refused_total RCPT 5.1.1": 1, "messages_total": 1,
			"message_bytes_total": 3, "messages_refused_total 5.6.0": 1, "tls_sessions_total good": 1,
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}, func(_ *ingress.Config, d *ingress.Deps) { d.Metrics = m })
}

// A client that does not read its replies is not waited for longer than one
// that says nothing.
func TestDeafClient(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.hello(stranger)
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				if _, err := c.Write([]byte(strings.Repeat("RSET\r\n", 1000))); err != nil {
					return
				}
			}
		}()
		<-stopped
	}, limits(func(l *ingress.Limits) { l.Commands = 1 << 30 }))
}
