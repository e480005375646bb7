package returned_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/bounce"
	"tenma/relay/bounce/classify"
	"tenma/relay/bounce/returned"
	"tenma/relay/mail"
	"tenma/relay/policy/returns"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// rig is a desk and all that it talks to.
type rig struct {
	t       testing.TB
	adviser *returns.Adviser
	desk    *returned.Desk
	ours    mail.Reference // a message of ours that was accepted now

	events     []mail.Event
	suppressed []returned.Finding
	sent       map[string]*mail.Envelope
	body       string // of what was sent on
	read       int    // octets of bodies
	openErr    error
	err        error // of suppression and outbox
}

func (r *rig) Record(e *mail.Event) { r.events = append(r.events, *e) }

func (r *rig) Suppress(_ context.Context, f *returned.Finding) error {
	if r.err == nil {
		r.suppressed = append(r.suppressed, *f)
	}
	return r.err
}

func (r *rig) Send(_ context.Context, key string, e *mail.Envelope, body io.WriterTo) error {
	var b bytes.Buffer
	if _, err := body.WriteTo(&b); err != nil || r.err != nil {
		return errors.Join(err, r.err)
	}
	r.body, r.sent[key] = b.String(), e
	return nil
}

func address(local string) smtp.Address { return smtp.Address{Local: local, Domain: "r.sender.test"} }

func newRig(t testing.TB) *rig {
	t.Helper()
	a, err := returns.New(returns.Config{
		Domain: "r.sender.test", Complaints: address("fbl"), People: true,
		KeyFile: filepath.Join(t.TempDir(), "keys"), Life: 30 * 24 * time.Hour, Tenants: []string{"shop"},
	}, returns.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	rules, err := classify.Load("")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, adviser: a, sent: map[string]*mail.Envelope{}, ours: mail.Reference{
		ID: spool.NewID(time.Now(), [10]byte{1}), Recipient: smtp.Address{Local: "ann", Domain: "b.test"}, Tenant: "shop", Campaign: "spring",
	}}
	r.desk = returned.New(returned.Config{Field: returns.FieldName, Hostname: "mx.sender.test", Postmaster: smtp.Address{Local: "postmaster", Domain: "sender.test"}}, returned.Deps{
		Reader: func() *bounce.Reader { return bounce.NewReader(rules) }, Tracer: a, Suppressor: r, Outbox: r, Record: r,
	})
	return r
}

// within runs a test in a bubble, with a rig.
func within(t *testing.T, f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newRig(t)) })
}

type stored struct{ *strings.Reader }

func (stored) Close() error { return nil }

// counted counts what is read.
type counted struct {
	stored
	read *int
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.stored.Read(p)
	*c.read += n
	return n, err
}

// take has a message for some addresses read, and gives what became of it.
func (r *rig) take(text string, to ...smtp.Address) []mail.Outcome {
	r.t.Helper()
	a := &mail.Attempt{ID: spool.NewID(time.Now(), [10]byte{2}), Number: 1, Route: mail.Route{Domain: "r.sender.test", Lane: "x->(returns)"}, Envelope: &mail.Envelope{ReturnPath: address("0"), Batch: spool.ID{1}}}
	a.Header = []byte("Received: by us\r\n")
	for i, one := range to {
		a.Envelope.Recipients = append(a.Envelope.Recipients, mail.Recipient{Address: one})
		a.To = append(a.To, i)
	}
	a.Open = func(context.Context) (spool.Body, error) {
		return counted{stored{strings.NewReader(strings.ReplaceAll(text, "\n", "\r\n"))}, &r.read}, r.openErr
	}
	var all []mail.Outcome
	r.desk.Deliver(r.t.Context(), a, func() *mail.Attempt { return nil }, func(got *mail.Attempt, outs []mail.Outcome) {
		if got != a || all != nil || len(outs) != len(to) {
			r.t.Errorf("done with %d outcomes", len(outs))
		}
		all = outs
	})
	for i := range all {
		if f := all[i].Fate(); f == mail.Failed {
			r.t.Errorf("outcome %d: %+v: nothing that comes back is ever refused", i, all[i].Reply)
		}
	}
	return all
}

func (r *rig) path() smtp.Address { return r.adviser.ReturnPath(r.ours) }

