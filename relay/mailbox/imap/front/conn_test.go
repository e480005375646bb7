package front_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/door"
	"tenma/relay/mailbox/imap/front"
)

func implicit(w *world) { w.door.Mode = door.TLSImplicit }

// implicitPeer is login on a listener that begins with TLS.
func (w *world) implicitPeer() *peer {
	w.t.Helper()
	p := w.dial()
	p.tls()
	p.want("* OK [CAPABILITY")
	return p
}

// script is a whole conversation of a client that does not wait, but where it must
// not go on without leave.
const script = "a1 LOGIN {3+}\r\nann \"secret\"\r\n" +
	"a2 CREATE {4+}\r\nWork\r\n" +
	"a3 APPEND Work () {12+}\r\nSubject: x\r\n\r\n" +
	"a4 SELECT {4+}\r\nWork\r\n" +
	"a5 SEARCH SUBJECT {3+}\r\nx\"\\ ALL\r\n" +
	"a6 SEARCH HEADER SUBJECT \"x\" NOT (DELETED)\r\n" +
	"a7 NOOP\n" +
	"a8 IDLE\r\nDONE\r\n" +
	"a9 ID (\"name\" {4+}\r\na\r\nb)\r\n" +
	"b0 STORE 1 +FLAGS (\\Flagged)\r\n" +
	"b1 APPEND Work ~{3+}\r\nabc\r\n" +
	"b2 LIST \"\" *\r\n" +
	"b3 BOGUS {3+}\r\nabc \"\r\n" +
	"b4 LOGOUT\r\n"

// heard reads everything up to the end, without what differs from time to time.
func (p *peer) heard() string {
	p.t.Helper()
	_ = p.SetReadDeadline(time.Now().Add(24 * time.Hour))
	all, err := io.ReadAll(p.r)
	if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		p.t.Fatalf("no end for a day, after %q", all)
	}
	return string(all)
}

func TestConversation(t *testing.T) {
	const want = "a1 OK|a2 OK|a3 OK|a4 OK|* SEARCH|a5 OK|* SEARCH 1|a6 OK|a7 OK|+ idling|a8 OK|" +
		"a9 OK ID <(\"name\" \"a  b\")>|* 1 FETCH (UID 1 FLAGS (\\flagged))|b0 OK|b1 OK|* LIST|b2 OK|b3 BAD|* BYE|b4 OK"
	inWorld(t, func(t *testing.T, w *world) {
		p := w.implicitPeer()
		p.raw(script)
		all := p.heard()
		rest := all
		for piece := range strings.SplitSeq(want, "|") {
			_, after, ok := strings.Cut(rest, piece)
			if !ok {
				t.Fatalf("no %q in\n%s", piece, all)
			}
			rest = after
		}
		w.wantAppended(0, "Subject: x\r\n", "abc")
		w.wantLogins("ann secret")
		if w.closed != 1 {
			t.Errorf("%d sessions were closed", w.closed)
		}
	}, implicit)
}

// However the octets arrive, the conversation is the same.
func TestSplit(t *testing.T) {
	var want string
	converse := func(pieces ...string) (got string) {
		inWorld(t, func(_ *testing.T, w *world) {
			p := w.implicitPeer()
			for _, piece := range pieces {
				p.raw(piece)
				synctest.Wait()
			}
			got = p.heard()
		}, implicit)
		return got
	}
	want = converse(script)
	for i := 1; i < len(script); i++ {
		if got := converse(script[:i], script[i:]); got != want {
			t.Fatalf("split at %d, %q: heard\n%s\nwant\n%s", i, script[i-1:i+1], got, want)
		}
	}
	if got := converse(strings.Split(script, "")...); got != want {
		t.Fatalf("octet by octet: heard\n%s\nwant\n%s", got, want)
	}
}

