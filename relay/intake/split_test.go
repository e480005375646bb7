package intake

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tenma/relay/mail"
	"tenma/relay/mail/stored"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// personal gives each copy a field with a name of its own, and a return path.
type personal struct {
	name  string
	never bool
	saw   string
}

func (p *personal) Copies(_ *mail.Envelope, h header.Section) func(spool.ID, *mail.Envelope) []byte {
	p.saw = string(h)
	if p.never {
		return nil
	}
	return func(id spool.ID, e *mail.Envelope) []byte {
		e.ReturnPath = smtp.Address{Local: strings.ToLower(id.String()), Domain: "r.test"}
		return fmt.Appendf(nil, "%s: %s %s\r\n", p.name, id, e.Recipients[0].Address)
	}
}

func split(t *testing.T, text string, to int, all ...PerRecipient) (*fakeSpool, *events, spool.ID) {
	t.Helper()
	s, f, l := rig(Config{})
	s.deps.PerRecipient = all
	e := envelope()
	e.Account, e.Submission = "a@a.test", true // so that it is completed
	e.Recipients = nil
	for i := range to {
		e.Recipients = append(e.Recipients, mail.Recipient{Address: smtp.Address{Local: fmt.Sprintf("r%d", i), Domain: "b.test"}, ORcpt: fmt.Sprint("rfc822;", i)})
	}
	id, err := s.Accept(t.Context(), e, pieces{text: text, size: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if held := s.held.Load(); held != 0 {
		t.Errorf("%d octets are still charged", held)
	}
	return f, l, id
}

// Each recipient gets an entry: one body, ids and header text of their own, the
// client's id in each, one Message-ID, and a Reception for each once all are stored.
func TestSplit(t *testing.T) {
	for _, text := range []string{small, large} {
		f, l, id := split(t, text, 3, &personal{name: "X-One"}, &personal{never: true}, &personal{name: "X-Two"})
		if len(f.drafts) != 3 || len(l.all) != 3 || f.drafts[0].ID != id {
			t.Fatalf("%d entries, %d events", len(f.drafts), len(l.all))
		}
		ids, names := map[spool.ID]bool{}, map[string]bool{}
		for i, d := range f.drafts {
			ids[d.ID] = true
			first := i == 0
			if (len(d.Body) > 0 || d.Staged != nil) != first || (d.Share == id) == first {
				t.Errorf("entry %d: body of %d octets, %v, shares %v", i, len(d.Body), d.Staged, d.Share)
			}
			e, err := stored.DecodeEnvelope(d.Envelope)
			if err != nil {
				t.Fatal(err)
			}
			to := smtp.Address{Local: fmt.Sprintf("r%d", i), Domain: "b.test"}
			if len(e.Recipients) != 1 || e.Recipients[0].Address != to || e.Recipients[0].ORcpt != fmt.Sprint("rfc822;", i) {
				t.Errorf("entry %d is for %+v", i, e.Recipients)
			}
			if e.Batch != id || e.ReturnPath.Local != strings.ToLower(d.ID.String()) || e.Sender.Local != "a" {
				t.Errorf("entry %d: batch %v, return path %v, sender %v", i, e.Batch, e.ReturnPath, e.Sender)
			}
			h := header.Section(e.Prefix)
			if want := d.ID.String() + " " + to.String(); h.Text("X-One") != want || h.Text("X-Two") != want || h.Count("Received") != 1 {
				t.Errorf("entry %d: %q", i, e.Prefix)
			}
			if r := h.Text("Received"); !strings.Contains(r, d.ID.String()) || !strings.Contains(r, "for <"+to.String()+">") {
				t.Errorf("entry %d: Received %q", i, r)
			}
			names[h.Text("Message-ID")] = true
			if want := int64(len(e.Prefix) + len(text)); e.Size != want {
				t.Errorf("entry %d: size %d, want %d", i, e.Size, want)
			}
			if ev := l.all[i]; ev.ID != d.ID || ev.Recipient != -1 || ev.Kind != mail.EventReception || len(ev.Envelope.Recipients) != 1 || l.after[i] != 3 {
				t.Errorf("event %d: %+v, when %d were stored", i, ev, l.after[i])
			}
		}
		if len(ids) != 3 || len(names) != 1 {
			t.Errorf("%d ids, %d Message-IDs: %v", len(ids), len(names), names)
		}
	}
}

// One recipient gets what is wanted for it too; there is no batch.
func TestSplitOfOne(t *testing.T) {
	p := &personal{name: "X-One"}
	f, _, id := split(t, "Subject: x\r\nBcc: secret@c.test\r\n\r\nbody\r\n", 1, p)
	e, err := stored.DecodeEnvelope(f.drafts[0].Envelope)
	if err != nil || len(f.drafts) != 1 || !e.Batch.IsZero() || e.ReturnPath.IsNull() || f.drafts[0].ID != id {
		t.Errorf("%+v, %v", e, err)
	}
	if p.saw != "Subject: x\r\n" {
		t.Errorf("it was shown %q", p.saw)
	}
}

// Where nobody wants anything, all recipients are one entry.
func TestNotSplit(t *testing.T) {
	f, l, _ := split(t, small, 3, &personal{never: true})
	e, err := stored.DecodeEnvelope(f.drafts[0].Envelope)
	if err != nil || len(f.drafts) != 1 || len(l.all) != 1 || len(e.Recipients) != 3 || !e.Batch.IsZero() {
		t.Errorf("%d entries, %+v, %v", len(f.drafts), e, err)
	}
}

// A body without a header keeps being one: what is added stays above it.
func TestSplitWithoutHeader(t *testing.T) {
	f, _, _ := split(t, "no header at all\r\n", 2, &personal{name: "X-One"})
	for _, d := range f.drafts {
		e, err := stored.DecodeEnvelope(d.Envelope)
		if err != nil || !bytes.HasSuffix(e.Prefix, []byte("\r\n\r\n")) || header.Section(e.Prefix).Count("X-One") != 1 {
			t.Errorf("%q, %v", e.Prefix, err)
		}
	}
}

// What a thousand copies take is memory that arriving mail shares.
func TestSplitIsCharged(t *testing.T) {
	s, _, _ := rig(Config{Memory: 64 << 10})
	s.deps.PerRecipient = []PerRecipient{&personal{name: "X"}}
	e := envelope()
	e.Trusted = true
	for len(e.Recipients) < 100 {
		e.Recipients = append(e.Recipients, e.Recipients[0])
	}
	_, err := s.Accept(t.Context(), e, pieces{text: small, size: 1000})
	if reply, ok := errors.AsType[*smtp.Error](err); !ok || reply.Reply.Code != 452 {
		t.Errorf("%v, want a 452", err)
	}
}

// So is a long header section that each of them has in front of its body.
func TestSplitPrefixIsCharged(t *testing.T) {
	for to, want := range map[int]string{2: "", 100: "452"} {
		s, _, _ := rig(Config{Memory: 4 << 20})
		s.deps.PerRecipient, s.deps.Inspectors = []PerRecipient{&personal{name: "X"}}, []Inspector{&editor{}}
		e := envelope()
		e.Trusted = true
		for len(e.Recipients) < to {
			e.Recipients = append(e.Recipients, e.Recipients[0])
		}
		_, err := s.Accept(t.Context(), e, pieces{text: strings.Repeat("Long: "+strings.Repeat("x", 90)+"\r\n", 1000) + large, size: 4096})
		if got := fmt.Sprint(err); want == "" && err != nil || !strings.Contains(got, want) {
			t.Errorf("%d recipients: %v, want %q", to, err, want)
		}
		if held := s.held.Load(); held != 0 {
			t.Errorf("%d octets are still charged", held)
		}
	}
}

// A sender that an inspection makes the null one gets no return path.
func TestSplitNullSender(t *testing.T) {
	s, f, _ := rig(Config{})
	s.deps.PerRecipient = []PerRecipient{&personal{name: "X"}}
	s.deps.Inspectors = []Inspector{&editor{change: func(e *mail.Envelope) { e.Sender = smtp.Address{} }}}
	if _, err := s.Accept(t.Context(), envelope(), pieces{text: small, size: 1000}); err != nil {
		t.Fatal(err)
	}
	e, err := stored.DecodeEnvelope(f.drafts[0].Envelope)
	if err != nil || !e.ReversePath().IsNull() {
		t.Errorf("goes out as %v, %v", e.ReversePath(), err)
	}
}

// Fields for all stand in front of each copy, and of a message that is one.
func TestFields(t *testing.T) {
	for _, one := range []*personal{{never: true}, {name: "X-One"}} {
		s, f, _ := rig(Config{})
		s.deps.PerRecipient = []PerRecipient{one}
		saw := ""
		s.deps.Fields = func(e *mail.Envelope, h header.Section) []byte {
			saw = string(h)
			return []byte("X-All: " + e.Sender.String() + "\r\n")
		}
		accept(t, s, envelope(), "X-Tenma-Tenant: x\r\nSubject: s\r\n\r\nbody\r\n")
		for _, d := range f.drafts {
			e, err := stored.DecodeEnvelope(d.Envelope)
			if err != nil || strings.Count(string(e.Prefix), "\r\nX-All: a@a.test\r\n") != 1 {
				t.Errorf("%v: %q", err, e.Prefix)
			}
		}
		if want := map[bool]int{true: 1, false: 2}[one.never]; len(f.drafts) != want || saw != "Subject: s\r\n" {
			t.Errorf("%d entries, asked about %q", len(f.drafts), saw)
		}
	}
}
