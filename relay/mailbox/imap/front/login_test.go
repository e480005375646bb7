package front_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/door"
)

// Without TLS nothing that holds a password comes further than the front, however
// it is wrapped, and nothing invites to it.
func TestNoPasswordOnPlaintext(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p := w.dial()
		greeting := p.want("* OK [CAPABILITY")
		capability := p.ask("a CAPABILITY", "* CAPABILITY")
		p.want("a OK")
		for _, list := range []string{greeting, capability} {
			if strings.Contains(list, "AUTH=") || !strings.Contains(list, " LOGINDISABLED") || !strings.Contains(list, " STARTTLS") {
				t.Errorf("on plaintext: %s", list)
			}
		}
		p.ask("b LOGIN ann secret", "b NO [PRIVACYREQUIRED]")
		p.ask("c login \"ann\" \"secret\"", "c NO [PRIVACYREQUIRED]")
		p.raw("d LOGIN {3+}\r\nann {6+}\r\nsecret\r\n")
		p.want("d NO [PRIVACYREQUIRED]")
		p.ask("e AUTHENTICATE PLAIN AGFubgBzZWNyZXQ=", "e NO [PRIVACYREQUIRED]")
		p.ask("f AUTHENTICATE PLAIN", "f NO [PRIVACYREQUIRED]")
		// A command inside another's literal, or quoted string, is none.
		p.raw("g NOOP {20+}\r\nh LOGIN ann secret\r\n\r\n")
		p.want("g BAD")
		p.raw("i CAPABILITY {20}\r\n")
		p.want("+ ")
		p.raw("j LOGIN ann secret\r\n\r\n")
		p.want("i BAD")
		p.ask("k NOOP \"", "k BAD")
		p.ask("m NOOP", "m OK")
		w.wantLogins()

		p.ask("t STARTTLS", "t OK")
		p.tls()
		capability = p.ask("n CAPABILITY", "* CAPABILITY")
		p.want("n OK")
		if !strings.Contains(capability, "AUTH=PLAIN") || strings.Contains(capability, "LOGINDISABLED") || strings.Contains(capability, "STARTTLS") {
			t.Errorf("under TLS: %s", capability)
		}
		p.ask("o STARTTLS", "o BAD")
		capability = p.ask("p LOGIN ann secret", "p OK [CAPABILITY")
		if strings.Contains(capability, "AUTH=") || strings.Contains(capability, "LOGINDISABLED") {
			t.Errorf("after the login: %s", capability)
		}
		p.ask("q LOGIN ann secret", "q BAD")
		p.ask("r STARTTLS", "r BAD")
		w.wantLogins("ann secret")
	})
}

func TestNoTLSAtAll(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p := w.dial()
		if l := p.want("* OK"); strings.Contains(l, "STARTTLS") || !strings.Contains(l, "LOGINDISABLED") {
			t.Error(l)
		}
		p.ask("a STARTTLS", "a NO")
		p.ask("b LOGIN ann secret", "b NO")
		w.wantLogins()
	}, func(w *world) { w.door.Mode = door.TLSOff })
}

func TestAuthenticate(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p := w.secure()
		if l := p.ask("a AUTHENTICATE PLAIN", "+ "); l != "+ " {
			t.Errorf("an empty challenge is %q", l)
		}
		p.ask("*", "a BAD")
		p.ask("b AUTHENTICATE PLAIN", "+ ")
		p.ask("AGFubgB3cm9uZw==", "b NO")
		p.ask("c AUTHENTICATE PLAIN =", "c ")
		p.ask("d AUTHENTICATE PLAIN not-base64", "d BAD")
		p.ask("e AUTHENTICATE PLAIN", "+ ")
		p.ask("AGFubgBzZWNyZXQ=", "e OK [CAPABILITY")
		p.ask("f NOOP", "f OK")
		w.mu.Lock()
		w.said = nil // an empty response is none of PLAIN, says the library
		w.mu.Unlock()
	})
}

