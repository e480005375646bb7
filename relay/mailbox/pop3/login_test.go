package pop3

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xdg-go/scram"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestLogins(t *testing.T) {
	for name, dialogue := range map[string]string{
		"USER":         "C: USER ann\nS: +OK...\nC: PASS se cret\nS: +OK 1 messages (23 octets)",
		"user":         "C: user ann\nS: +OK...\nC: pass se cret\nS: +OK 1...",
		"PLAIN":        "C: AUTH PLAIN " + b64("\x00ann\x00se cret") + "\nS: +OK 1...",
		"PLAIN in two": "C: auth plain\nS: + \nC: " + b64("\x00ann\x00se cret") + "\nS: +OK 1...",
		"PLAIN last":   "C: AUTH PLAIN\nS: + \nC: *\nS: -ERR...\nC: AUTH PLAIN\nS: + \nC: " + b64("\x00ann\x00se cret") + "\nS: +OK 1...",
		"after errors": "C: USER ann\nS: +OK...\nC: PASS x\nS: -ERR [AUTH] authentication failed\nC: USER ann\nS: +OK...\nC: PASS se cret\nS: +OK 1...",
		"list":         "C: AUTH\nS: +OK...\nS: SCRAM-SHA-256\nS: PLAIN\nS: .\nC: AUTH PLAIN " + b64("\x00ann\x00se cret") + "\nS: +OK 1...",
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.box.put(short)
				c := w.secure()
				c.talk(dialogue)
				c.ask("STAT", "+OK 1 23")
				if !w.logged("pop3: mailbox open") || !w.logged("account=ann@ours.test") || !w.logged("client="+somebody) {
					t.Errorf("log:\n%s", w.log.String())
				}
			})
		})
	}
}

func (c *client) scram(password string, initial bool) string {
	c.t.Helper()
	cl, err := scram.SHA256.NewClient("ann", password, "")
	if err != nil {
		c.t.Fatal(err)
	}
	conv := cl.NewConversation()
	first, err := conv.Step("")
	if err != nil {
		c.t.Fatal(err)
	}
	if initial {
		c.raw("AUTH SCRAM-SHA-256 " + b64(first) + "\r\n")
	} else {
		c.ask("AUTH SCRAM-SHA-256", "+ ")
		c.raw(b64(first) + "\r\n")
	}
	r := c.line()
	for strings.HasPrefix(r, "+ ") {
		challenge, err := base64.StdEncoding.DecodeString(r[2:])
		if err != nil {
			c.t.Fatal(err)
		}
		answer, err := conv.Step(string(challenge))
		if err != nil {
			c.t.Fatal(err)
		}
		c.raw(b64(answer) + "\r\n")
		r = c.line()
	}
	return r
}

func TestScram(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, initial := range []bool{true, false} {
			c := w.secure()
			if r := c.scram("wrong", initial); r != "-ERR [AUTH] authentication failed" {
				t.Errorf("reply %q", r)
			}
			if r := c.scram("se cret", initial); !strings.HasPrefix(r, "+OK 0 messages") {
				t.Errorf("reply %q", r)
			}
			c.ask("QUIT", "+OK bye, 0 deleted, 0 left")
			c.gone()
		}
		c := w.secure()
		c.ask("AUTH SCRAM-SHA-256 "+b64("n,,n=ann,r=x"), "+ ...")
		c.ask("*", "-ERR given up, as you wish")
		c.ask("AUTH SCRAM-SHA-256 "+b64("n,,n=ann,r=x"), "+ ...")
		_ = c.Close()
		synctest.Wait()
		want := []string{"ann false", "ann true", "ann false", "ann true", "ann false", "ann false"}
		if !slices.Equal(w.scrams, want) {
			t.Errorf("heard %q, want %q", w.scrams, want)
		}
	})
}

func TestBadLogins(t *testing.T) {
	const failed = "-ERR [AUTH] authentication failed"
	for name, tt := range map[string]struct {
		user, password, reply, log string
		fault                      func(b *box)
	}{
		"password":   {"ann", "x", failed, "login failed", nil},
		"user":       {"zoe", "x", failed, "login failed", nil},
		"banned":     {"banned", "x", failed, "login failed", nil},
		"overload":   {"busy", "x", "-ERR [SYS/TEMP] try again later", "could not be judged", nil},
		"no mailbox": {"lost", "x", "-ERR [SYS/PERM] there is no mailbox", "cannot be opened", nil},
		"sick":       {"ann", "se cret", "-ERR [SYS/TEMP] the mailbox cannot be opened now", "the disk is gone", func(b *box) { b.set(faults{open: errors.New("the disk is gone")}) }},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				if tt.fault != nil {
					tt.fault(w.box)
				}
				c := w.secure()
				c.ask("USER "+tt.user, "+OK...")
				c.ask("PASS "+tt.password, tt.reply)
				c.ask("AUTH PLAIN "+b64("\x00"+tt.user+"\x00"+tt.password), tt.reply)
				c.ask("STAT", "-ERR log in first")
				if !w.logged(tt.log) || !w.logged("user="+tt.user) || w.logged("se cret") {
					t.Errorf("log:\n%s", w.log.String())
				}
			})
		})
	}
}

