package ingress_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tenma/relay/ingress"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// Relaying from outside is refused in each classic form.
func TestNoRelay(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.hello(stranger)
		c.ask("MAIL FROM:<x@far.test>", "250")
		for rcpt, want := range map[string]string{
			"<user@other.test>":               "550 5.7.1",
			"<user%other.test@ours.test>":     "550 5.7.1",
			"<other.test!user@ours.test>":     "550 5.7.1",
			"<\"user@other.test\"@ours.test>": "550 5.7.1", // though the Directory has it
			"<@ours.test:user@other.test>":    "550 5.7.1",
			"<user@[203.0.113.5]>":            "550 5.7.1",
			"<user@[IPv6:2001:db8::5]>":       "550 5.7.1",
			"<user@other.test@ours.test>":     "501",
			"<user@ours.test@other.test>":     "501",
			"<user>":                          "501",
			"<>":                              "501",
			"<nobody@ours.test>":              "550 5.1.1",
			"user@other.test":                 "501",
		} {
			c.ask("RCPT TO:"+rcpt, want)
			c.ask("NOOP", "250")
		}
		c.ask("DATA", "503")
		for _, e := range w.events {
			if e.Kind != mail.EventRejection || e.Envelope == nil || e.Recipient != 0 || len(e.Envelope.Recipients) != 1 || e.Outcome.Command != "RCPT" {
				t.Errorf("event %+v", e)
			}
		}
		if len(w.events) == 0 {
			t.Error("no event")
		}
	})
}

func TestFriendsRelay(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.hello(friend)
		c.ask("MAIL FROM:<x@far.test>", "250")
		for _, rcpt := range []string{"user@other.test", "a%b@other.test", "user@[203.0.113.5]", "@ours.test:user@other.test"} {
			c.ask("RCPT TO:<"+rcpt+">", "250")
		}
		c.ask("RCPT TO:<nobody@ours.test>", "550 5.1.1")
	})
}

func TestPostmaster(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.hello(stranger)
		c.ask("MAIL FROM:<>", "250")
		c.ask("RCPT TO:<postmaster>", "250")
		c.ask("RCPT TO:<PostMaster> NOTIFY=NEVER", "250")
		c.ask("RCPT TO:<\"postmaster\">", "5") // go-smtp wants a domain
		c.ask("DATA", "354")
		c.ask("x\r\n.", "250")
		r := w.messages()[0].env.Recipients
		want := []mail.Recipient{{Address: smtp.Address{Local: "postmaster"}}, {Address: smtp.Address{Local: "PostMaster"}, Notify: mail.NotifyNever}}
		if d := cmp.Diff(want, r); d != "" {
			t.Error(d)
		}
	})
}

func TestEnvelope(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.dial(friend)
		c.want("220")
		c.ask("EHLO [10.0.0.9]", "250")
		c.ask("MAIL FROM:<X+y@FAR.test> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=a+2Bb SMTPUTF8", "250")
		c.ask("RCPT TO:<ann@ours.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bn@ours.test", "250")
		c.ask("RCPT TO:<\"a b\"@bücher.test> NOTIFY=NEVER", "250")
		c.ask("RCPT TO:<ü@ours.test> NOTIFY=FAILURE", "250")
		c.ask("DATA", "354")
		c.ask("x\r\n.", "250")
		want := &mail.Envelope{
			Sender: smtp.Address{Local: "X+y", Domain: "far.test"},
			Recipients: []mail.Recipient{
				{Address: smtp.Address{Local: "ann", Domain: "ours.test"}, Notify: mail.NotifySuccess | mail.NotifyDelay, ORcpt: "rfc822;a+n@ours.test"},
				{Address: smtp.Address{Local: "a b", Domain: "xn--bcher-kva.test"}, Notify: mail.NotifyNever},
				{Address: smtp.Address{Local: "ü", Domain: "ours.test"}, Notify: mail.NotifyFailure},
			},
			SMTPUTF8: true, Ret: mail.RetHeaders, EnvID: "a+b", Listener: here, HELO: "[10.0.0.9]", Trusted: true,
		}
		got := *w.messages()[0].env
		if got.Session == "" || got.Client.Addr() != netip.MustParseAddr(friend) || time.Since(got.Received) > time.Second {
			t.Errorf("session %q, client %v, received %v", got.Session, got.Client, got.Received)
		}
		if d := cmp.Diff(want, &got, cmpopts.IgnoreFields(mail.Envelope{}, "Received", "Client", "Session")); d != "" {
			t.Error(d)
		}
	})
}

