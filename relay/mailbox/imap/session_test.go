package imap_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

// A message with NUL comes back as it was by BINARY, and without NUL by BODY.
func TestBinaryMessage(t *testing.T) {
	inWorld(t, func(w *world) {
		c := w.login("ann")
		w.conns["1"] = c
		msg := "Subject: x\r\nContent-Transfer-Encoding: binary\r\n\r\n\x00\x01\x02"
		for _, step := range []struct{ command, want string }{
			{"APPEND INBOX ~{52+}\r\n" + msg, "OK [APPENDUID"},
			{"APPEND INBOX {52+}\r\n" + msg, "BAD [CLIENTBUG] NUL"},
			{"APPEND INBOX ~{14+}\r\nSubject: \x00\r\n\r\n", "NO [UNKNOWN-CTE]"},
			{"SELECT INBOX", "OK"},
			{"FETCH 1:* BODY.PEEK[1]", "* 1 FETCH (BODY[1] {6}\nAAEC\n)\nt OK"},
			{"FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[1])", "* 1 FETCH (BINARY[1] ~{3}\n\x00\x01\x02 BINARY.SIZE[1] 3)\nt OK"},
		} {
			lines, err := c.ask("t", step.command)
			got := strings.TrimPrefix(strings.Join(lines, "\n"), "t ")
			if step.command[0] == 'S' && len(lines) > 0 {
				got = strings.TrimPrefix(lines[len(lines)-1], "t ")
			}
			if err != nil || !strings.HasPrefix(got, step.want) {
				t.Fatalf("%.40q: got %q, %v, want %q", step.command, got, err, step.want)
			}
		}
	})
}

// What cannot be judged is told apart from what is wrong; SCRAM is offered.
func TestLogins(t *testing.T) {
	inWorld(t, func(w *world) {
		c := w.dial()
		w.conns["1"] = c
		greeting, err := c.line()
		if err != nil || !strings.Contains(greeting, "AUTH=SCRAM-SHA-256 AUTH=PLAIN") {
			t.Fatalf("%q, %v", greeting, err)
		}
		for _, step := range []struct{ command, want string }{
			{"LOGIN busy secret", "t NO [UNAVAILABLE]"},
			{"LOGIN ann wrong", "t NO [AUTHENTICATIONFAILED]"},
			{"AUTHENTICATE PLAIN AGFubgB3cm9uZw==", "t NO [AUTHENTICATIONFAILED]"},
			{"AUTHENTICATE LOGIN", "t NO This mechanism is not offered"},
			{"AUTHENTICATE PLAIN AGFubgBzZWNyZXQ=", "t OK [CAPABILITY"},
			{"LOGIN ann secret", "t BAD"},
		} {
			lines, err := c.ask("t", step.command)
			if err != nil || !strings.HasPrefix(lines[len(lines)-1], step.want) {
				t.Fatalf("%s: got %q, %v, want %q", step.command, lines, err, step.want)
			}
		}
	})
}

// 2,000 messages are told in one go to a session that idles, and to one that asks.
func TestManyAtOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		c, idler := w.login("ann"), w.login("ann")
		w.conns["1"], w.conns["2"] = c, idler
		for range 2000 {
			w.put("ann@b.test", "INBOX", "Subject: x\r\n\r\n")
		}
		must := func(c *client, command, last string) []string {
			lines, err := c.ask("t", command)
			if err != nil || !strings.HasPrefix(lines[len(lines)-1], last) {
				t.Fatalf("%s: %q, %v", command, lines[max(0, len(lines)-3):], err)
			}
			return lines
		}
		must(c, "SELECT INBOX", "t OK")
		must(idler, "SELECT INBOX", "t OK")
		if _, err := idler.Write([]byte("i IDLE\r\n")); err != nil {
			t.Fatal(err)
		}
		if l, err := idler.line(); err != nil || l != "+ idling" {
			t.Fatal(l, err)
		}
		synctest.Wait()
		if n := len(must(c, "STORE 1:* +FLAGS (\\Deleted)", "t OK")); n != 2001 {
			t.Errorf("%d lines for STORE", n)
		}
		if n := len(must(c, "EXPUNGE", "t OK")); n != 2001 {
			t.Errorf("%d lines for EXPUNGE", n)
		}
		expunged := 0
		for expunged < 2000 {
			l, err := idler.line()
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(l, " EXPUNGE") {
				expunged++
			}
		}
		must(c, "FETCH 1:* FLAGS", "t OK")
	})
}

// An envelope is the same whether it comes from what is kept beside a message or
// from the message.
func TestEnvelope(t *testing.T) {
	inWorld(t, func(w *world) {
		c := w.login("ann")
		w.conns["1"] = c
		for _, m := range []string{
			"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nFrom: \"A (b)\" <a@b>, c\r\n d\r\nTo: x: y@z, w@v;\r\nSubject: =?utf-8?q?J=C3=B6?=\r\nMessage-ID: <m>\r\n",
			"Subject: one\r\nSubject: two\r\nFrom: a@b\r\nFrom: c@d\r\n",
			"",
		} {
			w.put("ann@b.test", "INBOX", m+"\r\ntext")
		}
		if _, err := c.ask("t", "SELECT INBOX"); err != nil {
			t.Fatal(err)
		}
		kept, err := c.ask("t", "FETCH 1:* ENVELOPE")
		if err != nil || len(kept) != 4 {
			t.Fatal(kept, err)
		}
		read, err := c.ask("t", "FETCH 1:* (ENVELOPE BODY.PEEK[]<0.1>)")
		if err != nil || len(read) != 7 {
			t.Fatal(read, err)
		}
		for i, got := range kept[:3] {
			want, _, _ := strings.Cut(read[2*i], " BODY[]") // the rest of it is a line of its own
			if strings.TrimSuffix(got, ")") != want {
				t.Errorf("%s, but %s", got, want)
			}
		}
	})
}

// What is appended with bare LF, or without a last line end, is kept with CRLF:
// its size is that of what FETCH sends.
func TestAppendedLineEnds(t *testing.T) {
	inWorld(t, func(w *world) {
		c := w.login("ann")
		const text, kept = "Subject: x\n\na\rb\r\nc", "Subject: x\r\n\r\na\rb\r\nc\r\n"
		if _, err := c.ask("a", fmt.Sprintf("APPEND INBOX {%d+}\r\n%s", len(text), text)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.ask("b", "SELECT INBOX"); err != nil {
			t.Fatal(err)
		}
		lines, err := c.ask("c", "FETCH 1 (RFC822.SIZE BODY.PEEK[])")
		want := fmt.Sprintf("* 1 FETCH (RFC822.SIZE %d BODY[] {%d}\r\n%s)", len(kept), len(kept), kept)
		if got := strings.Join(lines[:max(0, len(lines)-1)], "\r\n"); err != nil || got != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	})
}
