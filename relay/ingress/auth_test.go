package ingress_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/xdg-go/scram"

	"tenma/relay/ingress"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// Each login that is good is followed by a message to a foreign domain.
func TestAuth(t *testing.T) {
	for name, login := range map[string]func(c *client){
		"PLAIN":         func(c *client) { c.ask("AUTH PLAIN "+b64("\x00ann\x00secret"), "235") },
		"PLAIN in two":  func(c *client) { c.ask("AUTH PLAIN", "334 "); c.ask(b64("\x00ann\x00secret"), "235") },
		"PLAIN as self": func(c *client) { c.ask("AUTH PLAIN "+b64("ann\x00ann\x00secret"), "235") },
		"LOGIN": func(c *client) {
			c.ask("AUTH LOGIN", "334 VXNlcm5hbWU6")
			c.ask(b64("ann"), "334 UGFzc3dvcmQ6")
			c.ask(b64("secret"), "235")
		},
		"LOGIN in two": func(c *client) { c.ask("AUTH LOGIN "+b64("ann"), "334 UGFzc3dvcmQ6"); c.ask(b64("secret"), "235") },
		"SCRAM": func(c *client) {
			if r := c.scram("ann", "secret"); !strings.HasPrefix(r, "235") {
				c.t.Errorf("SCRAM: %s", r)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				c := w.secure(stranger)
				c.ask("MAIL FROM:<ann@ours.test>", "250")
				c.ask("RCPT TO:<x@other.test>", "550 5.7.1")
				c.ask("AUTH PLAIN", "503") // not during a transaction
				c.ask("RSET", "250")
				login(c)
				c.ask("AUTH PLAIN", "503") // nor twice
				c.ask("MAIL FROM:<ann@ours.test>", "250")
				c.ask("RCPT TO:<x@other.test>", "250")
				c.ask("DATA", "354")
				c.ask("a\nb\r\n.", "250") // and vouched for
				if e := w.messages()[0].env; e.Account != "ann" || !e.Trusted || !e.TLS || e.LMTP {
					t.Errorf("account %q, trusted %v, TLS %v, LMTP %v", e.Account, e.Trusted, e.TLS, e.LMTP)
				}
				w.wantMessages("a\r\nb\r\n")
			})
		})
	}
}

// scram runs the client's side and gives the last reply.
func (c *client) scram(user, password string) string {
	c.t.Helper()
	cl, err := scram.SHA256.NewClient(user, password, "")
	if err != nil {
		c.t.Fatal(err)
	}
	conv := cl.NewConversation()
	first, err := conv.Step("")
	if err != nil {
		c.t.Fatal(err)
	}
	r := c.ask("AUTH SCRAM-SHA-256 "+b64(first), "")
	for strings.HasPrefix(r, "334 ") {
		challenge, err := base64.StdEncoding.DecodeString(r[4:])
		if err != nil {
			c.t.Fatal(err)
		}
		answer, err := conv.Step(string(challenge))
		if err != nil {
			c.t.Fatal(err)
		}
		r = c.ask(b64(answer), "")
	}
	return r
}

// Whatever is wrong, known or unknown, the text is the same.
func TestBadLogins(t *testing.T) {
	const refused = "535 5.7.8 authentication failed"
	for name, login := range map[string]func(c *client) string{
		"PLAIN known":     func(c *client) string { return c.ask("AUTH PLAIN "+b64("\x00ann\x00wrong"), "") },
		"PLAIN unknown":   func(c *client) string { return c.ask("AUTH PLAIN "+b64("\x00zoe\x00wrong"), "") },
		"PLAIN for other": func(c *client) string { return c.ask("AUTH PLAIN "+b64("bob\x00ann\x00secret"), "") },
		"PLAIN garbage":   func(c *client) string { return c.ask("AUTH PLAIN "+b64("garbage"), "") },
		"SCRAM known":     func(c *client) string { return c.scram("ann", "wrong") },
		"SCRAM unknown":   func(c *client) string { return c.scram("zoe", "wrong") },
		"SCRAM fake keys": func(c *client) string { return c.scram("twin", "secret") },
		"SCRAM garbage":   func(c *client) string { return c.ask("AUTH SCRAM-SHA-256 "+b64("garbage"), "") },
		"LOGIN": func(c *client) string {
			c.ask("AUTH LOGIN", "334")
			c.ask(b64("zoe"), "334")
			return c.ask(b64("wrong"), "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				c := w.secure(stranger)
				if r := login(c); r != refused {
					t.Errorf("reply %q", r)
				}
				c.ask("MAIL FROM:<x@far.test>", "250")
				c.ask("RCPT TO:<x@other.test>", "550 5.7.1")
				if e := w.events[0]; e.Outcome.Command != "AUTH" || e.Envelope == nil {
					t.Errorf("event %+v", e)
				}
			})
		})
	}
}

