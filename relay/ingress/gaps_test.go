package ingress_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/ingress"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// What go-smtp leaves open and the front makes good, one test for each. Every
// one fails without its remedy.

func TestOneMessageEachWay(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.hello(stranger)
		c.envelope()
		c.ask("DATA", "354")
		c.ask("Subject: x\r\n\r\n..dot\r\n.", "250 2.0.0 Ok: queued as 04")
		c.envelope()
		c.raw(bdat("Subject: y\r\n\r\n.dot\r\n", true))
		c.want("250 2.0.0 Ok: queued as 04")
		c.ask("QUIT", "221")
		c.gone()
		w.wantMessages("Subject: x\r\n\r\n.dot\r\n", "Subject: y\r\n\r\n.dot\r\n")
	})
}

func TestClosedInsideLastChunk(t *testing.T) {
	for _, part := range []string{"", "Subject: x\r\n\r\nhalf", "Subject: x\r\n\r\nwhole line\r\n"} {
		inWorld(t, func(t *testing.T, w *world) {
			c := w.hello(stranger)
			c.envelope()
			c.raw("BDAT 1000 LAST\r\n" + part)
			closeWrite(t, c)
			c.gone() // and no reply
			w.wantMessages()
		})
	}
}

func TestClosedInsideData(t *testing.T) {
	for _, part := range []string{"", "half", "line\r\n", "line\r\n.", "line\r\n.\r"} {
		inWorld(t, func(t *testing.T, w *world) {
			c := w.hello(stranger)
			c.envelope()
			c.ask("DATA", "354")
			c.raw(part)
			closeWrite(t, c)
			c.gone()
			w.wantMessages()
		})
	}
}

// Even an intake that ignores the error of the body cannot turn a part into a
// message.
func TestCareless(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.accept = func(_ context.Context, _ *mail.Envelope, body io.WriterTo) error {
			_, _ = body.WriteTo(io.Discard)
			return nil
		}
		c := w.hello(stranger)
		c.envelope()
		c.ask("DATA", "354")
		c.ask("bare\rCR\r\n.", "550 5.6.0")
		w.accept = func(context.Context, *mail.Envelope, io.WriterTo) error { return nil }
		c.envelope()
		c.ask("DATA", "354")
		c.ask("never read\r\n.", "451 4.3.0")
		c.ask("NOOP", "250")
	})
}

func closeWrite(t *testing.T, c *client) {
	t.Helper()
	if err := c.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

func TestTimeoutInsideDataIsFinal(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.hello(stranger)
		c.envelope()
		c.ask("DATA", "354")
		c.raw("line\r\n")
		c.want("421 4.4.2")
		// The rest of the body would be commands to a server that goes on.
		_, _ = c.Write([]byte("NOOP\r\nMAIL FROM:<x@far.test>\r\n"))
		c.gone()
		w.wantMessages()
	})
}

// A body must keep up BodyRate after a grace of Idle, and be there within Body,
// however lively it is otherwise.
func TestSlowBodies(t *testing.T) {
	slow := limits(func(l *ingress.Limits) { l.Idle, l.Body, l.BodyRate = time.Minute, 5*time.Minute, 100 })
	drip := func(rate int) (time.Duration, string) {
		var took time.Duration
		var last string
		inWorld(t, func(t *testing.T, w *world) {
			c := w.hello(stranger)
			c.envelope()
			c.ask("DATA", "354")
			start := time.Now()
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				for {
					if _, err := c.Write([]byte(strings.Repeat("x", rate-2) + "\r\n")); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
			}()
			last = c.want("421 4.4.2")
			took = time.Since(start)
			<-stopped
			w.wantMessages()
		}, slow)
		return took, last
	}
	if took, _ := drip(10); took < time.Minute || took > 70*time.Second {
		t.Errorf("10 octets/s were borne for %v", took)
	}
	if took, _ := drip(1000); took < 299*time.Second || took > 301*time.Second {
		t.Errorf("1000 octets/s were borne for %v", took)
	}
}

