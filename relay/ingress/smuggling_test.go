package ingress_test

import (
	"fmt"
	"strings"
	"testing"

	"tenma/relay/ingress"
)

// SMTP smuggling: two servers that see the end of data in different places let
// a client put a second message, with an envelope of its own, into the body of
// a first. Nothing but CRLF "." CRLF ends the data here, and nothing that
// another server may take for that ever goes on.
var almostEnds = []string{
	"\n.\n", "\n.\r\n", "\n.\r", "\r.\r", "\r.\n", "\r.\r\n", "\r\n.\n", "\r\n.\r", "\r\n.\r\r\n",
	"\r\r\n.\n", "\n\n.\n\n", "\r\n\n.\n", "\r\n.\n\r\n", "\r\n\r.\r\n", "\r\n.\x00\r\n", "\x00\r\n.\n",
	"\r\n\x00.\r\n", "\r\n.\r\x00\n", "\r\x00\n.\r\x00\n", "\r\n. \r\n", "\r\n .\r\n", "\r\n.\t\r\n", "\r\n.\x0b\r\n",
	"\r\n..\r\n", "\x85.\x85", "\u2028.\u2028", "\r\n.\u2028",
}

const smuggled = "MAIL FROM:<evil@far.test>\r\nRCPT TO:<bob@ours.test>\r\nDATA\r\nsmuggled\r\n"

func canonical(t *testing.T, body string) {
	t.Helper()
	rest := strings.ReplaceAll(body, "\r\n", "")
	if strings.ContainsAny(rest, "\r\n") {
		t.Errorf("a bare CR or LF was let through: %q", body)
	}
}

func TestSmugglingByData(t *testing.T) {
	for _, lf := range []ingress.BareLF{ingress.LFRefuse, ingress.LFTrusted, ingress.LFNormalize} {
		for _, from := range []string{stranger, friend} {
			for _, end := range almostEnds {
				if end == "\r\n.\r\n" {
					t.Fatal("that is the end")
				}
				t.Run(fmt.Sprintf("%s/%s/%q", lf, from, end), func(t *testing.T) {
					inWorld(t, func(t *testing.T, w *world) {
						c := w.hello(from)
						c.envelope()
						c.ask("DATA", "354")
						c.raw("Subject: x\r\n\r\nbody" + end + smuggled + ".\r\n")
						answer := c.want("")
						if !strings.HasPrefix(answer, "250") && !strings.HasPrefix(answer, "550") {
							t.Fatalf("reply %q", answer)
						}
						c.ask("NOOP", "250 2.0.0 I") // and no reply to a smuggled command before it
						checkSmuggled(t, w, answer, end)
					}, listener(func(l *ingress.Listener) { l.BareLF = lf }))
				})
			}
		}
	}
}

func checkSmuggled(t *testing.T, w *world, answer, end string) {
	t.Helper()
	got := w.messages()
	if len(got) > 1 || (len(got) == 1) != strings.HasPrefix(answer, "250") {
		t.Fatalf("%d messages after %q: %v", len(got), answer, got)
	}
	bare := strings.ContainsAny(strings.ReplaceAll(end, "\r\n", ""), "\r")
	if bare && len(got) > 0 {
		t.Errorf("a bare CR was let through")
	}
	for _, m := range got {
		canonical(t, m.body)
		if m.env.Sender.String() != "x@far.test" || len(m.env.Recipients) != 1 || !strings.Contains(m.body, "smuggled\r\n") {
			t.Errorf("message %+v %q", m.env, m.body)
		}
	}
}

func TestSmugglingByChunks(t *testing.T) {
	for _, lf := range []ingress.BareLF{ingress.LFRefuse, ingress.LFNormalize} {
		for _, end := range append([]string{"\r\n.\r\n"}, almostEnds...) {
			for cut := range len(end) + 1 { // the chunks meet inside it
				inWorld(t, func(t *testing.T, w *world) {
					c := w.hello(stranger)
					c.envelope()
					c.raw(bdat("Subject: x\r\n\r\nbody"+end[:cut], false) + bdat(end[cut:]+smuggled, true) + "NOOP\r\n")
					first := c.want("")
					answer := c.want("")
					if strings.HasPrefix(first, "550") {
						if !strings.HasPrefix(answer, "503") {
							t.Fatalf("%q/%d: %q then %q", end, cut, first, answer)
						}
						answer = first
					}
					c.want("250 2.0.0 I")
					checkSmuggled(t, w, answer, end)
				}, listener(func(l *ingress.Listener) { l.BareLF = lf }))
			}
		}
	}
}

// Commands that end with a bare LF are as doubtful as lines of a body.
func TestBareLFInCommands(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.dial(stranger)
		c.want("220")
		c.raw("EHLO x\nMAIL FROM:<x@far.test>\n")
		c.want("500 5.5.2")
		c.gone()
		c = w.dial(friend)
		c.want("220")
		c.raw("EHLO x\nMAIL FROM:<x@far.test>\nRCPT TO:<ann@ours.test>\nDATA\n")
		c.want("250", "250", "250", "354")
		c.raw("a\n.b\n..c\nd\r\n.\r\n")
		c.want("250")
		w.wantMessages("a\r\nb\r\n.c\r\nd\r\n")
	})
}

func TestNULIsTaken(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.hello(stranger)
		c.envelope()
		c.ask("DATA", "354")
		c.ask("a\x00b\r\n.", "250")
		w.wantMessages("a\x00b\r\n")
	})
}