// Many commands in one packet are answered in one.
func TestPipelining(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p := w.inbox()
		synctest.Wait()
		w.mu.Lock()
		w.writes = 0
		w.mu.Unlock()
		var ask, want strings.Builder
		for i := range 100 {
			fmt.Fprintf(&ask, "c%d NOOP\r\n", i)
			fmt.Fprintf(&want, "c%d OK NOOP completed\r\n", i)
		}
		p.raw(ask.String())
		got := make([]byte, want.Len())
		if _, err := io.ReadFull(p.r, got); err != nil || string(got) != want.String() {
			t.Errorf("heard %v %.200q", err, got)
		}
		synctest.Wait()
		if w.writes != 1 {
			t.Errorf("%d writes, want 1", w.writes)
		}
	})
}

func TestOwnCommands(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 10_000) // 160 KB
	inWorld(t, func(t *testing.T, w *world) {
		w.handle = func(s *session, out *front.Writer, cmd *front.Command) string {
			switch cmd.Name {
			case "FETCH":
				fmt.Fprintf(out, "* 1 FETCH (BODY[] {%d}\r\n", len(big))
				_, _ = out.Write(big)
				_, _ = out.WriteString(")\r\n")
				return "OK FETCH completed"
			case "GETQUOTA":
				s.conn.Bye("[UNAVAILABLE] gone\r\n* OK")
				return "OK"
			}
			return "OK " + cmd.Name + "\r\n|" + cmd.Args
		}
		p := w.inbox()
		p.raw("f FETCH 1 BODY[]\r\ng NOOP\r\n")
		p.want(fmt.Sprintf("* 1 FETCH (BODY[] {%d}", len(big)))
		got := make([]byte, len(big))
		if _, err := io.ReadFull(p.r, got); err != nil || !bytes.Equal(got, big) {
			t.Errorf("the literal is not what was written: %v", err)
		}
		p.want(")", "f OK FETCH completed", "g OK")
		p.raw("h uid sort (DATE) UTF-8 SUBJECT {5}\r\n")
		p.want("+ ")
		p.raw("a\"\\\rb\r\n")
		p.want(`h OK UID SORT  |(DATE) UTF-8 SUBJECT "a\"\\ b"`)
		p.ask("i GETQUOTA", "* BYE [UNAVAILABLE] gone  * OK")
		p.gone()
	})
}

func TestHooks(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.rewrite = func(cmd *front.Command) string {
			cmd.Args = strings.TrimSuffix(cmd.Args, " (CONDSTORE)")
			if cmd.Name == "DELETE" {
				return "NO [CANNOT] never"
			}
			return ""
		}
		w.response = func(cmd *front.Command, line []byte) []byte {
			switch {
			case bytes.HasPrefix(line, []byte("* FLAGS")):
				return nil
			case cmd != nil && bytes.HasPrefix(line, []byte(cmd.Tag+" OK")):
				return append(line, " (edited)"...)
			}
			return line
		}
		w.caps = func(caps []string, loggedIn bool) []string {
			return append(caps, "AUTH=EVIL", "STARTTLS", fmt.Sprintf("X-%v", loggedIn))
		}
		p := w.dial()
		if l := p.want("* OK"); !strings.Contains(l, " X-false STARTTLS LOGINDISABLED] ") || strings.Contains(l, "EVIL") {
			t.Error(l)
		}
		p.ask("t STARTTLS", "t OK")
		p.tls()
		if l := p.ask("l LOGIN ann secret", "l OK"); !strings.Contains(l, " X-true] ") || strings.Contains(l, "STARTTLS") || strings.Contains(l, "AUTH=") || !strings.HasSuffix(l, " (edited)") {
			t.Error(l)
		}
		p.raw("a SELECT INBOX (CONDSTORE)\r\n")
		for _, l := range p.until("a ") {
			if strings.HasPrefix(l, "* FLAGS") || strings.HasPrefix(l, "a ") && !strings.HasSuffix(l, "(edited)") {
				t.Error(l)
			}
		}
		p.ask("b DELETE INBOX", "b NO [CANNOT] never")
	})
}