// status is a report on recipients; each is "ADDRESS ACTION STATUS REPLY".
func status(original string, recipients ...string) string {
	var b strings.Builder
	b.WriteString("From: MAILER-DAEMON@mx.b.test\nSubject: Report\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=x\n\n" +
		"--x\n\nSorry.\n--x\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.b.test\n")
	for _, t := range recipients {
		f := strings.SplitN(t, " ", 4)
		fmt.Fprintf(&b, "\nFinal-Recipient: rfc822; %s\nAction: %s\nStatus: %s\nDiagnostic-Code: smtp; %s\n", f[0], f[1], f[2], f[3])
	}
	b.WriteString("\n--x\nContent-Type: text/rfc822-headers\n\n" + original + "\n--x--\n")
	return b.String()
}

// complaint is one by a provider that says as little as it may.
func complaint(kind, original string) string {
	return "From: fbl@big.test\nSubject: complaint\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=feedback-report; boundary=x\n\n" +
		"--x\n\nSomebody complains.\n--x\nContent-Type: message/feedback-report\n\nFeedback-Type: " + kind + "\nUser-Agent: x/1\nVersion: 1\n\n" +
		"--x\nContent-Type: message/rfc822\n\n" + original + "\nOffers.\n--x--\n"
}

const gone = "ann@b.test failed 5.1.1 550 5.1.1 no such user"

// A failure that says something about the recipient is recorded and suppresses, with
// all that our own field tells.
func TestReport(t *testing.T) {
	within(t, func(r *rig) {
		field := strings.ReplaceAll(string(r.adviser.Field(r.ours)), "\r\n", "\n")
		r.take(status(field+"Message-ID: <1@shop.test>\nSubject: spring\n", gone), r.path())
		if len(r.events) != 1 || len(r.suppressed) != 1 {
			t.Fatalf("%d events, %d suppressed", len(r.events), len(r.suppressed))
		}
		e, f := r.events[0], r.suppressed[0]
		if e.Kind != mail.EventOOB || e.About != r.ours.ID || e.Envelope.Recipients[0].Address != r.ours.Recipient || e.Envelope.Tenant != "shop" ||
			e.Envelope.Campaign != "spring" || e.Envelope.MsgID != "<1@shop.test>" || e.Outcome.Host != "mx.b.test" || e.Outcome.Detail != "" {
			t.Errorf("%+v, %+v", e, e.Envelope)
		}
		if want := (smtp.Reply{Code: 550, Status: smtp.Status{5, 1, 1}, Text: "no such user"}); e.Outcome.Reply != want || f.Reply != want {
			t.Errorf("reply %+v", e.Outcome.Reply)
		}
		if f.Reference != r.ours || f.Complaint || f.Diagnosis.Class != mail.InvalidRecipient || f.Report != e.ID {
			t.Errorf("%+v", f)
		}
	})
}