// ORCPT of any address type is kept as it was given (RFC 3461 section 4.2).
func TestORcptTypes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.hello(friend)
		c.ask("MAIL FROM:<x@far.test>", "250")
		for _, good := range []string{
			"<ann@ours.test> ORCPT=X400;/c+3Dde/s+3Dann/ NOTIFY=NEVER", "<ann@ours.test> NOTIFY=FAILURE orcpt=unknown;a+2Bb", "<postmaster> ORCPT=x-fax;+2B49",
			`<"> ORCPT=x;y"@other.test> ORCPT=rfc822;b@ours.test`, "<ann@ours.test> ORCPT=UTF-8;a@ours.test",
		} {
			c.ask("RCPT TO:"+good, "250")
		}
		for _, bad := range []string{
			"ORCPT=x400;", "ORCPT=x=400;a", "ORCPT=x+400;a+", "ORCPT=x400;a+0D+0Ab", "ORCPT=x400;a ORCPT=fax;b", "ORCPT=x400;a ORCPT=", "ORCPT=x400;" + strings.Repeat("o", 501),
			"ORCPT=" + strings.Repeat("x", 41) + ";a",
		} {
			c.ask("RCPT TO:<ann@ours.test> "+bad, "501")
		}
		c.ask("RCPT TO:<ann@ours.test>", "250")
		c.ask("DATA", "354")
		c.ask("x\r\n.", "250")
		var got []string
		for _, r := range w.messages()[0].env.Recipients {
			got = append(got, r.ORcpt)
		}
		want := []string{"X400;/c=de/s=ann/", "unknown;a+b", "x-fax;+49", "rfc822;b@ours.test", "utf-8;a@ours.test", ""}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}

func TestBadEnvelopes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, bad := range []string{
			"MAIL FROM:<ü@far.test>", "MAIL FROM:<x@bücher.test>", "MAIL FROM:<x@y@z>", "MAIL FROM:<x@-a.test>", "MAIL FROM:<postmaster>",
			"MAIL FROM:<" + strings.Repeat("l", 65) + "@far.test>", "MAIL FROM:<x@far.test> RET=ALL", "MAIL FROM:<x@far.test> ENVID=" + strings.Repeat("e", 101),
			"MAIL FROM:<x@far.test> SIZE=x", "MAIL TO:<x@far.test>", "MAIL FROM:<x@far.test", "MAIL FROM:<a@b.test>x SIZE=1",
		} {
			c := w.hello(stranger)
			c.ask(bad, "5")
			c.ask("RCPT TO:<ann@ours.test>", "503")
			c.ask("MAIL FROM:<x@far.test>", "250")
			for _, bad := range []string{"NOTIFY=NEVER,SUCCESS", "NOTIFY=X", "ORCPT=rfc822", "ORCPT=rfc822;" + strings.Repeat("o", 501)} {
				c.ask("RCPT TO:<ann@ours.test> "+bad, "501")
			}
			c.ask("RCPT TO:<ü@ours.test>", "553 5.6.7")
			c.ask("QUIT", "221")
		}
	})
}

func TestHelloIsCleaned(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.dial(stranger)
		c.want("220")
		c.ask("EHLO a(b)\"ü", "250")
		c.envelope()
		c.ask("DATA", "354")
		c.ask("x\r\n.", "250")
		if h := w.messages()[0].env.HELO; h != "a?b???" {
			t.Errorf("HELO %q", h)
		}
	})
}

// The greeting that counts is the last one, also after a RSET.
func TestBasicGreeting(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.dial(stranger)
		c.want("220")
		for i, hello := range []string{"HELO x", "EHLO x", "HELO x"} {
			c.ask(hello, "250")
			c.ask("RSET", "250")
			c.envelope()
			c.ask("DATA", "354")
			c.ask("x\r\n.", "250")
			if got := w.messages()[i].env.Basic; got != (i != 1) {
				t.Errorf("%s: basic %v", hello, got)
			}
		}
	})
}

