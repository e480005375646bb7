package intake

import (
	"context"
	"strings"
	"testing"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// editor says what it was told to say, and remembers what it was shown.
type editor struct {
	says                 mail.Judgement
	change               func(*mail.Envelope)
	e                    *mail.Envelope
	id                   spool.ID
	ahead, section, rest string
	whole                bool
}

func (d *editor) Inspect(_ context.Context, e *mail.Envelope) Inspection { d.e = e; return d }

func (d *editor) Section(id spool.ID, ahead, section []byte) {
	d.id, d.ahead, d.section = id, string(ahead), string(section)
}
func (d *editor) Whole(rest []byte)           { d.rest, d.whole = string(rest), true }
func (d *editor) Write(p []byte) (int, error) { d.rest += string(p); return len(p), nil }
func (d *editor) Drop()                       {}

func (d *editor) Verdict() (mail.Judgement, error) {
	if d.change != nil {
		d.change(d.e)
	}
	return d.says, nil
}

// whole is the message as it goes out: prefix and stored body.
func whole(f *fakeSpool, e *mail.Envelope) string {
	body := string(f.drafts[0].Body)
	if f.drafts[0].Staged != nil {
		body = f.stages[0].String()
	}
	_, rest, _ := strings.Cut(string(e.Prefix), ";\r\n\t") // behind our own field, but for its date
	_, rest, _ = strings.Cut(rest, "\r\n")
	return rest + body
}

// A header section is changed before the message is stored: in place where there is
// room, else by going in front. Sizes are those of what is stored.
func TestHeaderIsChanged(t *testing.T) {
	const head = "From: a@a.test\r\nSubject: one\r\n"
	full := "\r\n" + strings.Repeat("x", spool.MaxInline-len(head)-2)
	for name, body := range map[string]string{
		"small": "\r\nbody\r\n", "no body": "", "larger buffer": "\r\n" + strings.Repeat("x", scratchSizes[0]-len(head)-2), "full": full, "streamed": full + full,
	} {
		for _, section := range []string{"", "S: 2\r\n", "From: b@a.test\r\nSubject: two\r\nMessage-ID: <2@a.test>\r\n" + strings.Repeat("X: y\r\n", 9)} {
			d, after := &editor{says: mail.Judgement{Section: []byte(section), Header: []byte("Added: 1\r\n")}}, &editor{}
			s, f, _ := rig(Config{})
			s.deps.Inspectors = []Inspector{d, after}
			e := envelope()
			id, err := s.Accept(t.Context(), e, pieces{text: head + body, size: 5000})
			if err != nil {
				t.Fatal(err)
			}
			if got := whole(f, e); got != section+body {
				t.Errorf("%s: %d octets, want %d: %.100q", name, len(got), len(section)+len(body), got)
			}
			if d.id != id || d.section != head || d.rest != body || d.whole != (name != "streamed") {
				t.Errorf("%s: was shown %q and %d octets", name, d.section, len(d.rest))
			}
			if name != "streamed" && (after.ahead != "Added: 1\r\n" || after.section != section || after.rest != body) {
				t.Errorf("%s: the next was shown %q, %q and %d octets", name, after.ahead, after.section, len(after.rest))
			}
			if stored := int64(len(e.Prefix) + len(f.drafts[0].Body)); f.drafts[0].Staged != nil {
				if stored += int64(f.stages[0].Len()); e.Size != stored {
					t.Errorf("%s: size %d, stored %d", name, e.Size, stored)
				}
			} else if e.Size != stored || len(f.drafts[0].Body) > spool.MaxInline {
				t.Errorf("%s: size %d, stored %d", name, e.Size, stored)
			}
			if want := map[bool]string{true: "two", false: ""}[strings.Contains(section, "two")]; e.Subject != want {
				t.Errorf("%s: subject %q in the log", name, e.Subject)
			}
			if s.held.Load() != 0 {
				t.Errorf("%s: %d octets are held", name, s.held.Load())
			}
		}
	}
}

// One that says nothing leaves the message as it came, wherever its octets are kept.
func TestEditorLeavesIt(t *testing.T) {
	for _, text := range []string{small, large, "From: a@a.test\r\n", "no header at all\r\n", "\r\nonly text\r\n", "no header " + strings.Repeat("x", 2*spool.MaxInline)} {
		d, c := &editor{}, &critic{}
		s, f, _ := rig(Config{})
		s.deps.Inspectors = []Inspector{d, c}
		e := envelope()
		if _, err := s.Accept(t.Context(), e, pieces{text: text, size: 5000}); err != nil {
			t.Fatal(err)
		}
		if got := whole(f, e); strings.TrimPrefix(got, "\r\n") != strings.TrimPrefix(text, "\r\n") {
			t.Errorf("%.40q became %.40q", text, got)
		}
		if d.section+d.rest != text || c.seen.String() != text {
			t.Errorf("%.40q: shown %.40q and %.40q", text, d.section+d.rest, c.seen.String())
		}
	}
}

// What is thrown away is taken all the same; the envelope is changed before it is
// stored.
func TestVerdictDiscards(t *testing.T) {
	for _, text := range []string{small, large} {
		s, f, l := rig(Config{})
		after := &critic{}
		s.deps.Inspectors = []Inspector{&editor{says: mail.Judgement{Discard: true}}, after}
		if id, err := s.Accept(t.Context(), envelope(), pieces{text: text, size: 5000}); err != nil || id.IsZero() {
			t.Errorf("%v, %v", id, err)
		}
		if len(f.drafts) != 0 || len(l.all) != 0 || after.dropped != 1 || len(f.stages) > 0 && !f.stages[0].discarded {
			t.Errorf("%d drafts, %d events", len(f.drafts), len(l.all))
		}
	}
	s, f, _ := rig(Config{})
	s.deps.Inspectors = []Inspector{&editor{change: func(e *mail.Envelope) {
		e.Sender, e.Recipients = smtp.Address{}, e.Recipients[:1]
	}}}
	e := envelope()
	accept(t, s, e, small)
	if stored := string(f.drafts[0].Envelope); strings.Contains(stored, "c.test") || strings.Contains(stored, "a.test") && !strings.Contains(stored, "b.test") {
		t.Errorf("stored %q", stored)
	}
}
