package suppress_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tenma/relay/mail"
	"tenma/relay/policy/suppress"
	"tenma/relay/wire/smtp"
)

func attempt(to ...string) *mail.Attempt {
	at := &mail.Attempt{Envelope: &mail.Envelope{Trusted: true, Sender: smtp.Address{Local: "me", Domain: "own.test"}}}
	for i, a := range to {
		at.Envelope.Recipients = append(at.Envelope.Recipients, mail.Recipient{Address: address(a)})
		at.To = append(at.To, i)
	}
	return at
}

// Of each attempt the delivery sees those that may be written to, in their order;
// the queue hears one outcome for each, in its own.
func TestGuarding(t *testing.T) {
	run(t, suppress.Config{}, func(r *rig) {
		r.add(entry(t, "no@a.test", "", "", suppress.HardBounce), entry(t, "spam@a.test", "", "", suppress.Complaint))
		null := attempt("no@a.test")
		null.Envelope.Sender = smtp.Address{}
		stranger := attempt("no@a.test")
		stranger.Envelope.Trusted = false
		queue := []*mail.Attempt{
			attempt("no@a.test"),
			attempt("1@a.test", "no@a.test", "2@a.test", "spam@a.test", "3@a.test"),
			attempt("spam@a.test", "no@a.test"),
			attempt("4@a.test"),
			null,
			stranger,
			attempt("no@a.test"),
		}
		all := append([]*mail.Attempt(nil), queue...)
		next := func() *mail.Attempt {
			if len(queue) == 0 {
				return nil
			}
			at := queue[0]
			queue = queue[1:]
			return at
		}
		var delivered []string
		heard := map[*mail.Attempt]string{}
		r.Guarding(func(_ context.Context, first *mail.Attempt, next func() *mail.Attempt, done func(*mail.Attempt, []mail.Outcome)) {
			for at := first; at != nil; at = next() {
				var outs []mail.Outcome
				for _, to := range at.To {
					a := at.Envelope.Recipients[to].Address
					delivered = append(delivered, a.String())
					outs = append(outs, mail.Outcome{Host: "mx", Reply: smtp.Reply{Code: 250, Text: a.Local}})
				}
				done(at, outs)
			}
		})(r.t.Context(), next(), next, func(at *mail.Attempt, outs []mail.Outcome) {
			if heard[at] != "" {
				t.Error("an attempt was answered for twice")
			}
			for _, o := range outs {
				heard[at] += fmt.Sprint(o.Reply.Code, o.Host, o.Diagnosis.Rule, " ")
			}
		})
		if d := cmp.Diff([]string{"1@a.test", "2@a.test", "3@a.test", "4@a.test", "no@a.test", "no@a.test"}, delivered); d != "" {
			t.Error(d)
		}
		for i, want := range []string{
			"550suppressed-hard_bounce ", "250mx 550suppressed-hard_bounce 250mx 550suppressed-complaint 250mx ",
			"550suppressed-complaint 550suppressed-hard_bounce ", "250mx ", "250mx ", "250mx ", "550suppressed-hard_bounce ",
		} {
			if heard[all[i]] != want {
				t.Errorf("attempt %d heard %q, want %q", i, heard[all[i]], want)
			}
		}
	})
}

// Nothing to do, no delivery: when all is suppressed nobody is called.
func TestGuardingNothingLeft(t *testing.T) {
	run(t, suppress.Config{}, func(r *rig) {
		r.add(entry(t, "a.test", "", "", suppress.Manual))
		answered := 0
		r.Guarding(func(context.Context, *mail.Attempt, func() *mail.Attempt, func(*mail.Attempt, []mail.Outcome)) {
			t.Error("called")
		})(r.t.Context(), attempt("x@a.test"), func() *mail.Attempt { return nil }, func(_ *mail.Attempt, outs []mail.Outcome) {
			answered++
			if o := outs[0]; o.Fate() != mail.Failed || o.Diagnosis.Severity != mail.Admin || o.Diagnosis.Remedy != mail.Bounce {
				t.Errorf("%+v", o)
			}
		})
		if answered != 1 {
			t.Errorf("answered %d times", answered)
		}
	})
}

// A list that cannot be read keeps the mail.
func TestGuardingSick(t *testing.T) {
	l := suppress.New(suppress.Config{}, suppress.Deps{Store: sick{}})
	at := attempt("x@a.test")
	l.Guarding(func(context.Context, *mail.Attempt, func() *mail.Attempt, func(*mail.Attempt, []mail.Outcome)) {
		t.Error("delivered")
	})(t.Context(), at, func() *mail.Attempt { return nil }, func(_ *mail.Attempt, outs []mail.Outcome) {
		if outs[0].Fate() != mail.Deferred {
			t.Errorf("%+v", outs[0])
		}
	})
	if err, ok := l.Recipient(address("x@a.test"), "").(*smtp.Error); !ok || !err.Reply.Temporary() {
		t.Errorf("%v", err)
	}
}

type sick struct{ suppress.Store }

func (sick) Counts() *suppress.Counts {
	c := &suppress.Counts{}
	c.Add(&suppress.Entry{Key: suppress.Key{Local: "a", Domain: "b"}, Reason: suppress.Manual}, 1)
	return c
}

func (sick) Get(suppress.Key) (suppress.Entry, bool, error) {
	return suppress.Entry{}, false, fmt.Errorf("broken")
}