// Lines of the library's with literals in them pass as they are.
func TestLiteralsOfTheLibrary(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.response = func(_ *front.Command, line []byte) []byte {
			return bytes.ReplaceAll(line, []byte("Subject"), []byte("EDITED"))
		}
		w.front.Own = nil
		p := w.inbox()
		body := "Subject: {5}\r\n\r\n* OK [CAPABILITY X]\r\n* 1 {5}\r\n" + strings.Repeat("x", 5000) + "\r\n"
		p.raw(fmt.Sprintf("a APPEND INBOX {%d+}\r\n%s\r\n", len(body), body))
		p.until("a OK")
		p.raw("b FETCH 1 (BODY.PEEK[] UID)\r\n")
		want := fmt.Sprintf("* 1 FETCH (UID 1 BODY[] {%d}\r\n%s)\r\nb OK", len(body), body)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(p.r, got); err != nil || string(got) != want {
			t.Errorf("heard %v %.300q", err, got)
		}
	})
}

// Texts of answers may be anybody's, and no literal follows them.
func TestTextsOfTheLibrary(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.caps = func(caps []string, _ bool) []string { return append(caps, "X-EDITED") }
		p := w.login()
		for _, text := range []string{"x {20}", "* 1 x {20}", "+ x", "a OK [CAPABILITY X]"} {
			p.ask(fmt.Sprintf("a DELETE %q", text), "a NO "+text)
			if l := p.ask("b CAPABILITY", "* CAPABILITY"); !strings.HasSuffix(l, " X-EDITED") {
				t.Error(l)
			}
			p.want("b OK")
			p.ask("c NOOP", "c OK")
		}
	})
}

// Nobody who does not read holds a connection, or memory, for long.
func TestSlowReader(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var wrote int
		var failed error
		w.handle = func(_ *session, out *front.Writer, _ *front.Command) string {
			for failed == nil && wrote < 1<<30 {
				var n int
				n, failed = out.Write(make([]byte, 10_000))
				wrote += n
			}
			return "OK"
		}
		p := w.inbox()
		p.raw("f FETCH 1 BODY[]\r\n")
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if !errors.Is(failed, net.ErrClosed) || wrote > 1<<20 {
			t.Errorf("%d octets were written, then %v", wrote, failed)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.closed != 1 {
			t.Error("the session is still there")
		}
	})
}

func TestIdle(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.inbox(), w.login()
		a.ask("i IDLE", "+ idling")
		b.raw("x APPEND INBOX {3+}\r\nabc\r\n")
		b.want("x OK")
		a.want("* 1 EXISTS") // at once: nothing else is sent
		a.ask("done", "i OK")
		a.ask("j IDLE", "+ idling")
		a.ask("k NOOP", "j BAD")
		a.ask("l NOOP", "l OK")
		began := time.Now()
		a.ask("m IDLE", "+ idling")
		a.want("* BYE idle for too long")
		a.gone()
		if d := time.Since(began); d < 30*time.Minute {
			t.Errorf("IDLE ended after %v", d)
		}
	})
}

// The session may end the connection while nothing goes on.
func TestByeInIdle(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		began := time.Now()
		w.idle = func(s *session) { time.AfterFunc(time.Second, func() { s.conn.Bye("[UNAVAILABLE] moved") }) }
		p := w.login()
		p.ask("i IDLE", "+ idling", "* BYE [UNAVAILABLE] moved")
		p.gone()
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("gone after %v", d)
		}
	})
}

// A client that leaves, or does not read, in IDLE leaves nothing behind.
func TestIdleEndsWithTheClient(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, deaf, b := w.inbox(), w.inbox(), w.login()
		a.ask("i IDLE", "+ idling")
		deaf.ask("i IDLE", "+ idling")
		_ = a.Close()
		synctest.Wait()
		b.ask("n NOOP", "n OK")
		for range 20 { // fills what is between us and the deaf one
			for i := range 300 {
				b.raw(fmt.Sprintf("x%d APPEND INBOX {1+}\r\nx\r\n", i))
			}
			b.until("x299 OK")
			b.ask("n NOOP", "n OK")
		}
		time.Sleep(2 * time.Minute)
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.closed != 2 {
			t.Errorf("%d sessions are closed, want 2", w.closed)
		}
	})
}

