package suppress_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/mail"
	"tenma/relay/policy/suppress"
	"tenma/relay/wire/smtp"
)

// Which failures make entries.
func TestWhatIsLearned(t *testing.T) {
	for _, c := range []struct {
		what   string
		config suppress.Automatic
		edit   func(e *mail.Event)
		scope  string // of the entry; "-": none
	}{
		{"a hard failure", "", func(*mail.Event) {}, ""},
		{"of a tenant", "", func(e *mail.Event) { e.Envelope.Tenant = "shop" }, "shop"},
		{"what an administrator forbids", "", func(e *mail.Event) { e.Outcome.Diagnosis.Severity = mail.Admin }, ""},
		{"a full mailbox", "", func(e *mail.Event) { e.Outcome.Diagnosis.Severity = mail.Soft }, "-"},
		{"a block", "", func(e *mail.Event) { e.Outcome.Diagnosis.Severity = mail.Block }, "-"},
		{"what expired", "", func(e *mail.Event) { e.Kind = mail.EventExpiration }, "-"},
		{"for now", "", func(e *mail.Event) { e.Kind = mail.EventTransientFailure }, "-"},
		{"a mailbox here", "", func(e *mail.Event) { e.Outcome.Host, e.Outcome.Command = "", "LOCAL" }, "-"},
		{"a domain that is not there", "", func(e *mail.Event) { e.Outcome.Host, e.Outcome.Command = "", "DNS" }, ""},
		{"a domain whose hosts we may not use", "", func(e *mail.Event) {
			e.Outcome.Host, e.Outcome.Command, e.Outcome.Reply.Status = "", "DNS", smtp.Status{5, 4, 4}
		}, "-"},
		{"what the list itself stopped", "", func(e *mail.Event) { e.Outcome.Diagnosis.Rule = "suppressed-manual" }, "-"},
		{"a notice of ours", "", func(e *mail.Event) { e.Envelope.Sender = smtp.Address{} }, "-"},
		{"mail of strangers to us", "", func(e *mail.Event) { e.Envelope.Trusted = false }, "-"},
		{"mail to our own domain", "", func(e *mail.Event) { e.Envelope.Recipients[0].Address.Domain = "ours.test" }, "-"},
		{"a person's mail", "", func(e *mail.Event) { e.Envelope.Submission = true }, "-"},
		{"a tenant's submission", "", func(e *mail.Event) { e.Envelope.Submission, e.Envelope.Tenant = true, "shop" }, "shop"},
		{"nobody's", suppress.AutomaticTenants, func(*mail.Event) {}, "-"},
		{"a tenant's alone", suppress.AutomaticTenants, func(e *mail.Event) { e.Envelope.Tenant = "shop" }, "shop"},
		{"nothing", suppress.AutomaticOff, func(e *mail.Event) { e.Envelope.Tenant = "shop" }, "-"},
	} {
		run(t, suppress.Config{Automatic: c.config, Own: []smtp.Domain{"ours.test"}}, func(r *rig) {
			e := event(mail.EventBounce, "a@big.test")
			c.edit(e)
			r.hear.Record(e)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if len(r.events.kinds) != 1 {
				t.Errorf("%s: the log has %v", c.what, r.events.kinds)
			}
			page, _, _, err := r.Page(suppress.Selection{}, suppress.Key{}, 10)
			if err != nil {
				t.Fatal(err)
			}
			if c.scope == "-" {
				if len(page) != 0 {
					t.Errorf("%s: %+v", c.what, page)
				}
				return
			}
			if len(page) != 1 || page[0].Tenant != c.scope || page[0].Rule == "" || page[0].Message == "" || page[0].Detail == "" {
				t.Errorf("%s: %+v", c.what, page)
			}
		})
	}
}