func TestAuthenticateEndsEarly(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p := w.secure()
		p.ask("a AUTHENTICATE PLAIN", "+ ")
		_ = p.Close()
		p = w.secure()
		p.ask("a AUTHENTICATE PLAIN", "+ ")
		p.ask(strings.Repeat("A", 5000), "* BYE [TOOBIG]")
		p.gone()
		p = w.secure()
		p.ask("a AUTHENTICATE PLAIN", "+ ")
		synctest.Wait()
		w.cancel()
		p.want("* BYE")
		p.gone()
	})
}

// What was buffered behind STARTTLS came in plaintext and is not believed.
func TestStartTLSInjection(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p := w.dial()
		p.want("* OK")
		p.raw("a STARTTLS\r\nb NOOP\r\n")
		p.want("a BAD", "* BYE")
		p.gone()
		p = w.dial()
		p.want("* OK")
		p.ask("a STARTTLS now", "a BAD")
		p.ask("b STARTTLS", "b OK")
		p.raw("c NOOP\r\n")
		synctest.Wait()
		if all := p.talk("d NOOP\r\n"); strings.Contains(all, "NOOP") {
			t.Errorf("heard %q in plaintext", all)
		}
	})
}

// Whoever has not logged in gets little of everything.
func TestStrangers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p := w.dial()
		p.want("* OK")
		p.ask("a LOGIN {2147483648}", "a NO [TOOBIG]") // no continuation
		p.ask("b LOGIN {99999999999999999999999}", "b NO [TOOBIG]")
		p.raw("c LOGIN {5000+}\r\n" + strings.Repeat("x", 5000) + " y\r\n")
		p.want("c NO [TOOBIG]")
		p.ask("d APPEND INBOX {10}", "d BAD")
		p.raw("e APPEND INBOX {10+}\r\n0123456789\r\n")
		p.want("e BAD")
		p.ask("f SELECT INBOX", "f BAD")
		p.ask("g GETQUOTA \"\"", "g BAD")
		p.ask("h ID NIL", "h OK ID <NIL>")
		p.ask("i LOGIN {2147483648+}", "i NO [TOOBIG]", "* BYE [TOOBIG]")
		p.gone()

		p = w.dial()
		p.want("* OK")
		p.raw("a APPEND INBOX {10737418240+}\r\nx")
		p.want("a BAD", "* BYE [TOOBIG]")
		p.gone()

		p = w.dial() // a browser that was talked into it
		p.want("* OK")
		p.raw("POST / HTTP/1.1\r\nHost: x\r\n\r\nz LOGIN ann secret\r\n")
		p.want("POST BAD", "* BYE")
		p.gone()

		p = w.dial()
		p.want("* OK")
		for range 21 {
			p.ask("a SELECT INBOX", "a BAD")
		}
		p.want("* BYE too many bad")
		p.gone()

		p = w.dial()
		p.want("* OK")
		for range 100 {
			p.ask("a NOOP", "a OK")
		}
		p.ask("a NOOP", "* BYE too many commands")
		p.gone()

		p = w.dial()
		p.want("* OK")
		p.raw(strings.Repeat("x", 64<<10) + "y")
		p.want("* BYE [TOOBIG]")
		p.gone()

		p = w.secure()
		for range 21 {
			p.ask("a LOGIN ann wrong", "a NO")
		}
		p.want("* BYE too many bad")
		p.gone()
	})
}

func TestTimeToLogin(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		began := time.Now()
		p := w.secure()
		for range 5 {
			time.Sleep(10 * time.Second)
			p.ask("a NOOP", "a OK")
		}
		p.raw("b NO") // half a line is no excuse
		p.want("* BYE login took too long")
		p.gone()
		if d := time.Since(began); d != time.Minute {
			t.Errorf("%v to log in, want a minute", d)
		}
	})
}

func TestTLSOnPlaintext(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p := w.dial()
		p.want("* OK")
		p.raw("\x16\x03\x01\x00\x05hello")
		p.gone()
		if n := w.log.lines("client_setting_should_be"); n != 1 {
			t.Errorf("%d warnings", n)
		}
	})
}
