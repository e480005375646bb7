package front_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/mailbox/imap/front"
)

func TestAppend(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p := w.login()
		p.ask("a APPEND INBOX {5}", "+ ")
		p.ask("a\r\nbc", "a OK")
		p.raw("b APPEND INBOX (\\Seen) \"17-Jul-1996 02:44:25 -0700\" {3+}\r\nabc\r\n")
		p.want("b OK")
		p.raw("c APPEND {5}\r\n")
		p.want("+ ")
		p.raw("INBOX {1}\r\n")
		p.want("+ ")
		p.ask("x", "c OK")
		p.raw("d APPEND INBOX UTF8 (~{2+}\r\nhi)\r\n")
		p.want("d OK")
		p.raw("e APPEND INBOX {0+}\r\n\r\n")
		p.want("e OK")
		big := strings.Repeat("0123456789\r\n", 80_000)
		p.raw(fmt.Sprintf("f APPEND INBOX {%d+}\r\n%s\r\n", len(big), big))
		p.want("f OK")
		w.wantAppended(0, "a\r\nbc", "abc", "x", "hi", "", big)
	})
}

// A refused message costs nobody anything, and the conversation stays in step.
func TestAppendRefused(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p := w.login()
		p.ask("a APPEND INBOX {10737418240}", "a NO [TOOBIG]")
		p.ask("b APPEND INBOX {99999999999999999999}", "b NO [TOOBIG]")
		p.raw("c APPEND INBOX {2000+}\r\n" + strings.Repeat("x", 2000) + "\r\nd NOOP\r\n")
		p.want("c NO [TOOBIG]", "d OK")
		p.raw("e APPEND INBOX wrong {30+}\r\nx LOGIN ann secret\r\nxxxxxxxxxx\r\nf NOOP\r\n") // the library refuses
		p.want("e BAD", "f OK")
		p.ask("g APPEND INBOX wrong {30}", "g BAD")
		p.raw("h APPEND nowhere {18+}\r\nx NOOP\r\nx NOOP\r\nab\r\ni NOOP\r\n")
		p.want("h NO [TRYCREATE]", "i OK")
		p.ask("j APPEND nowhere words", "j BAD")
		p.raw("k APPEND INBOX {10737418240+}\r\nabc")
		p.want("k NO [TOOBIG]", "* BYE [TOOBIG]")
		p.gone()
		w.wantAppended(0, "x NOOP\r\nx NOOP\r\nab")
	}, func(w *world) { w.limit = 1000 })
}

// The session may refuse a message before it comes.
func TestAppendRefusedBySession(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.rewrite = func(cmd *front.Command) string {
			if cmd.Name == "APPEND" {
				if cmd.Args != `"no" (\Seen) ~` {
					t.Errorf("Args %q", cmd.Args)
				}
				return "NO [OVERQUOTA] full"
			}
			return ""
		}
		p := w.login()
		p.ask("a APPEND \"no\" (\\Seen) ~{100}", "a NO [OVERQUOTA]")
		p.raw("b APPEND {2+}\r\nno (\\Seen) ~{20+}\r\nx NOOP\r\nx NOOP\r\nabcd\r\nc NOOP\r\n")
		p.want("b NO [OVERQUOTA]", "c OK")
		p.raw("d APPEND \"no\" (\\Seen) ~{100000+}\r\nx")
		p.want("d NO [OVERQUOTA]", "* BYE [TOOBIG]")
		p.gone()
	})
}

// What is cut off, or goes on wrongly after the message, is not stored.
func TestAppendThatDoesNotEnd(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for i, c := range []string{
			"a APPEND INBOX {5+}\r\nabcd",
			"a APPEND INBOX {5+}\r\nabcde",
			"a APPEND INBOX {5+}\r\nabcde\r",
			"a APPEND INBOX {5+}\r\n",
		} {
			p := w.login()
			p.raw(c)
			_ = p.Close()
			w.wantAppended(i + 1)
		}
		for i, c := range []string{
			"a APPEND INBOX {5+}\r\nabcde {3}\r\n",
			"a APPEND INBOX {5+}\r\nabcde)\r\n",
			"a APPEND INBOX UTF8 (~{5+}\r\nabcde\r\n",
		} {
			p := w.login()
			p.raw(c)
			p.want("a BAD", "* BYE")
			p.gone()
			w.wantAppended(4 + i + 1)
		}
		p := w.login()
		p.raw("a APPEND INBOX {5+}\r\nabcde" + strings.Repeat("x", 10_000))
		p.want("* BYE")
		p.gone()
		w.wantAppended(8)
	})
}

func TestSlowAppend(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		began := time.Now()
		p := w.login()
		p.raw("a APPEND INBOX {1000000+}\r\n")
		for range 1000 {
			if _, err := p.Write([]byte("x")); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		p.want("* BYE command came too slowly")
		p.gone()
		w.wantAppended(1)
		if d := time.Since(began); d > 1001*time.Second {
			t.Errorf("ended after %v", d)
		}
		// One that is slow, but not that slow.
		p = w.login()
		p.raw("a APPEND INBOX {200000+}\r\n")
		for range 200 {
			p.raw(strings.Repeat("x", 1000))
			time.Sleep(time.Second)
		}
		p.raw("\r\n")
		p.want("a OK")
		// One that stops.
		p = w.login()
		p.raw("a APPEND INBOX {1000000+}\r\n" + strings.Repeat("x", 900_000))
		began = time.Now()
		p.want("* BYE command came too slowly")
		p.gone()
		if d := time.Since(began); d > 3*time.Minute {
			t.Errorf("ended after %v", d)
		}
	})
}

// The relay stops: whoever is between two commands hears BYE at once, a message is
// taken to its end first.
func TestDrain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		greeted := w.dial()
		greeted.want("* OK")
		half := w.inbox()
		half.raw("a NO")
		idle := w.inbox()
		idle.ask("i IDLE", "+ idling")
		waiting := w.inbox()
		literal := w.inbox()
		literal.ask("a SEARCH SUBJECT {5}", "+ ")
		appending := w.login()
		appending.raw("a APPEND INBOX {10+}\r\n01234")
		synctest.Wait()
		w.cancel()
		for _, p := range []*peer{greeted, half, idle, waiting, literal} {
			p.want("* BYE server is shutting down")
			p.gone()
		}
		time.Sleep(time.Second)
		appending.raw("56789\r\nb NOOP\r\n")
		appending.want("a OK", "* BYE server is shutting down")
		appending.gone()
		w.wantAppended(0, "0123456789")
	})
}

// At the end of the grace a message is cut, and not stored.
func TestAbort(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p := w.login()
		p.raw("a APPEND INBOX {10+}\r\n01234")
		synctest.Wait()
		w.cancel()
		p.gone()
		w.wantAppended(1)
	})
}
