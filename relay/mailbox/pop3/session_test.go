package pop3

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xdg-go/scram"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

const (
	short  = "Subject: one\r\n\r\nhello\r\n"
	dotted = "Subject: two\r\n\r\n.\r\n..\r\na.\r\n.b\r\n"
)

// A whole session, as RFC 1939 section 10 tells one.
func TestSession(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.box.put(short, dotted, "a: b\r\n\r\n1\r\n2\r\n3\r\n")
		w.login().talk(`
			C: STAT
			S: +OK 3 71
			C: LIST
			S: +OK 3 messages (71 octets)
			S: 1 23
			S: 2 31
			S: 3 17
			S: .
			C: LIST 2
			S: +OK 2 31
			C: UIDL
			S: +OK 3 messages (71 octets)
			S: 1 V.1
			S: 2 V.2
			S: 3 V.3
			S: .
			C: UIDL 3
			S: +OK 3 V.3
			C: RETR 2
			S: +OK 31 octets
			S: Subject: two
			S::
			S: ..
			S: ...
			S: a.
			S: ..b
			S: .
			C: TOP 3 1
			S: +OK 17 octets
			S: a: b
			S::
			S: 1
			S: .
			C: TOP 3 0
			S: +OK 17 octets
			S: a: b
			S::
			S: .
			C: TOP 3 99
			S: +OK 17 octets
			S: a: b
			S::
			S: 1
			S: 2
			S: 3
			S: .
			C: DELE 1
			S: +OK message 1 is deleted at QUIT
			C: DELE 1
			S: -ERR message 1 is deleted
			C: RETR 1
			S: -ERR message 1 is deleted
			C: LIST
			S: +OK 2 messages (48 octets)
			S: 2 31
			S: 3 17
			S: .
			C: STAT
			S: +OK 2 48
			C: RSET
			S: +OK 3 messages (71 octets)
			C: STAT
			S: +OK 3 71
			C: DELE 3
			S: +OK message 3 is deleted at QUIT
			C: NOOP
			S: +OK nothing done
			C: QUIT
			S: +OK bye, 1 deleted, 2 left
			GONE
		`)
		synctest.Wait()
		if left, _ := w.box.left(); !slices.Equal(left, []int{1, -2}) {
			t.Errorf("left: %v", left)
		}
	})
}

// CAPA tells of logins only where they are possible, and of STLS only where
// it is.
func TestCapabilities(t *testing.T) {
	capabilities := func(c *client) string {
		c.ask("CAPA", "+OK capabilities follow")
		var all []string
		for l := c.line(); l != "." && l != ""; l = c.line() {
			all = append(all, l)
		}
		slices.Sort(all)
		return strings.Join(all, ", ")
	}
	with := func(more ...string) string {
		all := append(more, "TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "UTF8 USER", "LANG", "IMPLEMENTATION tenma")
		slices.Sort(all)
		return strings.Join(all, ", ")
	}
	const login, plain = "SASL SCRAM-SHA-256 PLAIN", "USER"
	for name, tt := range map[string]struct {
		opt                    option
		clear, secure, entered string
	}{
		"nothing said": {
			func(*Config, *Deps) {},
			with("STLS", "EXPIRE NEVER"), with(login, plain, "EXPIRE NEVER"), with(login, plain, "EXPIRE NEVER"),
		},
		"expiry for all, delay": {
			func(c *Config, _ *Deps) { c.Expire, c.LoginDelay = 30, 90*time.Second },
			with("STLS", "EXPIRE 30", "LOGIN-DELAY 90"), with(login, plain, "EXPIRE 30", "LOGIN-DELAY 90"), with(login, plain, "EXPIRE 30", "LOGIN-DELAY 90"),
		},
		"expiry of an account": {
			func(_ *Config, d *Deps) { d.Expire = func(a string) int { return len(a) } },
			with("STLS"), with(login, plain), with(login, plain, "EXPIRE 13"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				c := w.plain()
				if got := capabilities(c); got != tt.clear {
					t.Errorf("in clear %s, want %s", got, tt.clear)
				}
				c.ask("STLS", "+OK begin TLS")
				c.handshake()
				if got := capabilities(c); got != tt.secure {
					t.Errorf("under TLS %s, want %s", got, tt.secure)
				}
				c.ask("AUTH PLAIN "+b64("\x00ann\x00se cret"), "+OK...")
				if got := capabilities(c); got != tt.entered {
					t.Errorf("logged in %s, want %s", got, tt.entered)
				}
			}, tt.opt)
		})
	}
}

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
				if !w.logged("pop3: login") || !w.logged("account=ann@ours.test") || !w.logged("client="+somebody) {
					t.Errorf("log:\n%s", w.log.String())
				}
			})
		})
	}
}

