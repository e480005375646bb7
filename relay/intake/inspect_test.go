package intake

import (
	"context"
	"errors"
	"strings"
	"testing"

	"tenma/relay/mail"
	"tenma/relay/mail/stored"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// critic remembers what it was shown and says what it was told to say.
type critic struct {
	absent         bool
	says           mail.Judgement
	err            error
	seen           strings.Builder
	asked, dropped int
}

func (c *critic) Inspect(context.Context, *mail.Envelope) Inspection {
	if c.absent {
		return nil
	}
	return c
}
func (c *critic) Write(p []byte) (int, error)      { return c.seen.Write(p) }
func (c *critic) Verdict() (mail.Judgement, error) { c.asked++; return c.says, c.err }
func (c *critic) Drop()                            { c.dropped++ }

const small = "From: a@a.test\r\n\r\nbody\r\n"

var large = "From: a@a.test\r\n\r\n" + strings.Repeat("0123456789\r\n", spool.MaxInline/6)

func judged(t *testing.T, text string, size int, all ...*critic) (*fakeSpool, *mail.Envelope, error) {
	t.Helper()
	s, f, _ := rig(Config{})
	for _, c := range all {
		s.deps.Inspectors = append(s.deps.Inspectors, c)
	}
	e := envelope()
	_, err := s.Accept(t.Context(), e, pieces{text: text, size: size})
	for i, c := range all {
		if !c.absent && c.asked+c.dropped != 1 {
			t.Errorf("inspection %d ended %d times with a verdict and %d times without", i, c.asked, c.dropped)
		}
	}
	return f, e, err
}

// Whoever looks sees the whole message, however it arrives; what it says stands
// in front, the last word first.
func TestInspections(t *testing.T) {
	for _, text := range []string{small, large, "From: a@a.test\r\n", "no header at all\r\n"} {
		for _, size := range []int{1, 1000, 1 << 20} {
			if size == 1 && len(text) > 1<<17 {
				continue
			}
			one, none, two := &critic{says: mail.Judgement{Header: []byte("A: 1\r\n")}}, &critic{absent: true}, &critic{says: mail.Judgement{Header: []byte("B: 2\r\n")}}
			f, e, err := judged(t, text, size, one, none, two)
			if err != nil {
				t.Fatal(err)
			}
			if got := one.seen.String(); got != text {
				t.Errorf("the first saw %d octets of %d", len(got), len(text))
			}
			want := "A: 1\r\n" + text
			if len(text) > spool.MaxInline {
				want = text // all see it at once
			}
			if got := two.seen.String(); got != want {
				t.Errorf("the second saw %.40q", got)
			}
			if p := string(e.Prefix); !strings.HasPrefix(p, "B: 2\r\nA: 1\r\nReceived: ") || e.Size != int64(len(p)+len(text)) {
				t.Errorf("size %d, prefix %q", e.Size, p)
			}
			if s, err := stored.DecodeState(f.drafts[0].State); err != nil || s.Held {
				t.Errorf("state %+v, %v", s, err)
			}
		}
	}
}

func TestVerdictHolds(t *testing.T) {
	for _, text := range []string{small, large} {
		f, _, err := judged(t, text, 5000, &critic{says: mail.Judgement{Hold: true}}, &critic{})
		if err != nil {
			t.Fatal(err)
		}
		if s, err := stored.DecodeState(f.drafts[0].State); err != nil || !s.Held {
			t.Errorf("state %+v, %v", s, err)
		}
	}
}

// A message that somebody refuses is not stored, and the others are let go.
func TestVerdictRefuses(t *testing.T) {
	for _, text := range []string{small, large} {
		no := smtp.Errorf(550, smtp.Status{5, 7, 1}, "no")
		last := &critic{}
		f, _, err := judged(t, text, 5000, &critic{}, &critic{err: no}, last)
		if !errors.Is(err, error(no)) || len(f.drafts) != 0 {
			t.Errorf("%v, %d drafts", err, len(f.drafts))
		}
		if last.dropped != 1 {
			t.Error("the last was asked for a verdict on what is refused")
		}
		if len(f.stages) > 0 && !f.stages[0].discarded {
			t.Error("the streamed body was kept")
		}
		_, _, err = judged(t, text, 5000, &critic{err: errors.New("broken")})
		if e, ok := errors.AsType[*smtp.Error](err); !ok || e.Reply.Code != 451 {
			t.Errorf("an error of its own: %v", err)
		}
	}
}

// Nobody is asked about what is refused for other reasons, and a body that is cut
// off lets go of all.
func TestInspectionsDropped(t *testing.T) {
	c := &critic{}
	s, _, _ := rig(Config{})
	s.deps.Inspectors = []Inspector{c}
	if _, err := s.Accept(t.Context(), envelope(), pieces{text: large, size: 4096, err: errors.New("cut")}); err == nil || c.dropped != 1 || c.asked != 0 {
		t.Errorf("%v, dropped %d, asked %d", err, c.dropped, c.asked)
	}
	looping := strings.Repeat("Received: x\r\n", 101) + "\r\n"
	if _, err := s.Accept(t.Context(), envelope(), pieces{text: looping, size: 4096}); err == nil || c.asked != 0 || c.dropped != 1 {
		t.Errorf("%v, dropped %d, asked %d", err, c.dropped, c.asked)
	}
}

// Fields that nobody is to see go out before anybody looks.
func TestUnwanted(t *testing.T) {
	for _, rest := range []string{"\r\nX-Secret: in the body\r\n", "\r\n" + strings.Repeat("x", 2*spool.MaxInline)} {
		s, f, _ := rig(Config{})
		c := &critic{}
		s.deps.Inspectors = []Inspector{c}
		s.deps.Unwanted = func(_ *mail.Envelope, f header.Field) bool { return f.Is("X-Secret") }
		if _, err := s.Accept(t.Context(), envelope(), pieces{text: "x-secret : 1\r\n\t2\r\nFrom: a@a.test\r\nX-SECRET:3\r\n" + rest, size: 5000}); err != nil {
			t.Fatal(err)
		}
		got := string(f.drafts[0].Body)
		if len(f.stages) > 0 {
			got = f.stages[0].String()
		}
		if want := "From: a@a.test\r\n" + rest; got != want || c.seen.String() != want {
			t.Errorf("stored %.80q, shown %.80q", got, c.seen.String())
		}
	}
}