func TestNoHello(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.dial(stranger)
		c.want("220")
		c.ask("MAIL FROM:<x@far.test>", "503")
		c.ask("RCPT TO:<ann@ours.test>", "503")
		c.ask("DATA", "503")
		c.ask("HELO x", "250")
		c.envelope()
		c.ask("RSET", "250")
		c.ask("DATA", "503")
	})
}

func TestIntakeErrors(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want string
	}{
		{spool.ErrFull, "452 4.3.1"},
		{fmt.Errorf("intake: %w", spool.ErrSick), "452 4.3.1"},
		{fmt.Errorf("intake: %w", smtp.Errorf(554, smtp.Status{5, 4, 6}, "loop\r\n250 ok")), "554 5.4.6 loop  250 ok"},
		{errors.New("secret"), "451 4.3.0 try again later"},
	} {
		inWorld(t, func(t *testing.T, w *world) {
			w.accept = func(_ context.Context, _ *mail.Envelope, body io.WriterTo) error {
				_, _ = body.WriteTo(io.Discard)
				return tc.err
			}
			c := w.hello(stranger)
			c.envelope()
			c.ask("DATA", "354")
			if got := c.ask("x\r\n.", tc.want); strings.Contains(got, "secret") || got != strings.Split(got, "\n")[0] {
				t.Errorf("reply %q", got)
			}
			c.ask("NOOP", "250")
			if e := w.events[len(w.events)-1]; e.Outcome.Command != "DATA" || e.Recipient != -1 || e.Envelope == nil {
				t.Errorf("event %+v", e)
			}
		})
	}
}

// An intake that refuses before it has read leaves the conversation in step.
func TestEarlyRefusal(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.accept = func(context.Context, *mail.Envelope, io.WriterTo) error { return spool.ErrFull }
		c := w.hello(stranger)
		c.envelope()
		c.ask("DATA", "354")
		c.ask("MAIL FROM:<y@far.test>\r\nbare\nLF\r\n..\r\n.\n.\r\r\n.", "452")
		c.envelope()
		c.raw(bdat("QUIT\r\n", false) + bdat("QUIT\r\n", true) + "NOOP\r\n")
		c.want("452", "503", "250")
	})
}

func TestRecipientLimit(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.hello(friend)
		c.ask("MAIL FROM:<x@far.test>", "250")
		for range 3 {
			c.ask("RCPT TO:<y@other.test>", "250")
		}
		for range 40 { // no error of the client's
			c.ask("RCPT TO:<y@other.test>", "452 4.5.3")
		}
		c.ask("DATA", "354")
		c.ask("x\r\n.", "250")
		if n := len(w.messages()[0].env.Recipients); n != 3 {
			t.Errorf("%d recipients", n)
		}
	}, limits(func(l *ingress.Limits) { l.Recipients = 3 }))
}

func TestLimitsOfAConversation(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.hello(stranger) // errors
		c.ask("MAIL FROM:<x@far.test>", "250")
		for range 5 {
			c.ask("RCPT TO:<no@ours.test>", "550")
		}
		c.ask("RCPT TO:<no@ours.test>", "550", "421 4.7.0")
		c.gone()

		c = w.hello(stranger) // commands
		for range 9 {
			c.ask("NOOP", "250")
		}
		c.ask("NOOP", "421 4.7.0")
		c.gone()

		c = w.hello(stranger) // NOOPs between chunks are commands too
		c.envelope()
		c.raw(bdat("x", false))
		c.want("250")
		for i := 0; ; i++ {
			if r := c.ask("NOOP", ""); strings.HasPrefix(r, "421") {
				break
			} else if i > 10 {
				t.Fatal("no end of it")
			}
		}
		c.gone()

		c = w.hello(stranger) // messages
		for range 3 {
			c.envelope()
			c.ask("DATA", "354")
			c.ask("x\r\n.", "250")
		}
		c.ask("MAIL FROM:<x@far.test>", "421 4.7.0")
		c.gone()
	}, limits(func(l *ingress.Limits) { l.Errors, l.Commands, l.Messages = 5, 10, 3 }))
}

// A list is longer than any number of commands that makes sense without it.
func TestLongList(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.hello(friend)
		c.ask("MAIL FROM:<x@far.test>", "250")
		for range 1024 {
			c.ask("RCPT TO:<y@other.test>", "250")
		}
		c.ask("DATA", "354")
		c.ask("x\r\n.", "250")
	}, limits(func(l *ingress.Limits) { l.Commands = 10 }))
}