// A fact is durable when Suppress returns, and may be repeated.
func TestSuppress(t *testing.T) {
	run(t, suppress.Config{}, func(r *rig) {
		start := time.Now()
		f := suppress.Fact{Recipient: address("a@a.test"), Tenant: "shop", Reason: suppress.Unsubscribe, Message: "M1"}
		for range 3 {
			if err := r.Suppress(r.t.Context(), f); err != nil {
				t.Fatal(err)
			}
			if r.stopped("a@a.test", "shop", "") != suppress.Unsubscribe {
				t.Error("not in force")
			}
		}
		if since := time.Since(start); since >= time.Second {
			t.Errorf("it waited %v for others", since)
		}
		bad := []suppress.Fact{{Recipient: address("a@a.test")}, {Reason: suppress.Manual}, {Recipient: address("a@a.test"), Reason: suppress.Manual, Campaign: "x"}}
		for _, f := range bad {
			if r.Suppress(r.t.Context(), f) == nil {
				t.Errorf("%+v was taken", f)
			}
		}
	})
}

// A wish that is repeated changes nothing, whatever else stops mail to the address; and
// it does not end with what an operator set for a time.
func TestWishStands(t *testing.T) {
	run(t, suppress.Config{Own: []smtp.Domain{"ours.test"}, Transactional: []string{"bank"}}, func(r *rig) {
		r.add(
			entry(t, "global@a.test", "", "", suppress.Returned),
			entry(t, "manual@a.test", "shop", "", suppress.Manual),
		)
		week := entry(t, "week@a.test", "shop", "", suppress.Manual)
		week.Expires = time.Now().Add(7 * 24 * time.Hour)
		r.add(week)
		for _, c := range []struct {
			to, tenant string
			before     bool
		}{
			{"new@a.test", "shop", false},
			{"global@a.test", "shop", false},
			{"new@a.test", "bank", false},
			{"me@ours.test", "shop", false},
			{"week@a.test", "shop", false},
			{"manual@a.test", "shop", true}, // never ends
		} {
			wish := suppress.Fact{Recipient: address(c.to), Tenant: c.tenant, Reason: suppress.Unsubscribe}
			if stands, err := r.Stands(wish); err != nil || stands != c.before {
				t.Errorf("%s of %s before: %v %v", c.to, c.tenant, stands, err)
			}
			if err := r.Suppress(r.t.Context(), wish); err != nil {
				t.Fatal(err)
			}
			if stands, err := r.Stands(wish); err != nil || !stands {
				t.Errorf("%s of %s after: %v %v", c.to, c.tenant, stands, err)
			}
		}
		time.Sleep(30 * 24 * time.Hour)
		if got := r.stopped("week@a.test", "shop", ""); got != suppress.Unsubscribe {
			t.Errorf("a month later: %v", got)
		}
		if got := r.stopped("manual@a.test", "shop", ""); got != suppress.Manual {
			t.Errorf("what an operator set for good: %v", got)
		}
	})
}

// What was heard before the end is kept.
func TestEnd(t *testing.T) {
	var after func() int
	run(t, suppress.Config{}, func(r *rig) {
		r.hear.Record(event(mail.EventBounce, "a@big.test"))
		after = func() int { return int(r.store.Counts().Reason(suppress.HardBounce)) }
	})
	if n := after(); n != 1 {
		t.Errorf("%d entries", n)
	}
}

// An outage of 20 minutes with 50,000 false failures leaves no entry behind; what
// was believed until it was noticed is taken back. Afterwards life goes on, what
// fails again becomes an entry, and the rest is released or forgotten.
func TestOutage(t *testing.T) {
	run(t, suppress.Config{Expire: suppress.DefaultExpire()}, func(r *rig) {
		for range 30 {
			r.minute(500, .01, "good")
		}
		before := r.count(false)
		if before == 0 {
			t.Fatal("nothing was learned in good days")
		}
		time.Sleep(30 * time.Minute)
		for range 20 {
			r.minute(2500, 1, "false")
		}
		if n := r.count(false); n != before {
			t.Errorf("%d entries, %d before", n, before)
		}
		if n := r.count(true); n != 2500 {
			t.Errorf("%d are held", n)
		}
		if r.stopped("false1@big.test", "", "") != 0 {
			t.Error("what is held stops mail")
		}
		for range 30 {
			r.minute(500, .01, "good")
		}
		// The next failure after the storm is believed, and no longer held.
		r.hear.Record(event(mail.EventBounce, "false1@big.test"))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if r.stopped("false1@big.test", "", "") != suppress.HardBounce || r.count(true) != 2499 {
			t.Errorf("%d held", r.count(true))
		}
		if n, err := r.Release(r.t.Context(), suppress.Selection{Address: address("false2@big.test"), Provider: "big.test"}); err != nil || n != 1 {
			t.Errorf("released %d, %v", n, err)
		}
		if r.stopped("false2@big.test", "", "") == 0 {
			t.Error("released, and not in force")
		}
		if n, err := r.Undo(r.t.Context(), suppress.Selection{Held: true}, false); err != nil || n != 2498 {
			t.Errorf("dropped %d, %v", n, err)
		}
	})
}