func TestRepliesAreCollected(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.dial(stranger)
		c.want("220")
		c.ask("EHLO client.test", "250")
		synctest.Wait()
		if n := w.writesTo(c); n != 2 {
			t.Errorf("banner and EHLO took %d writes", n)
		}
		c.raw("MAIL FROM:<x@far.test>\r\nRCPT TO:<ann@ours.test>\r\nRCPT TO:<no@ours.test>\r\nRCPT TO:<bob@ours.test>\r\nDATA\r\n")
		c.want("250", "250", "550", "250", "354")
		synctest.Wait()
		if n := w.writesTo(c); n != 3 {
			t.Errorf("a burst of commands took %d writes", n-2)
		}
		c.raw("x\r\n.\r\nMAIL FROM:<x@far.test>\r\nRCPT TO:<ann@ours.test>\r\nDATA\r\n")
		c.want("250 2.0.0", "250", "250", "354")
		synctest.Wait()
		if n := w.writesTo(c); n != 4 {
			t.Errorf("a final dot with the next envelope took %d writes", n-3)
		}
		w.wantMessages("x\r\n")
	})
}

// Replies do not wait for the disk.
func TestRepliesBeforeDisk(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		release := make(chan struct{})
		w.accept = func(_ context.Context, _ *mail.Envelope, body io.WriterTo) error {
			_, err := body.WriteTo(io.Discard)
			<-release
			return err
		}
		c := w.hello(stranger)
		c.raw("MAIL FROM:<x@far.test>\r\nRCPT TO:<ann@ours.test>\r\n" + bdat("x\r\n", true))
		c.want("250", "250")
		close(release)
		c.want("250 2.0.0 Ok")
	})
}

func TestLongLineBehindChunk(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.hello(stranger)
		body := strings.Repeat("x", 60000) + "\r\n"
		c.envelope()
		c.raw(bdat(body, true) + "NOOP\r\n")
		c.want("250 2.0.0 Ok", "250")
		w.wantMessages(body)
	})
}

func TestLongLines(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.hello(stranger)
		c.envelope()
		c.ask("DATA", "354")
		c.ask(strings.Repeat("x", 64<<10+1)+"\r\n.", "550 5.6.0")
		c.envelope()
		c.raw(bdat(strings.Repeat("x", 64<<10+1), true))
		c.want("550 5.6.0")
		c.ask("NOOP "+strings.Repeat("x", 5000), "500 5.5.2")
		c.gone()
		w.wantMessages()
	})
}

func TestEndlessCommandLine(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.hello(stranger)
		c.raw(strings.Repeat("x", 20000))
		c.want("500 5.5.2")
		c.gone()
	})
}

func TestBadChunkSize(t *testing.T) {
	for _, size := range []string{"", "x", "-1", "+5", "0x10", "99999999999999999999", "10 LAST 3", "10 FIRST"} {
		inWorld(t, func(t *testing.T, w *world) {
			c := w.hello(stranger)
			c.envelope()
			c.raw("BDAT " + size + "\r\nMAIL FROM:<y@far.test>\r\n")
			c.want("501")
			c.gone()
			w.wantMessages()
		})
	}
}

func TestUnofferedParameters(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.dial(stranger)
		c.want("220")
		hello := c.ask("EHLO c.test", "250")
		for _, word := range []string{"MT-PRIORITY", "DELIVERBY", "BINARYMIME", "AUTH", "REQUIRETLS", "RRVS"} {
			if strings.Contains(hello, word) {
				t.Errorf("EHLO offers %s:\n%s", word, hello)
			}
		}
		for _, p := range []string{"MT-PRIORITY=3", "BY=100;R", "BODY=BINARYMIME", "REQUIRETLS", "BOGUS=1"} {
			c.ask("MAIL FROM:<x@far.test> "+p, "5")
		}
		c.ask("MAIL FROM:<x@far.test>", "250")
		c.ask("RCPT TO:<ann@ours.test> MT-PRIORITY=3", "5")
		c.ask("RCPT TO:<ann@ours.test> BY=100;R", "5")
	})
}

func TestSecondMail(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.hello(stranger)
		c.ask("MAIL FROM:<x@far.test>", "250")
		c.ask("MAIL FROM:<y@far.test>", "503")
		c.ask("RCPT TO:<ann@ours.test>", "250")
		c.ask("DATA", "354")
		c.ask("x\r\n.", "250")
		if s := w.messages()[0].env.Sender.String(); s != "x@far.test" {
			t.Errorf("sender is %s", s)
		}
	})
}

func TestTheirs421Closes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.accept = func(context.Context, *mail.Envelope, io.WriterTo) error {
			return smtp.Errorf(421, smtp.Status{4, 3, 0}, "leaving")
		}
		c := w.hello(stranger)
		c.envelope()
		c.ask("DATA", "354")
		c.raw("x\r\n.\r\nNOOP\r\n")
		c.want("421 4.3.0 leaving")
		c.gone()
	})
}

func TestStartTLSInjection(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.hello(stranger)
		c.raw("STARTTLS\r\nMAIL FROM:<evil@far.test>\r\n")
		c.want("554")
		c.gone()
	})
}