func TestOddLogins(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.secure().talk(`
			C: USER
			S: -ERR a name is wanted
			C: PASS se cret
			S: -ERR USER first
			C: USER ann
			S: +OK...
			C: CAPA
			S: +OK...
			S: TOP
			S: UIDL
			S: RESP-CODES
			S: AUTH-RESP-CODE
			S: PIPELINING
			S: USER
			S: SASL SCRAM-SHA-256 PLAIN
			S: EXPIRE NEVER
			S: UTF8 USER
			S: LANG
			S: IMPLEMENTATION tenma
			S: .
			C: PASS se cret
			S: -ERR USER first
			C: USER ann
			S: +OK...
			C: PASS x
			S: -ERR [AUTH] authentication failed
			C: PASS se cret
			S: -ERR USER first
			C: AUTH CRAM-MD5
			S: -ERR unknown mechanism
			C: AUTH LOGIN
			S: -ERR unknown mechanism
			C: AUTH PLAIN !
			S: -ERR not base64
			C: AUTH PLAIN =
			S: -ERR [AUTH] authentication failed
			C: AUTH PLAIN AAAA BBBB
			S: -ERR AUTH takes a mechanism and an initial response
			C: AUTH PLAIN
			S: +...
			C: !
			S: -ERR not base64
			C: AUTH PLAIN
			S: +...
			C: QUIT
			S: -ERR...
			C: UTF8
			S: +OK UTF-8 it is
			C: LANG
			S: +OK languages follow
			S: en English
			S: .
			C: LANG *
			S: +OK en texts are in English
			C: LANG de
			S: -ERR no such language
			C: STLS
			S: -ERR TLS is on already
			C: QUIT
			S: +OK bye
			GONE
		`)
		c := w.secure() // RFC 5034 section 4: longer than other lines
		c.ask("AUTH PLAIN "+b64("\x00ann\x00"+strings.Repeat("x", 8000)), "-ERR [AUTH] authentication failed")
		c.ask("AUTH PLAIN", "+ ")
		c.ask(b64("\x00ann\x00"+strings.Repeat("x", 8000)), "-ERR [AUTH] authentication failed")
		c.ask("AUTH PLAIN", "+ ")
		c.raw(strings.Repeat("A", 13000) + "\r\n")
		c.want("-ERR line too long")
		c.gone()
	})
}

func TestNoLoginInClear(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.plain()
		for _, l := range []string{"USER ann", "PASS se cret", "AUTH PLAIN " + b64("\x00ann\x00se cret"), "AUTH PLAIN", "AUTH"} {
			c.ask(l, "-ERR [AUTH] logins need TLS: say STLS first, or use the port of implicit TLS")
		}
		if !w.logged("without TLS") {
			t.Errorf("log:\n%s", w.log.String())
		}
	})
}

func TestExclusiveLock(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.login()
		d := w.secure()
		d.ask("AUTH PLAIN "+b64("\x00ann\x00se cret"), "-ERR [IN-USE] another POP3 session has the mailbox open")
		d.raw("AUTH PLAIN " + b64("\x00ann\x00se cret") + "\r\n")
		time.Sleep(lockTime - time.Second)
		_ = c.Close()
		d.want("+OK 0...")
		e := w.secure()
		e.raw("AUTH PLAIN " + b64("\x00ann\x00se cret") + "\r\n")
		synctest.Wait()
		start := time.Now()
		w.cancel()
		e.want("-ERR [IN-USE]...")
		if time.Since(start) != 0 {
			t.Error("a login in waiting holds up the drain")
		}
	})
}

func TestLockIsGivenBackFirst(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for range 10 {
			w.login().ask("QUIT", "+OK bye, 0 deleted, 0 left")
		}
	})
}

func TestLoginDelay(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.login()
		c.ask("QUIT", "+OK...")
		c.gone()
		c = w.secure()
		c.ask("AUTH PLAIN "+b64("\x00ann\x00se cret"), "-ERR [LOGIN-DELAY] too soon after the last login")
		time.Sleep(30 * time.Second)
		c.ask("AUTH PLAIN "+b64("\x00ann\x00se cret"), "+OK...")
	}, func(c *Config, _ *Deps) { c.LoginDelay = 30 * time.Second })
}
