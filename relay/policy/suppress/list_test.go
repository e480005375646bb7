package suppress_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/policy/suppress"
	"tenma/relay/wire/smtp"
)

// Whose mail an entry stops.
func TestScopes(t *testing.T) {
	run(t, suppress.Config{Own: []smtp.Domain{"ours.test"}}, func(r *rig) {
		if r.stopped("all@a.test", "", "") != 0 {
			t.Error("an empty list stops mail")
		}
		r.add(
			entry(t, "All@a.test", "", "", suppress.Manual),
			entry(t, "tenant@a.test", "shop", "", suppress.Complaint),
			entry(t, "campaign@a.test", "shop", "spring", suppress.Unsubscribe),
			entry(t, "whole.test", "", "", suppress.Import),
			entry(t, "some.test", "shop", "", suppress.Returned),
			entry(t, "less.test", "shop", "spring", suppress.Returned),
			entry(t, "me@ours.test", "", "", suppress.Manual),
			entry(t, "left@ours.test", "shop", "", suppress.Unsubscribe),
		)
		for _, c := range []struct {
			to, tenant, campaign string
			want                 suppress.Reason
		}{
			{"all@a.test", "", "", suppress.Manual},
			{"ALL@A.test", "club", "x", suppress.Manual},
			{"all+tag@a.test", "", "", 0},
			{"all@sub.a.test", "", "", 0},
			{"tenant@a.test", "", "", 0},
			{"tenant@a.test", "club", "", 0},
			{"tenant@a.test", "shop", "", suppress.Complaint},
			{"tenant@a.test", "shop", "spring", suppress.Complaint},
			{"campaign@a.test", "shop", "", 0},
			{"campaign@a.test", "shop", "autumn", 0},
			{"campaign@a.test", "club", "spring", 0},
			{"campaign@a.test", "shop", "spring", suppress.Unsubscribe},
			{"x@whole.test", "", "", suppress.Import},
			{"x@sub.whole.test", "", "", 0},
			{"x@some.test", "", "", 0},
			{"x@some.test", "shop", "spring", suppress.Returned},
			{"x@less.test", "shop", "", 0},
			{"x@less.test", "shop", "spring", suppress.Returned},
			{"me@ours.test", "", "", 0},
			{"left@ours.test", "shop", "", suppress.Unsubscribe}, // who is here may leave, too
			{"left@ours.test", "", "", 0},
			{"all@a.test", "\x00", "", suppress.Manual}, // what no entry can name is no way round
			{"tenant@a.test", "shop", "\x00", suppress.Complaint},
			{"tenant@a.test", "shop", strings.Repeat("x", 200), suppress.Complaint},
		} {
			if got := r.stopped(c.to, c.tenant, c.campaign); got != c.want {
				t.Errorf("%s of %q %q: %v, want %v", c.to, c.tenant, c.campaign, got, c.want)
			}
		}
		if _, stopped, err := r.Find(smtp.Address{Local: "postmaster"}, "", ""); stopped || err != nil {
			t.Errorf("the postmaster: %v %v", stopped, err)
		}
	})
}

func TestKeys(t *testing.T) {
	for _, s := range []string{"", "@", "a@", "word", "a b@c.test", "a@b@c.test", "\x00@a.test", `""@a.test`, "a.test\x00", "@a..test", "postmaster"} {
		if a, err := suppress.ParseSubject(s); err == nil {
			t.Errorf("%q is read as %v", s, a)
		}
	}
	for _, c := range []struct{ subject, want string }{
		{"Ann@EXAMPLE.test", "ann@example.test"},
		{"ann+news@example.test", "ann+news@example.test"},
		{`"Ann B"@example.test`, `"ann b"@example.test`},
		{"@Example.test", "example.test"},
		{" example.test ", "example.test"},
		{"JÜRGEN@bücher.test", "jürgen@xn--bcher-kva.test"},
		{"ju\u0308rgen@a.test", "jürgen@a.test"},
	} {
		k, err := suppress.NewKey(address(c.subject), "", "")
		if err != nil || k.Subject() != c.want {
			t.Errorf("%q: %q, %v", c.subject, k.Subject(), err)
		}
	}
	for _, scope := range [][2]string{{"", "spring"}, {"a\n", ""}, {"a", "b\x00"}, {strings.Repeat("x", 129), ""}} {
		if _, err := suppress.NewKey(address("a@a.test"), scope[0], scope[1]); !errors.Is(err, suppress.ErrScope) {
			t.Errorf("%q: %v", scope, err)
		}
	}
}

// Entries end by themselves, and then leave.
func TestExpiry(t *testing.T) {
	run(t, suppress.Config{Expire: suppress.DefaultExpire()}, func(r *rig) {
		r.add(entry(t, "a@a.test", "", "", suppress.HardBounce), entry(t, "b@a.test", "", "", suppress.Manual))
		time.Sleep(90*24*time.Hour - time.Second)
		if r.stopped("a@a.test", "", "") == 0 {
			t.Error("ended too soon")
		}
		time.Sleep(time.Second)
		if r.stopped("a@a.test", "", "") != 0 || r.stopped("b@a.test", "", "") == 0 {
			t.Error("it did not end, or another did")
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := r.count(false); n != 1 {
			t.Errorf("%d entries are left", n)
		}
	})
}

// What the RCPT of a client hears.
func TestRecipient(t *testing.T) {
	run(t, suppress.Config{}, func(r *rig) {
		r.add(entry(t, "a@a.test", "shop", "", suppress.Unsubscribe))
		if err := errors.Join(r.Recipient(address("a@a.test"), ""), r.Recipient(address("b@a.test"), "shop")); err != nil {
			t.Error(err)
		}
		var e *smtp.Error
		if !errors.As(r.Recipient(address("A@a.test"), "shop"), &e) || e.Reply.String() != "550 5.7.1 a@a.test is on the suppression list: its owner unsubscribed, 2000-01-01" {
			t.Errorf("%v", e)
		}
	})
}

// A wish to be left alone does not stop what people have no choice about; a mail
// box that is not there does.
func TestTransactional(t *testing.T) {
	run(t, suppress.Config{Transactional: []string{"alerts"}}, func(r *rig) {
		r.add(entry(t, "a@a.test", "", "", suppress.Unsubscribe), entry(t, "b@a.test", "", "", suppress.Unsubscribe), entry(t, "b@a.test", "alerts", "", suppress.HardBounce))
		if r.stopped("a@a.test", "alerts", "") != 0 || r.stopped("a@a.test", "shop", "") == 0 || r.stopped("b@a.test", "alerts", "") != suppress.HardBounce {
			t.Error("not as set")
		}
	})
}