func TestStartTLSForgets(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.hello(stranger)
		c.envelope()
		c.startTLS()
		c.ask("DATA", "503")
		c.ask("RCPT TO:<bob@ours.test>", "503")
		c.ask("MAIL FROM:<y@far.test>", "503")
		c.ask("AUTH PLAIN "+b64("\x00ann\x00secret"), "503")
		c.raw(bdat("NOOP\r\n", true))
		c.want("503")
		c.ask("STARTTLS", "503")
		c.ask("NOOP", "250")
		c.ask("EHLO", "501")
		c.ask("DATA", "503")
		hello := c.ask("EHLO again.test", "250")
		if strings.Contains(hello, "STARTTLS") || !strings.Contains(hello, "AUTH SCRAM-SHA-256 PLAIN LOGIN") || !strings.Contains(hello, "REQUIRETLS") {
			t.Errorf("under TLS:\n%s", hello)
		}
		c.ask("DATA", "503") // the envelope from before is gone
		c.envelope()
		c.ask("DATA", "354")
		c.ask("x\r\n.", "250")
		w.wantMessages("x\r\n")
		if e := w.messages()[0].env; len(e.Recipients) != 1 || e.HELO != "again.test" {
			t.Errorf("envelope %+v", e)
		}
	})
}

func TestStartTLSFails(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.hello(stranger)
		c.ask("STARTTLS", "220")
		c.raw("MAIL FROM:<x@far.test>\r\nRCPT TO:<ann@ours.test>\r\n")
		for {
			b, err := c.r.ReadByte()
			if err != nil {
				break
			}
			if b == '2' || b == '5' { // a reply in plaintext; a TLS alert is 0x15 3 1 0 2 2 x
				if rest, _ := c.r.Peek(1); len(rest) > 0 && rest[0] >= '0' && rest[0] <= '9' {
					t.Fatal("the conversation goes on in plaintext")
				}
			}
		}
	})
	inWorld(t, func(t *testing.T, w *world) { // nothing comes
		c := w.hello(stranger)
		c.ask("STARTTLS", "220")
		c.gone()
	})
}

func TestNoAuthOnPlaintext(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.dial(friend)
		c.want("220")
		if hello := c.ask("EHLO c.test", "250"); strings.Contains(hello, "AUTH") || !strings.Contains(hello, "250-STARTTLS\n") {
			t.Errorf("in plaintext:\n%s", hello)
		}
		c.ask("AUTH PLAIN "+b64("\x00ann\x00secret"), "538 5.7.11")
		c.ask("AUTH LOGIN", "538")
		c.ask("AUTH SCRAM-SHA-256", "538")
		c.ask("auth plain", "538")
	})
}

func TestHelloReply(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.dial(stranger)
		c.want("220 mx.test ESMTP")
		got := c.ask("EHLO c.test", "250")
		want := "250-mx.test\n250-PIPELINING\n250-8BITMIME\n250-ENHANCEDSTATUSCODES\n250-CHUNKING\n250-SMTPUTF8\n250-DSN\n250-STARTTLS\n250-LIMITS RCPTMAX=1024\n250 SIZE 26214400"
		if got != want {
			t.Errorf("EHLO:\n%s\nwant:\n%s", got, want)
		}
		if got := c.ask("HELO c.test", "250"); got != "250 mx.test" {
			t.Errorf("HELO: %s", got)
		}
	})
}

// Three errors of syntax end a session; go-smtp counts, and it is meant so.
func TestProtocolErrors(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.hello(stranger)
		for range 3 {
			c.ask("XYZZ", "500")
		}
		c.ask("XYZZ", "500", "421 4.7.0")
		c.gone()
	})
}

func TestBrowser(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.dial(stranger)
		c.want("220")
		c.raw("POST / HTTP/1.1\r\nHost: x\r\n\r\nEHLO x\r\nMAIL FROM:<x@far.test>\r\n")
		c.want("554")
		c.gone()
	})
}

func TestControlCharacters(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.hello(stranger)
		for _, line := range []string{"MAIL FROM:<x\x00@far.test>", "MAIL FROM:<x@far.test>\x01", "NOOP \r x", "EHLO a\x7fb", "MAIL\tFROM:<x@y.test>"} {
			c.ask(line, "500")
		}
		c.ask("NOOP ", "250") // a blank at the end is forgiven
	})
}