// A list of a new customer, three tenths of which are not there, is believed.
func TestBadList(t *testing.T) {
	run(t, suppress.Config{}, func(r *rig) {
		for range 20 {
			r.minute(1000, .3, "a")
		}
		if r.count(false) != 300 || r.count(true) != 0 {
			t.Errorf("%d entries, %d held", r.count(false), r.count(true))
		}
	})
}

// A resolver that knows no names is a storm at nobody's hosts.
func TestDNSStorm(t *testing.T) {
	run(t, suppress.Config{}, func(r *rig) {
		for range 20 {
			r.minute(500, 0, "a")
		}
		for i := range 2500 {
			e := event(mail.EventBounce, fmt.Sprintf("x@d%d.test", i))
			e.Outcome.Host, e.Outcome.Command, e.Lane = "", "DNS", ""
			r.hear.Record(e)
		}
		for range 9 {
			r.minute(10, 0, "a")
		}
		if r.count(false) != 0 {
			t.Errorf("%d entries", r.count(false))
		}
		r.hear.Record(event(mail.EventBounce, "b@big.test"))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if r.stopped("b@big.test", "", "") == 0 {
			t.Error("what a host says is not believed")
		}
	})
}

// Reports that come back later are compared with what was delivered: hundreds of
// them are usual after a large mailing, more than a fifth of it are a storm.
func TestReturnedStorm(t *testing.T) {
	run(t, suppress.Config{}, func(r *rig) {
		for range 20 {
			r.minute(1000, 0, "a")
		}
		back := func(n int, domain string) {
			for i := range n {
				f := suppress.Fact{Recipient: address(fmt.Sprintf("u%d@%s", i, domain)), Reason: suppress.Returned, Rule: "unknown-user"}
				if err := r.Suppress(r.t.Context(), f); err != nil {
					t.Fatal(err)
				}
			}
		}
		back(300, "one.test")
		if r.count(false) != 300 || r.count(true) != 0 {
			t.Errorf("%d entries, %d held", r.count(false), r.count(true))
		}
		back(4000, "two.test")
		if r.count(false) != 0 || r.count(true) != 4300 {
			t.Errorf("then %d entries, %d held", r.count(false), r.count(true))
		}
	})
}

// Undo takes back what failures made by a rule since a time, and nothing else.
func TestUndo(t *testing.T) {
	run(t, suppress.Config{}, func(r *rig) {
		r.hear.Record(event(mail.EventBounce, "old@big.test"))
		time.Sleep(time.Hour)
		since := time.Now()
		for _, a := range []string{"a@big.test", "b@big.test"} {
			r.hear.Record(event(mail.EventBounce, a))
		}
		other := event(mail.EventBounce, "c@big.test")
		other.Outcome.Diagnosis.Rule = "another"
		r.hear.Record(other)
		r.add(entry(t, "d@big.test", "", "", suppress.Manual))
		time.Sleep(2 * time.Second)
		s := suppress.Selection{Since: since, Rule: "unknown-user", Provider: "big.test"}
		for _, dry := range []bool{true, false} {
			if n, err := r.Undo(r.t.Context(), s, dry); err != nil || n != 2 {
				t.Errorf("dry %v: %d, %v", dry, n, err)
			}
		}
		for a, want := range map[string]suppress.Reason{
			"old@big.test": suppress.HardBounce, "a@big.test": 0, "b@big.test": 0, "c@big.test": suppress.HardBounce, "d@big.test": suppress.Manual,
		} {
			if got := r.stopped(a, "", ""); got != want {
				t.Errorf("%s: %v, want %v", a, got, want)
			}
		}
	})
}