// scram runs the client's side and gives the last reply.
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

// Whatever is wrong with a name or password, the client hears the same; what
// is no fault of its own it hears.
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

// Without TLS nobody can log in, and the log tells the operator who tried.
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

// Each command in each state.
func TestStates(t *testing.T) {
	const no, in, out = "-ERR log in first", "-ERR already logged in", "-ERR unknown command"
	for line, want := range map[string][3]string{ // in clear, under TLS, logged in
		"CAPA":     {"+OK...", "+OK...", "+OK..."},
		"LANG *":   {"+OK...", "+OK...", "+OK..."},
		"NOOP":     {"+OK...", "+OK...", "+OK..."},
		"QUIT":     {"+OK bye", "+OK bye", "+OK bye, 0 deleted, 1 left"},
		"UTF8":     {"+OK...", "+OK...", in},
		"STLS":     {"+OK begin TLS", "-ERR TLS is on already", in},
		"USER ann": {"-ERR [AUTH]...", "+OK...", in},
		"PASS x":   {"-ERR [AUTH]...", "-ERR USER first", in},
		"AUTH":     {"-ERR [AUTH]...", "+OK...", in},
		"STAT":     {no, no, "+OK 1 23"}, "STAT ": {no, no, "+OK 1 23"},
		"LIST": {no, no, "+OK 1 messages (23 octets)"}, "LIST 1": {no, no, "+OK 1 23"}, "LIST  1 ": {no, no, "+OK 1 23"},
		"LIST 0": {no, no, "-ERR no such message, there are 1"}, "LIST 2": {no, no, "-ERR no such message, there are 1"},
		"LIST -1": {no, no, "-ERR a message number is wanted"}, "LIST 99999999999999999999": {no, no, "-ERR no such message, there are 1"},
		"LIST 18446744073709551617": {no, no, "-ERR no such message, there are 1"}, // 2^64 + 1
		"UIDL 1":                    {no, no, "+OK 1 V.1"}, "UIDL x": {no, no, "-ERR a message number is wanted"},
		"RETR 1": {no, no, "+OK 23 octets"}, "RETR": {no, no, "-ERR a message number is wanted"}, "RETR 1 1": {no, no, "-ERR a message number is wanted"},
		"TOP 1 0": {no, no, "+OK 23 octets"}, "TOP 1": {no, no, "-ERR a number of lines is wanted"}, "TOP 1 -1": {no, no, "-ERR a number of lines is wanted"},
		"DELE 1": {no, no, "+OK message 1 is deleted at QUIT"}, "DELE 01": {no, no, "+OK message 1 is deleted at QUIT"}, "DELE": {no, no, "-ERR a message number is wanted"},
		"RSET": {no, no, "+OK 1 messages (23 octets)"},
		"LAST": {out, out, out}, "APOP a b": {out, out, out}, "": {out, out, out}, " STAT": {out, out, out}, "STATS": {out, out, out},
		"STAT\x00": {"-ERR NUL in a command", "-ERR NUL in a command", "-ERR NUL in a command"},
	} {
		t.Run(line, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.box.put(short)
				for i, begin := range []func() *client{w.plain, w.secure, w.login} {
					c := begin()
					c.ask(line, want[i])
					_ = c.Close()
					synctest.Wait()
				}
			})
		})
	}
}

func TestExclusiveLock(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.login()
		d := w.secure()
		d.ask("AUTH PLAIN "+b64("\x00ann\x00se cret"), "-ERR [IN-USE] another POP3 session has the mailbox open")
		_ = c.Close()
		synctest.Wait()
		d.ask("AUTH PLAIN "+b64("\x00ann\x00se cret"), "+OK 0...")
	})
}

// Who hears that a session is over can begin the next.
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

// What arrives is not there until the next session; what another client takes
// away is missed only by who asks for it.
func TestSnapshot(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.box.put(short, dotted, short)
		c := w.login()
		w.box.put(short)
		w.box.expunge(2)
		c.ask("STAT", "+OK 3 77")
		c.ask("RETR 4", "-ERR no such message, there are 3")
		c.ask("RETR 2", "-ERR the message is gone: another client has deleted it")
		c.ask("UIDL 3", "+OK 3 V.3")
		c.ask("DELE 2", "+OK...")
		c.ask("DELE 3", "+OK...")
		c.ask("QUIT", "+OK bye, 2 deleted, 1 left")
		c.gone()
		c = w.login()
		c.ask("UIDL", "+OK 2 messages (46 octets)", "1 V.1", "2 V.4", ".")
	})
}

