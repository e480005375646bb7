package front_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// talk sends octets, closes our direction, and gives all that the server said; the
// bubble sees to it that nothing hangs.
func (p *peer) talk(octets string) string {
	p.t.Helper()
	_ = p.SetDeadline(time.Now().Add(24 * time.Hour))
	heard := make(chan string)
	go func() {
		all, _ := io.ReadAll(p.r)
		heard <- string(all)
	}()
	_, _ = io.WriteString(p, octets) // the server may close first
	if c, ok := p.Conn.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite()
	}
	return <-heard
}

// forget leaves what the library logged to the library, but for panics of ours.
func (w *world) forget(t *testing.T) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, line := range w.said {
		if strings.Contains(line, "panic") && strings.Contains(line, "imap/front.") {
			t.Error(line)
		}
	}
	w.said = nil
}

// Whatever is said on plaintext, no password comes as far as the session.
func FuzzPlaintext(f *testing.F) {
	f.Add(script)
	f.Add("a NOOP {20+}\r\nh LOGIN ann secret\r\n\r\n")
	f.Add("a CAPABILITY \"\r\nb LOGIN ann secret\r\n\"\r\n")
	f.Add("a LOGIN {3} \r\nann {6+} \r\nsecret\r\n")
	f.Add("a AUTHENTICATE PLAIN\r\nAGFubgBzZWNyZXQ=\r\n")
	f.Add("a STARTTLS\r\nb LOGIN ann secret\r\n")
	f.Add("a ID (\"x\" {10}\r\nc LOGIN x \r\n)\r\nd LOGIN x y\r\n")
	f.Fuzz(func(t *testing.T, octets string) {
		inWorld(t, func(t *testing.T, w *world) {
			p := w.dial()
			p.talk(octets)
			w.wantLogins()
			w.forget(t)
		})
	})
}

// Whatever a client says, the conversation ends, and its lines are lines.
func FuzzLoggedIn(f *testing.F) {
	f.Add(script)
	f.Add("a APPEND INBOX {5+}\r\nabcde\r\nb APPEND INBOX {5}\r\nab")
	f.Add("a APPEND {5+}\r\nINBOX {10+}\r\n0123456789 {3+}\r\nabc\r\n")
	f.Add("a APPEND INBOX UTF8 (~{3+}\r\nabc)\r\n")
	f.Add("a APPEND INBOX {5+}\r\n0000\r\nb NOOP\r\n")
	f.Add("a IDLE\r\nb NOOP\r\nc IDLE\r\ndone\r\n")
	f.Add("a SEARCH NOT (OR SUBJECT \"\\\"\" {2+}\r\n\"x ALL)\r\nb UID SORT (DATE) UTF-8 ALL\r\n")
	f.Add("a LIST {70000+}\r\nxx")
	f.Add("a CREATE \"a{5}\"\r\nb LIST \"\" \"*\"\r\nc STATUS a{5} (MESSAGES)\r\n")
	f.Fuzz(func(t *testing.T, octets string) {
		inWorld(t, func(t *testing.T, w *world) {
			p := w.login()
			all := p.talk(octets)
			if all != "" && !strings.HasSuffix(all, "\r\n") {
				t.Errorf("heard %q", all)
			}
			w.forget(t)
		})
	})
}

// After any one line the library and the client are in step.
func FuzzInStep(f *testing.F) {
	for line := range strings.SplitSeq(script, "\r\n") {
		f.Add(strings.TrimPrefix(line, "a"))
	}
	f.Add("1 SEARCH SUBJECT \"a\\\\\" \"b\\\"\" (FROM {3} )")
	f.Add("1 STORE 1:* +FLAGS.SILENT (\\Seen \"x\")")
	f.Add("1 FETCH 1 (BODY[HEADER.FIELDS (\"{5}\" TO)]<0.5>)")
	f.Add("1 LIST (SUBSCRIBED) \"\" (\"a\" %) RETURN (STATUS (MESSAGES))")
	f.Add("1 SEARCH {+} {5 }")
	f.Add("1 SELECT \"&AOk\"")
	f.Fuzz(func(t *testing.T, line string) {
		trimmed := strings.TrimRight(line, " ")
		word := strings.ToUpper(line)
		if strings.ContainsAny(line, "\r\n") || strings.HasSuffix(trimmed, "}") || len(line) > 40_000 ||
			strings.Contains(word, "IDLE") || strings.Contains(word, "AUTHENTICATE") || strings.Contains(word, "LOGOUT") {
			t.Skip()
		}
		inWorld(t, func(t *testing.T, w *world) {
			p := w.inbox()
			p.raw(fmt.Sprintf("a%s\r\nzz NOOP\r\n", line))
			if got := p.untilEnd("zz "); got != "zz OK NOOP completed" {
				t.Errorf("heard %q", got)
			}
			w.forget(t)
		})
	})
}

// untilEnd reads up to a line with the prefix, or the end.
func (p *peer) untilEnd(prefix string) string {
	p.t.Helper()
	for {
		l, err := p.r.ReadString('\n')
		if l = strings.TrimRight(l, "\r\n"); strings.HasPrefix(l, prefix) || err != nil {
			return l
		}
	}
}