func TestIdleTime(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p := w.inbox()
		time.Sleep(34 * time.Minute)
		p.ask("a NOOP", "a OK")
		began := time.Now()
		p.want("* BYE idle for too long")
		p.gone()
		if d := time.Since(began); d != 35*time.Minute {
			t.Errorf("idle for %v", d)
		}
		p = w.inbox()
		began = time.Now()
		p.raw("a NO") // half a command
		p.want("* BYE command came too slowly")
		p.gone()
		if d := time.Since(began); d > 2*time.Minute {
			t.Errorf("half a command for %v", d)
		}
	})
}

func TestBadCommands(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p := w.inbox()
		for _, c := range []struct{ line, want string }{
			{"a SEARCH " + strings.Repeat("(", 101) + strings.Repeat(")", 101), "a BAD parentheses"},
			{"a SEARCH" + strings.Repeat(" NOT", 3000) + " ALL", "a BAD too many search keys"},
			{"a SEARCH " + strings.Repeat("or ", 3000) + " ALL", "a BAD too many search keys"},
			{"a SEARCH SUBJECT \"a\x00b\"", "a BAD NUL"},
			{"a SEARCH SUBJECT a\rb", "a BAD bare CR"},
			{"a SEARCH SUBJECT \"ab", "a BAD quoted string"},
			{"a SEARCH SUBJECT \"ab {100+}", "a BAD quoted string"},
			{"a SEARCH SUBJECT {3+}\r\na\x00b", "a BAD NUL"},
			{"a SEARCH SUBJECT {3+}\r\na\r\n", "a BAD line end"},
			{"a SEARCH UID " + strings.Repeat("1,", 30_000) + "1", "a BAD [TOOBIG]"},
			{"", "* BAD"},
			{" ", "* BAD"},
			{"+ NOOP", "* BAD"},
			{"* NOOP", "* BAD"},
			{"a", "a BAD"},
			{"a ", "a BAD"},
			{strings.Repeat("a", 65) + " NOOP", "* BAD"},
			{"a UID", "a BAD"},
			{"a UID NOOP", "a BAD"},
			{"a UNAUTHENTICATE", "a BAD"},
			{"a STATUS {", "a BAD"},
			{"a STATUS {+}", "a BAD"},
		} {
			p.ask(c.line, c.want)
			p.ask("z NOOP", "z OK")
		}
		p.ask("a SEARCH UID "+strings.Repeat("1,", 20_000)+"1", "* SEARCH", "a OK")
		p.ask("a SEARCH SUBJECT {1+}  \r\nx", "* SEARCH", "a OK")
		p.ask("b SEARCH "+strings.Repeat("OR SEEN ", 900)+"SEEN", "* SEARCH", "b OK")
		p.raw("c SEARCH" + strings.Repeat(" SUBJECT {1+}\r\nx", 101) + "\r\n")
		p.want("c BAD too many literals")
		p.raw("d SEARCH SUBJECT {40000+}\r\n" + strings.Repeat("x", 40000) + " SUBJECT {40000+}\r\n" + strings.Repeat("x", 40000))
		p.want("d NO [TOOBIG]", "* BYE [TOOBIG]")
		p.gone()

		p = w.inbox()
		p.raw("a SEARCH UID 1" + strings.Repeat(",1", 40_000))
		p.want("* BYE [TOOBIG] line too long")
		p.gone()

		p = w.inbox()
		for range 21 {
			p.ask("a BOGUS", "a BAD")
		}
		p.want("* BYE too many bad")
		p.gone()
	})
}
