package rest

import (
	"testing"
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

func TestRest(t *testing.T) {
	var r Rest
	now := time.Unix(1_700_000_000, 0)
	for range 2 {
		if r.Failed(3, now) || r.Runs(10, now) != 10 {
			t.Fatal("it rests too early")
		}
	}
	if r.Reached() {
		t.Error("it had not rested")
	}
	r.Failed(3, now)
	r.Failed(3, now)
	if !r.Failed(3, now) || r.Runs(10, now) != 0 {
		t.Fatal("the third failure in a row begins the rest")
	}
	if r.Failed(3, now) {
		t.Error("begins twice")
	}
	began := now
	want := []time.Duration{1, 2, 4, 8, 16, 32, 60, 60}
	for i, w := range want {
		until, resting := r.Resting()
		if since, next := r.Span(); !since.Equal(began) || !next.Equal(until) {
			t.Errorf("rests from %v to %v, want %v to %v", since, next, began, until)
		}
		if d := until.Sub(now); !resting || d != w*time.Second {
			t.Fatalf("probe %d after %v, want %v s", i, d, int(w))
		}
		if now = until.Add(-time.Millisecond); r.Runs(10, now) != 0 {
			t.Error("a run before its time")
		}
		r.Failed(3, now) // one that had begun before: no further wait
		if now = until; r.Runs(10, now) != 1 {
			t.Error("no probe, or more than one")
		}
		r.Failed(3, now)
	}
	r.Probe(now)
	if r.Runs(10, now) != 1 {
		t.Error("no probe when asked for")
	}
	if !r.Reached() || r.Runs(10, now) != 10 {
		t.Error("it goes on resting")
	}
	if _, resting := r.Resting(); resting {
		t.Error("it goes on resting")
	}
	if since, until := r.Span(); !since.IsZero() || !until.IsZero() {
		t.Error("it goes on resting")
	}
	r.Probe(now)
	if r.Runs(10, now) != 10 {
		t.Error("asking for a probe makes it rest")
	}
}

func TestUnreached(t *testing.T) {
	for _, c := range []struct {
		o    mail.Outcome
		want bool
	}{
		{mail.Outcome{Command: "CONNECT", Reply: smtp.Reply{Code: 451}}, true},
		{mail.Outcome{Command: "EHLO", Reply: smtp.Reply{Code: 421}}, true},
		{mail.Outcome{Command: "AUTH", Reply: smtp.Reply{Code: 454}}, true},
		{mail.Outcome{Command: "CONNECT", Reply: smtp.Reply{Code: 451}, Untried: true}, false},
		{mail.Outcome{Command: "CONNECT", Reply: smtp.Reply{Code: 521}}, false},
		{mail.Outcome{Command: "STARTTLS", Reply: smtp.Reply{Code: 451}}, false},
		{mail.Outcome{Command: "RCPT", Reply: smtp.Reply{Code: 450}}, false},
		{mail.Outcome{Command: ".", Reply: smtp.Reply{Code: 250}}, false},
	} {
		if got := Unreached(&c.o); got != c.want {
			t.Errorf("%+v: %v", c.o, got)
		}
	}
}

func TestSet(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	var s Set[string]
	var a, b Rest
	a.Failed(1, now)
	s.Add("a", &a)
	b.Failed(1, now.Add(time.Second))
	s.Add("b", &b)
	s.Add("b", &b)
	if at := s.Next(); !at.Equal(now.Add(time.Second)) || s.Due(now) != nil {
		t.Fatalf("next at %v", at)
	}
	now = now.Add(time.Second)
	if due := s.Due(now); len(due) != 1 || due[0] != "a" || !s.Next().Equal(now.Add(time.Second)) {
		t.Errorf("due %v, next %v", due, s.Next())
	}
	s.Leave("a")
	s.Probe(now)
	if due := s.Due(now); len(due) != 1 || due[0] != "b" || !s.Next().IsZero() {
		t.Errorf("due %v, next %v", due, s.Next())
	}
	b.Failed(1, now)
	s.Add("b", &b)
	if at := s.Next(); !at.Equal(now.Add(2 * time.Second)) {
		t.Errorf("next at %v", at)
	}
}
