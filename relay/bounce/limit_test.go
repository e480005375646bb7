package bounce

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// asker makes DSNs about one message after the other and counts them.
type asker struct {
	t *testing.T
	c *Composer
	n byte
}

// ask gives the DSN about a message that failed, nil where none is made.
func (a *asker) ask(e *mail.Envelope) *spool.Draft {
	a.t.Helper()
	a.n++
	drafts, err := a.c.Compose(a.t.Context(), spool.ID{a.n}, e, &mail.State{}, []mail.Report{failed(0)}, offers.open)
	if err != nil {
		a.t.Fatal(err)
	}
	if len(drafts) == 0 {
		return nil
	}
	return &drafts[0]
}

const last = "you get no more of them"

// A sender gets so many notices within an hour, the last one says so, and the next
// hour begins anew. Others are not concerned.
func TestPerSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &asker{t: t, c: New(Config{Hostname: "mx1.sender.test", PerSender: 3}, Deps{})}
		for range 2 {
			for i := 1; i <= 5; i++ {
				d := a.ask(envelope(t, "ann@b.test"))
				switch {
				case (d != nil) != (i <= 3):
					t.Fatalf("notice %d: %v", i, d)
				case d != nil && bytes.Contains(d.Body, []byte(last)) != (i == 3):
					t.Errorf("notice %d:\n%s", i, d.Body)
				}
				time.Sleep(time.Minute)
			}
			other := envelope(t, "ann@b.test")
			other.Sender = address(t, "other@shop.test")
			if a.ask(other) == nil {
				t.Error("another sender hears nothing")
			}
			time.Sleep(time.Hour)
		}
	})
}

// The senders of strangers' mail may be made up: all of a domain are one, and get
// a tenth.
func TestStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &asker{t: t, c: New(Config{Hostname: "mx1.sender.test", PerSender: 30}, Deps{})}
		n := 0
		for i := range 20 {
			e := envelope(t, "ann@b.test")
			e.Trusted, e.Ret = false, mail.RetFull
			e.Sender = smtp.Address{Local: fmt.Sprint("forged", i), Domain: "victim.test"}
			if d := a.ask(e); d != nil {
				n++
				if bytes.Contains(d.Body, []byte("nothing new.")) {
					t.Error("the content of a stranger's message was sent to who is in MAIL FROM")
				}
			}
		}
		if n != 3 {
			t.Errorf("%d notices to one domain", n)
		}
		if a.ask(envelope(t, "ann@b.test")) == nil {
			t.Error("our own sender hears nothing")
		}
	})
}

// Applied limits count from then on, and none is none.
func TestApplyLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &asker{t: t, c: New(Config{Hostname: "mx1.sender.test", PerSender: 1}, Deps{})}
		a.ask(envelope(t, "ann@b.test"))
		if a.ask(envelope(t, "ann@b.test")) != nil {
			t.Error("a second notice")
		}
		a.c.Apply(Config{})
		for range 20 {
			if a.ask(envelope(t, "ann@b.test")) == nil {
				t.Fatal("no notice without a limit")
			}
		}
	})
}

// What is counted does not grow without bound.
func TestSendersBounded(t *testing.T) {
	l := &limiter{}
	l.most.Store(10)
	for i := range maxSenders + 10 {
		l.take(&mail.Envelope{Trusted: true, Sender: smtp.Address{Local: fmt.Sprint(i), Domain: "shop.test"}}, time.Unix(0, 0))
	}
	if n := len(l.counts); n > maxSenders {
		t.Errorf("%d senders are kept", n)
	}
}