// A session that ends in any other way than by QUIT deletes nothing.
func TestOnlyQuitDeletes(t *testing.T) {
	said := "STAT\r\nDELE 1\r\nRETR 2\r\nDELE 2\r\nQUIT"
	for cut := range len(said) + 1 {
		inWorld(t, func(t *testing.T, w *world) {
			w.box.put(short, dotted)
			c := w.login()
			c.raw(said[:cut])
			if cut%2 == 0 {
				synctest.Wait()
			}
			_ = c.Close()
			synctest.Wait()
			if left, _ := w.box.left(); len(left) != 2 {
				t.Errorf("%q, and %v are left", said[:cut], left)
			}
		})
	}
}

func TestFailedUpdate(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.box.put(short, short)
		w.box.set(faults{remove: errors.New("the disk is gone")})
		c := w.login()
		c.ask("DELE 1", "+OK...")
		c.ask("QUIT", "-ERR [SYS/TEMP] nothing was deleted")
		c.gone()
		if left, _ := w.box.left(); len(left) != 2 || !w.logged("the disk is gone") {
			t.Errorf("left: %v", left)
		}
	})
}

// A message that cannot be read whole never looks whole.
func TestFailedRead(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.box.put(strings.Repeat("a line of the message\r\n", 10000))
		w.box.set(faults{start: errors.New("the disk is gone")})
		c := w.login()
		c.ask("RETR 1", "-ERR [SYS/TEMP] the message cannot be read now")
		w.box.set(faults{read: errors.New("the disk is gone")})
		c.raw("RETR 1\r\n")
		for l := c.line(); l != ""; l = c.line() {
			if l == "." {
				t.Fatal("it ends as if it were whole")
			}
		}
		synctest.Wait()
		if left, _ := w.box.left(); !w.logged("the disk is gone") || left[0] < 0 {
			t.Errorf("left: %v, log:\n%s", left, w.log.String())
		}
	})
}

// What was read is marked, also when the connection drops; and what was fetched is
// known to retention, also by a client that uses TOP for it.
func TestMarks(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.box.put(short, short, short, short)
		c := w.login()
		for _, l := range []string{"TOP 1 99", "RETR 2", "TOP 3 99999999", "RETR 4"} {
			c.ask(l, "+OK 23 octets", "Subject: one", "", "hello", ".")
		}
		c.ask("DELE 4", "+OK...")
		_ = c.Close()
		synctest.Wait()
		left, fetched := w.box.left()
		if !slices.Equal(left, []int{1, -2, 3, -4}) || !slices.Equal(fetched, []int{2, 3, 4}) {
			t.Errorf("left: %v, fetched: %v", left, fetched)
		}
		w.box.set(faults{marking: errors.New("the disk is gone")})
		c = w.login()
		c.ask("RETR 1", "+OK 23 octets", "Subject: one", "", "hello", ".")
		c.ask("DELE 4", "+OK...")
		c.ask("QUIT", "+OK bye, 1 deleted, 3 left") // the client is none the worse
		if !w.logged("could not be marked") {
			t.Errorf("log:\n%s", w.log.String())
		}
	})
}

// Sizes are the octets that cross the wire, without stuffed dots.
func TestSizesAreExact(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		bodies := []string{
			"", "\r\n", "a\r\n", ".\r\n", "..\r\n\r\n.\r\n", dotted, strings.Repeat(".\r\n", 50000),
			strings.Repeat("x", 300000) + "\r\n", strings.Repeat(strings.Repeat("y", 76)+"\r\n", 5000),
		}
		w.box.put(bodies...)
		c := w.login()
		for i, body := range bodies {
			c.ask(fmt.Sprint("RETR ", i+1), fmt.Sprintf("+OK %d octets", len(body)))
			var got strings.Builder
			for {
				l, err := c.r.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				if l == ".\r\n" {
					break
				}
				got.WriteString(strings.TrimPrefix(l, "."))
			}
			if got.String() != body {
				t.Errorf("message %d: %d octets of %d", i+1, got.Len(), len(body))
			}
		}
	})
}