// What has consequences, and what is only written down.
func TestConsequences(t *testing.T) {
	none := "Subject: x\n"
	for _, c := range []struct {
		why        string
		text       func(r *rig) string
		to         func(r *rig) smtp.Address // nil: the return path
		events     int
		suppressed bool
		detail     string
	}{
		{"gone", func(*rig) string { return status(none, gone) }, nil, 1, true, ""},
		{"by another name", func(*rig) string { return status(none, "Ann@inside.b.test failed 5.1.1 550 no such user") }, nil, 1, false, "another address"},
		{"by another name, and the header tells whose", func(r *rig) string {
			return status("To: ann@b.test\n", "Ann@inside.b.test failed 5.1.1 550 no such user")
		}, nil, 1, true, ""},
		{"a member of a list is gone", func(*rig) string {
			return status("To: ann@b.test\n", "bob@b.test failed 5.1.1 550 5.1.1 no such user")
		}, nil, 1, false, "another address"},
		{"full", func(*rig) string { return status(none, "ann@b.test failed 5.2.2 552 5.2.2 mailbox full") }, nil, 1, false, ""},
		{"late", func(*rig) string { return status(none, "ann@b.test delayed 4.4.1 451 4.4.1 no answer") }, nil, 1, false, ""},
		{"arrived", func(*rig) string { return status(none, "ann@b.test delivered 2.0.0 250 ok") }, nil, 1, false, ""},
		{"told twice", func(*rig) string { return status(none, gone, gone) }, nil, 2, true, ""},
		{"on holiday", func(*rig) string {
			return "From: ann@b.test\nSubject: Automatic reply: x\nAuto-Submitted: auto-replied\n\n550 5.1.1 no such user\n"
		}, nil, 1, false, ""},
		{"a person answers", func(*rig) string { return "From: ann@b.test\nSubject: Re: x\n\nThanks!\n" }, nil, 0, false, ""},
		{"a complaint at the return path", func(*rig) string { return complaint("abuse", "To: ann@b.test\n") }, nil, 1, true, ""},
		{"a complaint that returns our field", func(r *rig) string {
			return complaint("abuse", strings.ReplaceAll(string(r.adviser.Field(r.ours)), "\r\n", "\n"))
		}, fbl, 1, true, ""},
		{"a complaint that quotes the return path", func(r *rig) string {
			return complaint("abuse\nOriginal-Mail-From: <"+r.path().String()+">\nOriginal-Rcpt-To: ann@b.test", none)
		}, fbl, 1, true, ""},
		{"a complaint of nobody knows whom", func(r *rig) string {
			return complaint("abuse", "Return-Path: <"+r.path().String()+">\n")
		}, fbl, 1, false, "who complains"},
		{"a complaint in words", func(*rig) string { return complaint("abuse\nOriginal-Rcpt-To: ann@b.test", none) }, fbl, 1, false, "prove"},
		{"no complaint at all", func(r *rig) string { return complaint("not-spam", "To: ann@b.test\n") }, nil, 1, false, ""},
		{"a forger's mail", func(r *rig) string { return complaint("auth-failure", "To: ann@b.test\n") }, nil, 1, false, ""},
	} {
		within(t, func(r *rig) {
			to := r.path()
			if c.to != nil {
				to = c.to(r)
			}
			out := r.take(c.text(r), to)[0]
			if out.Fate() != mail.Sent || len(r.events) != c.events || (len(r.suppressed) == 1) != c.suppressed || len(r.suppressed) > 1 || len(r.sent) > 0 {
				t.Fatalf("%s: %d events, suppressed %+v, sent on %d: %+v", c.why, len(r.events), r.suppressed, len(r.sent), out)
			}
			for _, f := range r.suppressed {
				if f.Recipient != r.ours.Recipient || f.ID != r.ours.ID || f.Tenant != "shop" {
					t.Errorf("%s: suppressed %+v", c.why, f)
				}
			}
			if c.events > 0 && !strings.Contains(r.events[0].Outcome.Detail, c.detail) || c.detail == "" && c.events > 0 && r.events[0].Outcome.Detail != "" {
				t.Errorf("%s: detail %q", c.why, r.events[0].Outcome.Detail)
			}
		})
	}
}

// A complaint without a proof still names the message, if the Message-ID is of our
// making.
func TestMessageIDNames(t *testing.T) {
	within(t, func(r *rig) {
		ours := strings.ToLower(r.ours.ID.String())
		for id, want := range map[string]spool.ID{
			"<" + ours + "@MX.sender.test>": r.ours.ID, "<" + ours + "@other.test>": {}, "<1@mx.sender.test>": {}, "": {},
		} {
			r.events = nil
			r.take(complaint("abuse", "Message-ID: "+id+"\nTo: ann@b.test\n"), address("fbl"))
			if len(r.events) != 1 || r.events[0].About != want || len(r.suppressed) > 0 {
				t.Errorf("%q: %+v, suppressed %d", id, r.events, len(r.suppressed))
			}
		}
	})
}

func fbl(*rig) smtp.Address { return address("fbl") }

// A repeat after a crash tells the same facts under the same event ids: nothing in
// them depends on the attempt. Two recipients of one message are two facts.
func TestRepeat(t *testing.T) {
	within(t, func(r *rig) {
		other := r.ours
		other.ID = r.ours.ID.Derive("2")
		text := status("To: ann@b.test\n", gone, gone)
		r.take(text, r.path(), r.adviser.ReturnPath(other))
		first := r.events
		r.events = nil
		r.take(text, r.path(), r.adviser.ReturnPath(other))
		seen := map[int]bool{}
		for i, e := range r.events {
			if e.ID != first[i].ID || e.Recipient != first[i].Recipient || e.Attempts != 0 || seen[e.Recipient] {
				t.Errorf("event %d: recipient %d, attempts %d", i, e.Recipient, e.Attempts)
			}
			seen[e.Recipient] = true
		}
		if len(seen) != 4 || r.events[0].About == r.events[2].About {
			t.Errorf("%d events", len(seen))
		}
	})
}