// A refused chunk is swallowed all the same, and its text is never a command.
func TestRefusedChunks(t *testing.T) {
	evil := "QUIT\r\nMAIL FROM:<evil@far.test>\r\n"
	inWorld(t, func(t *testing.T, w *world) {
		c := w.hello(stranger)
		c.raw(bdat(evil, true) + "NOOP\r\n") // no MAIL
		c.want("503", "250")
		c.ask("MAIL FROM:<x@far.test>", "250")
		c.raw(bdat(evil, false) + bdat(evil, true) + "NOOP\r\n") // no RCPT
		c.want("503", "503", "250")
		c.ask("RCPT TO:<no@ours.test>", "550")
		c.raw(bdat(evil, true) + "NOOP\r\n") // no valid RCPT
		c.want("503", "250")
		c.ask("RCPT TO:<ann@ours.test>", "250")
		c.raw("BDAT 26214401\r\n")
		for range 25 {
			c.raw(strings.Repeat("QUIT\r\nxy", 1<<17))
		}
		c.raw("x")
		c.want("552 5.3.4")
		c.ask("NOOP", "250")
		w.wantMessages()
	})
	inWorld(t, func(t *testing.T, w *world) { // the second of three has a bare LF
		c := w.hello(stranger)
		c.envelope()
		c.raw(bdat("ok\r\n", false) + bdat("bare\nLF"+evil, false) + bdat(evil, true) + "NOOP\r\n")
		c.want("250", "550 5.6.0", "503", "250")
		c.envelope()
		c.raw(bdat("fine\r\n", true))
		c.want("250")
		w.wantMessages("fine\r\n")
	})
}

func TestChunks(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.hello(stranger)
		c.envelope()
		c.raw(bdat("a\r", false))
		c.want("250")
		c.ask("NOOP", "250")
		c.ask("MAIL FROM:<y@far.test>", "503")
		c.ask("DATA", "503")
		c.ask("RCPT TO:<bob@ours.test>", "503")
		c.raw(bdat("\n.\r\n", false) + bdat("", false) + bdat("b", true))
		c.want("250", "250", "250 2.0.0 Ok")
		c.envelope() // the transaction is over
		c.raw(bdat("given up", false) + "RSET\r\n")
		c.want("250", "250")
		c.ask("DATA", "503")
		c.envelope()
		c.raw(bdat("given up", false) + "EHLO x.test\r\n")
		c.want("250", "250-mx.test")
		c.envelope()
		c.raw(bdat("a\r", false) + bdat("b", true)) // a CR at a chunk's end is as bare as any
		c.want("250", "550 5.6.0")
		c.envelope()
		c.raw(bdat("a\r", true))
		c.want("550 5.6.0")
		c.envelope()
		c.raw(bdat("given up", false) + "QUIT\r\n")
		c.want("250", "221")
		c.gone()
		w.wantMessages("a\r\n.\r\nb\r\n")
	})
}

// The size counts over chunks.
func TestSize(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.hello(stranger)
		c.ask("MAIL FROM:<x@far.test> SIZE=1001", "552 5.3.4")
		c.envelope()
		c.ask("DATA", "354")
		c.ask(strings.Repeat("x", 997)+"\r\n\r\n.", "552 5.3.4")
		c.envelope()
		c.ask("DATA", "354")
		c.ask(strings.Repeat("x", 996)+"\r\n\r\n.", "250")
		c.envelope()
		c.raw(bdat(strings.Repeat("x", 600), false) + bdat(strings.Repeat("x", 600), false) + bdat("x", true))
		c.want("250", "552 5.3.4", "503")
		if n := len(w.messages()); n != 1 {
			t.Errorf("%d messages", n)
		}
		// A chunk that is too large by its size alone is not begun.
		var got strings.Builder
		w.accept = func(_ context.Context, _ *mail.Envelope, body io.WriterTo) error {
			_, err := body.WriteTo(&got)
			return err
		}
		c.envelope()
		c.raw(bdat("first\r\n", false) + bdat(strings.Repeat("x\r\n", 400), true))
		c.want("250", "552 5.3.4")
		if got.String() != "first\r\n" {
			t.Errorf("%d octets were handed on", got.Len())
		}
	}, limits(func(l *ingress.Limits) { l.MessageSize = 1000 }))
}

func TestManyChunksStream(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.hello(stranger)
		c.envelope()
		var want strings.Builder
		for i := range 100 {
			text := fmt.Sprintf("%d %s\r\n", i, strings.Repeat("y", 70000))
			text = text[:len(text)-2][:60000] + "\r\n"
			want.WriteString(text)
			c.raw(bdat(text, i == 99))
			c.want("250")
		}
		w.wantMessages(want.String())
	})
}
