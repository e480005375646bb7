package bounce

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

var update = flag.Bool("update", false, "write testdata/*.eml anew")

// The whole text of typical DSNs, to be read by a person before it changes.
// Run with -update, then read the difference.
func TestGolden(t *testing.T) {
	unknown := failed(0)
	unknown.Outcome = remote(550, smtp.Status{5, 1, 1}, "<ann@b.test>: Recipient address rejected:\nUser unknown in virtual mailbox table", "RCPT")

	for _, c := range []struct {
		name, why string
		to        []string
		change    func(*mail.Envelope)
		reports   []mail.Report
		message   original
	}{
		{
			name: "failed", why: "the usual case: an address that does not exist", to: []string{"ann@b.test"},
			change: func(e *mail.Envelope) {
				e.EnvID, e.Recipients[0].ORcpt = "QQ314159", "rfc822;Ann@b.test"
			},
			reports: []mail.Report{unknown}, message: offers,
		},
		{
			name: "failed-many", why: "same reason told once, another one apart; a server without enhanced status; our own verdict",
			to:      []string{"ann@b.test", "bob@b.test", "carl@c.test", "dora@d.test"},
			reports: []mail.Report{failed(0), failed(1), failedAtC(2), noDomain(3)}, message: offers,
		},
		{
			name: "expired", why: "nobody refused it, time ran out; the whole message comes back", to: []string{"ann@b.test"},
			change: func(e *mail.Envelope) { e.Ret = mail.RetFull },
			reports: []mail.Report{{
				Action: mail.ActionFailed, Attempts: 40,
				Outcome: remote(451, smtp.Status{4, 7, 1}, "Greylisted, please try again in 300 seconds", "RCPT"),
			}},
			message: offers,
		},
		{
			name: "delayed", why: "nothing is wrong yet, and the reader need not act", to: []string{"ann@b.test"},
			reports: []mail.Report{{
				Action: mail.ActionDelayed, Attempts: 9, WillRetry: time.Date(2026, 11, 24, 9, 58, 30, 0, time.UTC),
				Outcome: mail.Outcome{Reply: smtp.Reply{Code: 451, Status: smtp.Status{4, 4, 1}, Text: "no mail server of b.test answers"}, Command: "CONNECT"},
			}},
			message: offers,
		},
		{
			name: "delivered", why: "success was asked for; one recipient here, one beyond a server that sends no DSNs",
			to: []string{"ann@sender.test", "bob@b.test"},
			change: func(e *mail.Envelope) {
				e.Recipients[0].Notify, e.Recipients[1].Notify = mail.NotifySuccess, mail.NotifySuccess|mail.NotifyFailure
			},
			reports: []mail.Report{
				{Recipient: 0, Action: mail.ActionDelivered, Attempts: 1, Outcome: mail.Outcome{Reply: smtp.Reply{Code: 250, Status: smtp.Status{2, 0, 0}, Text: "delivered to mailbox"}, Command: "LOCAL"}},
				{Recipient: 1, Action: mail.ActionRelayed, Attempts: 1, Outcome: remote(250, smtp.Status{}, "Ok: queued as 4711", ".")},
			},
			message: offers,
		},
		{
			name: "foreign", why: "letters beyond ASCII everywhere, but an ASCII sender: the DSN is ASCII and passes any server",
			to: []string{"grün@b.test"},
			change: func(e *mail.Envelope) {
				e.SMTPUTF8, e.Subject, e.Recipients[0].ORcpt = true, "=?utf-8?q?Gr=C3=BC=C3=9Fe?= aus Köln", "utf-8;grün@b.test"
			},
			reports: []mail.Report{{
				Action: mail.ActionFailed, Attempts: 1,
				Outcome: remote(550, smtp.Status{5, 1, 1}, "Empfänger unbekannt \xff\x1b[1m", "RCPT"),
			}},
			message: "From: news@shop.test\r\nTo: grün@b.test\r\nSubject: Grüße aus Köln\r\n\r\nHallo!\r\n",
		},
		{
			name: "foreign-sender", why: "the sender's own address needs SMTPUTF8, so the DSN uses it", to: []string{"grün@b.test"},
			change: func(e *mail.Envelope) {
				e.SMTPUTF8, e.Sender = true, smtp.Address{Local: "köln", Domain: "shop.test"}
			},
			reports: []mail.Report{failed(0)},
			message: "From: köln@shop.test\r\nTo: grün@b.test\r\nSubject: Grüße\r\n\r\nHallo!\r\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := envelope(t, c.to...)
			if c.change != nil {
				c.change(e)
			}
			cfg := Config{Hostname: "mx1.sender.test", Postmaster: smtp.Address{Local: "postmaster", Domain: "sender.test"}}
			drafts := compose(t, New(cfg, Deps{}), e, c.reports, c.message.open)
			if len(drafts) != 1 {
				t.Fatalf("%d drafts", len(drafts))
			}
			parse(t, drafts[0])
			golden(t, c.name, c.why, drafts[0])
		})
	}
}

func golden(t *testing.T, name, why string, d spool.Draft) {
	path := filepath.Join("testdata", name+".eml")
	if *update {
		if err := os.WriteFile(path, d.Body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(d.Body)); diff != "" {
		t.Errorf("%s (%s): %s", path, why, diff)
	}
}

func failedAtC(i int) mail.Report {
	return mail.Report{Recipient: i, Action: mail.ActionFailed, Attempts: 1, Outcome: mail.Outcome{
		Reply: smtp.Reply{Code: 552, Text: "Message size exceeds fixed maximum message size"}, Command: "MAIL",
		Host: "mx.c.test", Peer: netip.MustParseAddrPort("[2001:db8::25]:25"),
	}}
}

func noDomain(i int) mail.Report {
	return mail.Report{Recipient: i, Action: mail.ActionFailed, Outcome: mail.Outcome{
		Reply: smtp.Reply{Code: 550, Status: smtp.Status{5, 1, 2}, Text: "domain d.test does not exist"}, Command: "DNS",
	}}
}
