package ingress_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"tenma/relay/ingress"
)

// Chunks are no way around the time that a body may take: neither one octet at
// a time nor none at all, nor a NOOP now and then.
func TestSlowChunks(t *testing.T) {
	for _, step := range []string{bdat("x", false), bdat("", false), "NOOP\r\n"} {
		inWorld(t, func(t *testing.T, w *world) {
			c := w.hello(stranger)
			c.envelope()
			c.raw(bdat("x\r\n", false))
			c.want("250")
			start := time.Now()
			for {
				time.Sleep(50 * time.Second)
				_, _ = c.Write([]byte(step)) // the reply tells
				if r := c.reply(); strings.HasPrefix(r, "421 4.4.2") {
					break
				} else if !strings.HasPrefix(r, "250") {
					t.Fatalf("reply %q", r)
				}
				if time.Since(start) > time.Hour {
					t.Fatalf("%q keeps a message open", step)
				}
			}
			c.gone()
			w.wantMessages()
		}, limits(func(l *ingress.Limits) { l.Idle, l.Body = time.Minute, 5*time.Minute }))
	}
}

// Replies that the RFCs fix and go-smtp gives otherwise.
func TestRepliesOfTheRFCs(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.secure(stranger)
		for _, size := range []string{"4294967296", "99999999999999999999"} {
			c.ask("MAIL FROM:<x@far.test> SIZE="+size, "552 5.3.4") // RFC 1870 section 6.1
		}
		for _, size := range []string{"x", "-1", "1x", "999999999999999999999"} {
			c.ask("MAIL FROM:<x@far.test> SIZE="+size, "501 5.5.4")
		}
		c.ask("MAIL FROM:<x@far.test> BOGUS=1", "555 5.5.4") // RFC 5321 section 4.1.1.11
		c.ask("MAIL FROM:<x@far.test> AUTH=x", "501 5.5.4")
		c.ask("MAIL FROM:<x@far.test>", "250 2.1.0")
		c.ask("RCPT TO:<ann@ours.test> BOGUS", "555 5.5.4")
		c.ask("RSET", "250 2.0.0")
		c.ask("AUTH", "501 5.5.4")
		c.ask("AUTH PLAIN "+b64("\x00ann\x00secret"), "235 2.7.0") // RFC 4954 section 6
	})
}

// A proxy in one of our own networks lends its right to relay to nobody whom
// it does not name.
func TestProxyForNobody(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, header := range []string{
			"PROXY UNKNOWN\r\n",
			"PROXY UNKNOWN 10.0.0.7 192.0.2.1 1234 25\r\n",
			"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", // version 2, LOCAL
		} {
			c := w.dial(friend)
			c.raw(header)
			c.want("220")
			c.ask("EHLO x", "250")
			c.ask("MAIL FROM:<x@far.test>", "250")
			c.ask("RCPT TO:<y@other.test>", "550 5.7.1")
			c.ask("RCPT TO:<ann@ours.test>", "250")
			c.ask("QUIT", "221")
		}
	}, listener(func(l *ingress.Listener) { l.ProxyFrom = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }))
}

// A list that is longer than the limits of recipients and commands together is
// taken in part (RFC 5321 section 4.5.3.1.10), however often it is; an endless
// one is no list.
func TestListBeyondAllLimits(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.hello(stranger)
		c.ask("MAIL FROM:<x@far.test>", "250")
		for i := range 54 {
			want := "452 4.5.3"
			if i < 5 {
				want = "250"
			}
			c.ask("RCPT TO:<ann@ours.test>", want)
		}
		c.ask("DATA", "354")
		c.ask("x\r\n.", "250")
		c.ask("MAIL FROM:<x@far.test>", "250")
		for i := 0; ; i++ {
			if r := c.ask("RCPT TO:<ann@ours.test>", ""); strings.HasPrefix(r, "421") {
				break
			} else if i > 100 {
				t.Fatal("no end of it")
			}
		}
		c.gone()
	}, limits(func(l *ingress.Limits) { l.Recipients, l.Commands = 5, 10 }))
}