func TestLMTP(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.dial(friend)
		c.want("220 mx.test LMTP")
		c.ask("EHLO x", "500")
		if hello := c.ask("LHLO x", "250"); strings.Contains(hello, "CHUNKING") {
			t.Errorf("LHLO offers CHUNKING:\n%s", hello)
		}
		c.ask("MAIL FROM:<x@far.test>", "250")
		c.ask("RCPT TO:<ann@ours.test>", "250")
		c.ask("RCPT TO:<no@ours.test>", "550")
		c.ask("RCPT TO:<bob@ours.test>", "250")
		c.raw(bdat("QUIT\r\n", true))
		c.want("502")
		c.ask("DATA", "354")
		c.ask("x\r\n.", "250 2.0.0 <ann@ours.test> Ok", "250 2.0.0 <bob@ours.test> Ok")
		c.ask("NOOP", "250")
		w.wantMessages("x\r\n")
		if e := w.messages()[0].env; !e.LMTP || !e.Trusted || e.TLS {
			t.Errorf("LMTP %v, trusted %v, TLS %v", e.LMTP, e.Trusted, e.TLS)
		}
	}, listener(func(l *ingress.Listener) { l.LMTP = true }))
}

func TestRequireTLS(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.hello(stranger)
		c.ask("MAIL FROM:<x@far.test> REQUIRETLS", "555")
		c = w.secure(stranger)
		c.ask("MAIL FROM:<x@far.test> REQUIRETLS", "250")
		c.ask("RCPT TO:<ann@ours.test>", "250")
		c.ask("DATA", "354")
		c.ask("x\r\n.", "250")
		if !w.messages()[0].env.RequireTLS {
			t.Error("REQUIRETLS was lost")
		}
	})
}

// An account that submits too much hears when to come back, over all its
// connections; whoever else uses the relay is not held up.
func TestAccountRate(t *testing.T) {
	submission := func(c *ingress.Config, _ *ingress.Deps) {
		c.Listeners[0].Submission, c.Listeners[0].Auth = true, ingress.AuthMust
		c.Accounts = ingress.AccountLimits{Messages: 2, Recipients: 3}
	}
	inWorld(t, func(t *testing.T, w *world) {
		login := func() *client {
			c := w.secure(stranger)
			c.ask("AUTH PLAIN "+b64("\x00ann\x00secret"), "235")
			return c
		}
		c := login()
		c.ask("MAIL FROM:<ann@ours.test>", "250")
		c.ask("RCPT TO:<nobody@ours.test>", "550")
		for range 3 {
			c.ask("RCPT TO:<b@far.test>", "250")
		}
		c.ask("RCPT TO:<b@far.test>", "450 4.7.1 too many recipients of this account within an hour, try again in 20m1s")
		c.ask("RSET", "250")
		c.ask("MAIL FROM:<ann@ours.test>", "250")
		other := login()
		other.ask("MAIL FROM:<ann@ours.test>", "450 4.7.1 too many messages of this account within an hour, try again in 30m1s")
		time.Sleep(20 * time.Minute)
		c = login()
		c.ask("MAIL FROM:<ann@ours.test>", "450 4.7.1")
		time.Sleep(10 * time.Minute)
		c = login()
		c.ask("MAIL FROM:<ann@ours.test>", "250")
		c.ask("RCPT TO:<b@far.test>", "250")
		c.ask("DATA", "354")
		c.ask(".", "250")
		if got := w.messages(); len(got) != 1 || !got[0].env.Submission || len(got[0].env.Recipients) != 1 {
			t.Errorf("messages %+v", got)
		}
		again := w.cfg
		again.Accounts = ingress.AccountLimits{}
		w.srv.Apply(again)
		for range 10 {
			c.ask("MAIL FROM:<ann@ours.test>", "250")
			c.ask("RSET", "250")
		}
	}, submission)
	inWorld(t, func(t *testing.T, w *world) {
		c := w.secure(stranger)
		c.ask("AUTH PLAIN "+b64("\x00ann\x00secret"), "235")
		for range 5 {
			c.envelope()
			c.ask("RSET", "250")
		}
	}, submission, listener(func(l *ingress.Listener) { l.Submission = false }))
}
