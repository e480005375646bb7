package view

import (
	"errors"
	"testing"
	"time"

	"tenma/relay/mail"
	"tenma/relay/mail/stored"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

func TestFilter(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	e := &mail.Envelope{
		Sender: smtp.Address{Local: "Me", Domain: "own.test"}, Tenant: "t", Campaign: "c", Received: now.Add(-time.Hour),
		Recipients: []mail.Recipient{{Address: smtp.Address{Local: "a", Domain: "one.test"}}, {Address: smtp.Address{Local: "b b", Domain: "two.test"}}},
	}
	for _, c := range []struct {
		f    Filter
		want bool
	}{
		{Filter{All: true}, true},
		{Filter{Sender: "me@OWN.test"}, true},
		{Filter{Sender: "@own.test"}, true},
		{Filter{Sender: "@wn.test"}, false},
		{Filter{Sender: "<>"}, false},
		{Filter{Recipient: "A@one.test"}, true},
		{Filter{Recipient: "a@two.test"}, false},
		{Filter{Recipient: `"b b"@two.test`}, true},
		{Filter{Domain: "Two.Test"}, true},
		{Filter{Domain: "test"}, false},
		{Filter{Tenant: "t", Campaign: "c"}, true},
		{Filter{Tenant: "t", Campaign: "d"}, false},
		{Filter{Tenant: "u"}, false},
		{Filter{OlderThan: time.Hour}, true},
		{Filter{OlderThan: time.Hour + 1}, false},
	} {
		if got := c.f.fits(e, now); got != c.want || c.f.empty() {
			t.Errorf("%+v: %v", c.f, got)
		}
	}
	for _, f := range []Filter{{}, {Limit: 5}, {After: spool.ID{1}}} {
		if !f.empty() {
			t.Errorf("%+v selects something", f)
		}
	}
}

func TestDecode(t *testing.T) {
	e := &mail.Envelope{Recipients: make([]mail.Recipient, 2)}
	entry := spool.Entry{Envelope: stored.AppendEnvelope(nil, e)}
	if m, err := Decode(&entry); err != nil || len(m.State.Recipients) != 2 {
		t.Errorf("%+v, %v", m, err)
	}
	entry.State = stored.AppendState(nil, &mail.State{Recipients: make([]mail.RecipientState, 3)})
	if _, err := Decode(&entry); !errors.Is(err, stored.ErrEncoding) {
		t.Errorf("three states for two recipients: %v", err)
	}
}
