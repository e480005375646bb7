package relay

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"tenma/relay/bounce"
	"tenma/relay/mail"
	"tenma/relay/policy/returns"
	"tenma/relay/policy/tenant"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

func returnsAdviser(t *testing.T, domain smtp.Domain, all bool) *returns.Adviser {
	t.Helper()
	a, err := returns.New(returns.Config{Domain: domain, All: all, KeyFile: filepath.Join(t.TempDir(), "keys"), Life: time.Hour}, returns.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Whose mail gets a return path for each recipient, and what keeps its sender.
func TestWhoGetsAReturnPath(t *testing.T) {
	tenants := tenant.New(tenant.Config{Tenants: []tenant.Tenant{{Name: "shop", VERP: true}, {Name: "club"}}})
	for _, c := range []struct {
		why    string
		domain smtp.Domain
		all    bool
		change func(*mail.Envelope)
		copies bool
		path   bool
	}{
		{"all mail", "r.test", true, nil, true, true},
		{"nobody's, where only tenants want it", "r.test", false, nil, false, false},
		{"a tenant's", "r.test", false, func(e *mail.Envelope) { e.Tenant = "shop" }, true, true},
		{"another tenant's", "r.test", false, func(e *mail.Envelope) { e.Tenant = "club" }, false, false},
		{"no domain for it", "", true, nil, false, false},
		{"the null sender", "r.test", true, func(e *mail.Envelope) { e.Sender = smtp.Address{} }, false, false},
		{"a stranger's", "r.test", true, func(e *mail.Envelope) { e.Trusted = false }, false, false},
		{"a return path already", "r.test", true, func(e *mail.Envelope) { e.Sender.Domain = "r.test" }, false, false},
		{"a person's own", "r.test", true, func(e *mail.Envelope) { e.Submission = true }, false, false},
		{"a person's, for a tenant", "r.test", false, func(e *mail.Envelope) { e.Submission, e.Tenant = true, "shop" }, true, true},
		{"a person's, for a tenant that did not ask", "r.test", true, func(e *mail.Envelope) { e.Submission, e.Tenant = true, "club" }, true, true},
		{"success is to be told", "r.test", true, func(e *mail.Envelope) { e.Recipients[0].Notify = mail.NotifySuccess | mail.NotifyFailure }, true, false},
		{"failure is to be told", "r.test", true, func(e *mail.Envelope) { e.Recipients[0].Notify = mail.NotifyFailure }, true, true},
	} {
		e := &mail.Envelope{Sender: smtp.Address{Local: "a", Domain: "src.test"}, Trusted: true, Recipients: []mail.Recipient{{Address: smtp.Address{Local: "b", Domain: "dst.test"}}}}
		if c.change != nil {
			c.change(e)
		}
		form := (&verp{returnsAdviser(t, c.domain, c.all), tenants}).Copies(e, nil)
		if (form != nil) != c.copies {
			t.Errorf("%s: copies %v", c.why, form != nil)
			continue
		}
		if form == nil {
			continue
		}
		field := form(spool.NewID(time.Now(), [10]byte{}), e)
		if len(field) == 0 || e.ReturnPath.IsNull() == c.path || c.path && e.ReturnPath.Domain != c.domain {
			t.Errorf("%s: return path %v, field %q", c.why, e.ReturnPath, field)
		}
	}
}

// No DSN is ever composed about mail that came back, whatever became of it and
// whatever was asked for; the other recipients of the message are told of.
func TestNothingThatComesBackIsAnswered(t *testing.T) {
	e := &mail.Envelope{Sender: smtp.Address{Local: "robot", Domain: "big.test"}, Trusted: true}
	var reports []mail.Report
	for i, d := range []smtp.Domain{"r.test", "dst.test", "r.test"} {
		e.Recipients = append(e.Recipients, mail.Recipient{Address: smtp.Address{Local: "x", Domain: d}, Notify: mail.NotifySuccess | mail.NotifyFailure})
		reports = append(reports, mail.Report{Recipient: i, Action: mail.ActionFailed, Outcome: mail.Outcome{Reply: smtp.Reply{Code: 550}}})
	}
	r := &returner{bounce.New(bounce.Config{Hostname: "mx.test"}, bounce.Deps{}), returnsAdviser(t, "r.test", true)}
	compose := func(reports []mail.Report) int {
		drafts, err := r.Compose(context.Background(), spool.ID{1}, e, nil, reports, nil)
		if err != nil {
			t.Fatal(err)
		}
		return len(drafts)
	}
	if n := compose(reports[:1]); n != 0 {
		t.Errorf("%d DSNs about what came back", n)
	}
	if n := compose(reports); n != 1 {
		t.Errorf("%d DSNs about the rest", n)
	}
	reports[0].Action = mail.ActionDelivered
	if n := compose(reports[:1]); n != 0 {
		t.Errorf("%d DSNs about its arrival", n)
	}
}