// What cannot be read or suppressed now waits, with nothing written down that the
// repeat will not find again.
func TestTrouble(t *testing.T) {
	within(t, func(r *rig) {
		text := status("To: ann@b.test\n", gone)
		for why, set := range map[string]func(error){"disk": func(err error) { r.openErr = err }, "suppression": func(err error) { r.err = err }} {
			set(errors.New("trouble"))
			if out := r.take(text, r.path())[0]; out.Fate() != mail.Deferred || len(r.events) > 0 || !strings.Contains(out.Detail, "trouble") {
				t.Errorf("%s: %+v, %d events", why, out, len(r.events))
			}
			set(nil)
		}
		if out := r.take(text, r.path())[0]; out.Fate() != mail.Sent || len(r.events) != 1 || len(r.suppressed) != 1 {
			t.Errorf("%+v", out)
		}
	})
}

// Mail for people is sent on, whole, under a key that a repeat has too.
func TestPassedOn(t *testing.T) {
	within(t, func(r *rig) {
		text := "From: fbl@big.test\nSubject: Please confirm\n\nIs this you?\n"
		for range 2 {
			r.take(text, address("fbl"), address("abuse"))
		}
		if len(r.sent) != 2 || !strings.HasSuffix(r.body, "Is this you?\r\n") || len(r.events) > 0 {
			t.Errorf("%d sent on: %q", len(r.sent), r.body)
		}
		for _, e := range r.sent {
			if to := e.Recipients[0]; to.Address.String() != "postmaster@sender.test" || to.Notify != mail.NotifyNever || !e.ReturnPath.IsNull() || !e.Batch.IsZero() || string(e.Prefix) != "Received: by us\r\n" {
				t.Errorf("%+v", e)
			}
		}
		r.err = errors.New("spool: no room")
		if out := r.take(text, address("fbl"))[0]; out.Fate() != mail.Deferred {
			t.Errorf("%+v", out)
		}
		r.desk.Apply(returned.Config{})
		if out := r.take(text, address("fbl"))[0]; out.Fate() != mail.Sent || len(r.sent) != 2 {
			t.Errorf("without a postmaster: %+v", out)
		}
	})
}

// A thousand recipients in a report, or a message without end, are cut.
func TestBounded(t *testing.T) {
	within(t, func(r *rig) {
		var many []string
		for i := range 1000 {
			many = append(many, fmt.Sprintf("u%d@b.test failed 5.1.1 550 no such user", i))
		}
		r.take(status("", many...), r.path())
		if len(r.events) == 0 || len(r.events) > 16 {
			t.Errorf("%d events", len(r.events))
		}
		r.events, r.read = nil, 0
		r.take(status("To: ann@b.test\n", gone)+strings.Repeat("x\n", 4*returned.MaxRead), r.path())
		if len(r.events) != 1 {
			t.Errorf("%d events of a long message", len(r.events))
		}
		if r.read > returned.MaxRead {
			t.Errorf("%d octets were read", r.read)
		}
	})
}

// Whatever comes is taken: nothing that comes back is refused once it is here.
func FuzzTake(f *testing.F) {
	f.Add(status("To: ann@b.test\n", gone))
	f.Add(complaint("abuse", "To: ann@b.test\n"))
	f.Add("Auto-Submitted: auto-replied\n\nx\n")
	f.Add("X-Tenma-Ref: x\n\n")
	r := newRig(f)
	f.Fuzz(func(t *testing.T, text string) {
		r.t, r.events, r.suppressed = t, nil, nil
		for _, to := range []smtp.Address{r.path(), address("fbl")} {
			if out := r.take(text, to)[0]; out.Fate() != mail.Sent {
				t.Errorf("%+v", out)
			}
		}
		for _, s := range r.suppressed {
			if s.ID != r.ours.ID {
				t.Errorf("%+v is not proven", s)
			}
		}
	})
}