// Thousands of one second are found, too.
func TestUndoMany(t *testing.T) {
	run(t, suppress.Config{}, func(r *rig) {
		var all []suppress.Entry
		now := time.Now()
		for i := range 5000 {
			e := entry(t, "u"+time.Duration(i).String()+"@a.test", "", "", suppress.HardBounce)
			e.Created = now.Add(-time.Duration(i/1500) * time.Second)
			all = append(all, e)
		}
		r.add(all...)
		if n, err := r.Undo(r.t.Context(), suppress.Selection{Since: now.Add(-time.Second)}, true); err != nil || n != 3000 {
			t.Errorf("%d, %v", n, err)
		}
		if n, err := r.Undo(r.t.Context(), suppress.Selection{}, false); err != nil || n != 5000 || r.count(false) != 0 {
			t.Errorf("%d, %v, %d left", n, err, r.count(false))
		}
	})
}

// Pages have everything once, whatever the size of a page.
func TestPages(t *testing.T) {
	run(t, suppress.Config{}, func(r *rig) {
		for _, s := range []string{"a@a.test", "b@a.test", "a.test", "a@b.test", "b.test"} {
			r.add(entry(t, s, "", "", suppress.Manual), entry(t, s, "shop", "", suppress.Import))
		}
		read := func(s suppress.Selection, limit int) (n int) {
			var after suppress.Key
			for more := true; more; {
				var page []suppress.Entry
				var err error
				page, after, more, err = r.Page(s, after, limit)
				if err != nil || len(page) > limit {
					t.Fatalf("%d, %v", len(page), err)
				}
				n += len(page)
			}
			return n
		}
		for limit := 1; limit < 12; limit++ {
			for _, c := range []struct {
				s    suppress.Selection
				want int
			}{
				{suppress.Selection{}, 10},
				{suppress.Selection{Tenant: "shop"}, 5},
				{suppress.Selection{Reason: suppress.Manual, Address: address("a.test")}, 3},
				{suppress.Selection{Address: address("A@b.test")}, 2},
				{suppress.Selection{Held: true}, 0},
			} {
				if n := read(c.s, limit); n != c.want {
					t.Errorf("%+v by %d: %d, want %d", c.s, limit, n, c.want)
				}
			}
		}
	})
}

// Delete takes one scope, or all of them.
func TestDelete(t *testing.T) {
	run(t, suppress.Config{}, func(r *rig) {
		for _, s := range []string{"a@a.test", "a.test", "b@a.test"} {
			r.add(entry(t, s, "", "", suppress.Manual), entry(t, s, "shop", "", suppress.Manual))
		}
		for i, c := range []struct {
			subject, tenant string
			all             bool
			want            int
		}{{"a@a.test", "club", false, 0}, {"A@a.test", "shop", false, 1}, {"b@a.test", "", true, 2}, {"a.test", "", true, 2}, {"a@a.test", "", false, 1}} {
			if n, err := r.Delete(r.t.Context(), address(c.subject), c.tenant, "", c.all); err != nil || n != c.want {
				t.Errorf("%d: %d, %v", i, n, err)
			}
		}
		if r.count(false) != 0 {
			t.Errorf("%d are left", r.count(false))
		}
	})
}

func TestProvider(t *testing.T) {
	for lane, want := range map[mail.Lane]string{
		"default->mx1.big.test,mx2.big.test":                 "big.test",
		"a->shop-test.mail.protection.outlook.com":           "outlook.com",
		"a->alt1.aspmx.l.google.com,aspmx.l.google.com+tls2": "google.com",
		"a->mx.bank.co.uk+3#0123456789abcdef":                "bank.co.uk",
		"a->smart.host.test:587+user=me":                     "host.test",
		"a->[192.0.2.1]":                                     "192.0.2.1",
		"":                                                   "",
		"a->localhost:25":                                    "localhost",
	} {
		if got := suppress.Provider(lane); got != want {
			t.Errorf("%s: %q, want %q", lane, got, want)
		}
	}
}