// The Authenticator hears how each exchange with its keys ended.
func TestScramIsReported(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, login := range [][2]string{{"ann", "wrong"}, {"zoe", "wrong"}, {"twin", "secret"}, {"ann", "secret"}} {
			w.secure(stranger).scram(login[0], login[1])
		}
		if want := []string{"ann false", "zoe false", "twin false", "ann true"}; !slices.Equal(w.scrams, want) {
			t.Errorf("heard %q, want %q", w.scrams, want)
		}
	})
}

func TestAuthOddities(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.secure(stranger)
		c.ask("AUTH CRAM-MD5", "504")
		c.ask("AUTH PLAIN !!!", "501 5.5.2")
		c.ask("AUTH PLAIN", "334")
		c.ask("*", "501")
		c.ask("AUTH LOGIN", "334")
		c.ask("QUIT!", "501 5.5.2") // an answer, no command
		c.ask("AUTH PLAIN "+b64("\x00busy\x00x"), "454 4.7.0 try later")
		c = w.secure(stranger)
		long := b64("\x00ann\x00" + strings.Repeat("x", 8000)) // RFC 4954 section 4: up to 12,288
		c.ask("AUTH PLAIN "+long, "535")
		c.ask("AUTH PLAIN", "334")
		c.ask(long, "535")
		c.ask("AUTH PLAIN", "334")
		c.raw(strings.Repeat("A", 13000) + "\r\n")
		c.want("500 5.5.2")
		c.gone()
	})
}

func TestGuessing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.secure(stranger)
		for range 3 {
			c.ask("AUTH PLAIN "+b64("\x00ann\x00guess"), "535")
		}
		c.ask("AUTH PLAIN "+b64("\x00ann\x00guess"), "535", "421")
		c.gone()
	}, limits(func(l *ingress.Limits) { l.Errors = 3 }))
}

func TestSubmission(t *testing.T) {
	for name, l := range map[string]func(*ingress.Listener){
		"submission": func(l *ingress.Listener) { l.Submission, l.Auth = true, ingress.AuthOff },
		"required":   func(l *ingress.Listener) { l.Auth = ingress.AuthMust },
		"implicit":   func(l *ingress.Listener) { l.Auth, l.TLS = ingress.AuthMust, ingress.TLSImplicit },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				c := w.dial(friend) // relay_from does not help
				if w.cfg.Listeners[0].TLS == ingress.TLSImplicit {
					c.handshake()
					c.want("220")
				} else {
					c.want("220")
					c.ask("EHLO x", "250")
					c.ask("MAIL FROM:<ann@ours.test>", "530 5.7.0")
					c.startTLS()
				}
				hello := c.ask("EHLO x", "250")
				if strings.Contains(hello, "STARTTLS") || !strings.Contains(hello, "AUTH ") {
					t.Errorf("EHLO:\n%s", hello)
				}
				c.ask("MAIL FROM:<ann@ours.test>", "530 5.7.0")
				c.ask("AUTH PLAIN "+b64("\x00ann\x00secret"), "235")
				c.ask("MAIL FROM:<ann@ours.test>", "250")
				c.ask("RCPT TO:<x@other.test>", "250")
			}, listener(l))
		})
	}
}

func TestAuthOff(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.secure(stranger)
		if hello := c.ask("EHLO x", "250"); strings.Contains(hello, "AUTH") {
			t.Errorf("EHLO:\n%s", hello)
		}
		c.ask("AUTH PLAIN "+b64("\x00ann\x00secret"), "502")
	}, listener(func(l *ingress.Listener) { l.Auth = ingress.AuthOff }))
}

// Hanging up before the answer, or beginning anew, is a failed login too.
func TestGivenUpExchanges(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.secure(stranger)
		for range 2 {
			c.ask("AUTH SCRAM-SHA-256 "+b64("n,,n=ann,r=x"), "334")
			c.ask("*", "501")
		}
		c.ask("AUTH SCRAM-SHA-256 "+b64("n,,n=zoe,r=x"), "334")
		_ = c.Close()
		synctest.Wait()
		if want := []string{"ann false", "ann false", "zoe false"}; !slices.Equal(w.scrams, want) {
			t.Errorf("heard %q, want %q", w.scrams, want)
		}
	})
}
