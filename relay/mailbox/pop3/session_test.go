package pop3

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

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

// scram runs the client's side and gives the last reply.
// Whatever is wrong with a name or password, the client hears the same; what
// is no fault of its own it hears.
// Without TLS nobody can log in, and the log tells the operator who tried.
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

// The mailbox is one session's; a login waits a little for the end of another.
// Who hears that a session is over can begin the next.
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
