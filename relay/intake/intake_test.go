package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tenma/relay/mail"
	"tenma/relay/mail/stored"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// fakeSpool takes drafts and bodies into memory.
type fakeSpool struct {
	spool.Engine
	mu        sync.Mutex
	drafts    []spool.Draft
	stages    []*fakeStage
	commitErr error
	stageErr  error
	writeErr  error
	finishErr error
	hang      bool
	quiet     bool // keeps nothing
}

func (f *fakeSpool) Commit(ctx context.Context, d ...spool.Draft) error {
	if f.hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if f.commitErr != nil || f.quiet {
		return f.commitErr
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drafts = append(f.drafts, d...)
	return nil
}

func (f *fakeSpool) Stage(context.Context) (spool.StageWriter, error) {
	if f.stageErr != nil {
		return nil, f.stageErr
	}
	s := &fakeStage{owner: f}
	f.stages = append(f.stages, s)
	return s, nil
}

type fakeStage struct {
	bytes.Buffer
	owner               *fakeSpool
	finished, discarded bool
}

func (s *fakeStage) Write(p []byte) (int, error) {
	if s.owner.writeErr != nil {
		return 0, s.owner.writeErr
	}
	return s.Buffer.Write(p)
}

func (s *fakeStage) Finish() (*spool.Staged, error) {
	if s.owner.finishErr != nil {
		return nil, s.owner.finishErr
	}
	s.finished = true
	return &spool.Staged{Key: spool.ID{7}, Size: int64(s.Len())}, nil
}

func (s *fakeStage) Discard() { s.discarded = true }

// events remembers what it is told, and how many drafts were stored then.
type events struct {
	spool *fakeSpool
	all   []*mail.Event
	after []int
}

func (l *events) Record(e *mail.Event) {
	l.all = append(l.all, e)
	l.after = append(l.after, len(l.spool.drafts))
}

// pieces is a body that arrives in parts of some size; err follows them.
type pieces struct {
	text string
	size int
	err  error
}

func (p pieces) WriteTo(w io.Writer) (int64, error) {
	for rest := p.text; rest != ""; {
		n := min(p.size, len(rest))
		if m, err := io.WriteString(w, rest[:n]); err != nil || m != n {
			return 0, fmt.Errorf("short write: %d of %d, %w", m, n, err)
		}
		rest = rest[n:]
	}
	return int64(len(p.text)), p.err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func rig(c Config) (*Server, *fakeSpool, *events) {
	f := &fakeSpool{}
	l := &events{spool: f}
	if c.Hostname == "" {
		c.Hostname = "mx.test"
	}
	return New(c, Deps{Spool: f, Record: l, Random: zeros{}}), f, l
}

func envelope() *mail.Envelope {
	return &mail.Envelope{
		Sender:     smtp.Address{Local: "a", Domain: "a.test"},
		Recipients: []mail.Recipient{{Address: smtp.Address{Local: "b", Domain: "b.test"}}, {Address: smtp.Address{Local: "c", Domain: "c.test"}}},
		Client:     netip.MustParseAddrPort("192.0.2.1:4711"), HELO: "client.test",
	}
}

func accept(t *testing.T, s *Server, e *mail.Envelope, text string) {
	t.Helper()
	if _, err := s.Accept(t.Context(), e, pieces{text: text, size: 1 << 15}); err != nil {
		t.Fatal(err)
	}
}

func reply(err error) string {
	e, ok := errors.AsType[*smtp.Error](err)
	if !ok {
		return fmt.Sprint("not a reply: ", err)
	}
	return e.Reply.String()
}

// The stored body is what came, however it was cut, and the envelope tells its
// size together with the prefix.
func TestBodyIsStoredAsItCame(t *testing.T) {
	head := "Subject: x\r\nFrom: A <a@a.test>\r\nMessage-ID: <1@a.test>\r\n\r\n"
	for _, size := range []int{1, 3, 4096, 1 << 20} {
		for _, text := range []string{
			"", "\r\n", head, head[:len(head)-2], head + "body\r\n",
			head + strings.Repeat("x", scratchSizes[0]), head + strings.Repeat("x", scratchSizes[1]), head + strings.Repeat("x", spool.MaxInline-len(head)),
			head + strings.Repeat("x", spool.MaxInline-len(head)+1), head + strings.Repeat("y", 3*spool.MaxInline),
		} {
			if size == 1 && len(text) > 1<<17 {
				continue
			}
			s, f, _ := rig(Config{})
			e := envelope()
			if _, err := s.Accept(t.Context(), e, pieces{text: text, size: size}); err != nil {
				t.Fatal(err)
			}
			d := f.drafts[0]
			got := string(d.Body)
			if d.Staged != nil {
				if got = f.stages[0].String(); len(text) <= spool.MaxInline || d.Body != nil || !f.stages[0].finished || f.stages[0].discarded {
					t.Errorf("%d octets: staged wrongly", len(text))
				}
			} else if len(text) > spool.MaxInline {
				t.Errorf("%d octets in memory", len(text))
			}
			if got != text {
				t.Errorf("%d octets in parts of %d came out as %d", len(text), size, len(got))
			}
			if want := int64(len(e.Prefix) + len(text)); e.Size != want {
				t.Errorf("size %d, want %d", e.Size, want)
			}
			stored, err := stored.DecodeEnvelope(d.Envelope)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(e, stored, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }), cmp.Comparer(time.Time.Equal)); diff != "" {
				t.Error(diff)
			}
			if held := s.held.Load(); held != 0 {
				t.Errorf("%d octets still held", held)
			}
		}
	}
}

// Bodies stay whole although buffers are used again.
func TestBuffersAreNotShared(t *testing.T) {
	s, f, _ := rig(Config{})
	texts := []string{"A: 1\r\n\r\none", "A: 2\r\n\r\n" + strings.Repeat("two", 20000), "A: 3\r\n\r\n" + strings.Repeat("3", scratchSizes[1]), "A: 4\r\n\r\nfour"}
	for range 3 {
		for _, text := range texts {
			accept(t, s, envelope(), text)
		}
	}
	for i, d := range f.drafts {
		if want := texts[i%len(texts)]; string(d.Body) != want {
			t.Errorf("draft %d was overwritten", i)
		}
	}
}

func TestTraceField(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := func(e *mail.Envelope) { e.Recipients = e.Recipients[:1] }
		for _, c := range []struct {
			name  string
			shape func(*mail.Envelope)
			want  string
		}{
			{"two recipients stay unnamed", func(*mail.Envelope) {}, "Received: from client.test ([192.0.2.1])\r\n\tby mx.test with ESMTP id ID;\r\n\tDATE\r\n"},
			{"one recipient", one, "Received: from client.test ([192.0.2.1])\r\n\tby mx.test with ESMTP id ID\r\n\tfor <b@b.test>;\r\n\tDATE\r\n"},
			{"TLS, IPv6", func(e *mail.Envelope) { e.TLS, e.Client = true, netip.MustParseAddrPort("[2001:db8::1%eth0]:1") }, "Received: from client.test ([IPv6:2001:db8::1])\r\n\tby mx.test with ESMTPS id ID;\r\n\tDATE\r\n"},
			{"mapped address", func(e *mail.Envelope) { e.Client = netip.MustParseAddrPort("[::ffff:192.0.2.9]:1") }, "Received: from client.test ([192.0.2.9])\r\n\tby mx.test with ESMTP id ID;\r\n\tDATE\r\n"},
			{"HELO with an injected field", func(e *mail.Envelope) { e.HELO = "x\r\nEvil: y" }, "Received: from [192.0.2.1]\r\n\tby mx.test with ESMTP id ID;\r\n\tDATE\r\n"},
			{"HELO with a comment", func(e *mail.Envelope) { e.HELO = "x (y" }, "Received: from [192.0.2.1]\r\n\tby mx.test with ESMTP id ID;\r\n\tDATE\r\n"},
			{"nothing known", func(e *mail.Envelope) { e.HELO, e.Client = "", netip.AddrPort{} }, "Received: from unknown\r\n\tby mx.test with ESMTP id ID;\r\n\tDATE\r\n"},
			{"literal in HELO", func(e *mail.Envelope) { e.HELO = "[127.0.0.1]"; e.Basic = true }, "Received: from [127.0.0.1] ([192.0.2.1])\r\n\tby mx.test with SMTP id ID;\r\n\tDATE\r\n"},
			{"UTF-8 recipient in an old transaction", func(e *mail.Envelope) { one(e); e.Recipients[0].Address.Local = "ü" }, "Received: from client.test ([192.0.2.1])\r\n\tby mx.test with ESMTP id ID;\r\n\tDATE\r\n"},
			{"UTF-8 recipient", func(e *mail.Envelope) { one(e); e.Recipients[0].Address.Local = "ü"; e.SMTPUTF8 = true }, "Received: from client.test ([192.0.2.1])\r\n\tby mx.test with UTF8SMTP id ID\r\n\tfor <ü@b.test>;\r\n\tDATE\r\n"},
		} {
			s, f, _ := rig(Config{})
			e := envelope()
			c.shape(e)
			accept(t, s, e, "A: b\r\n\r\nx")
			want := strings.NewReplacer("ID", f.drafts[0].ID.String(), "DATE", "Sat, 01 Jan 2000 00:00:00 +0000").Replace(c.want)
			if string(e.Prefix) != want {
				t.Errorf("%s:\n%q\nwant\n%q", c.name, e.Prefix, want)
			}
		}
	})
}

// A submitted message is completed and does not tell where it was written.
func TestSubmission(t *testing.T) {
	s, f, _ := rig(Config{})
	e := envelope()
	e.Account, e.TLS = "a@a.test", true
	accept(t, s, e, "From: a@a.test\r\n\r\nx")
	h := header.Section(e.Prefix)
	wantID := "<" + strings.ToLower(f.drafts[0].ID.String()) + "@mx.test>"
	if h.Text("Date") == "" || h.Text("Message-ID") != wantID || e.MsgID != wantID {
		t.Errorf("prefix %q, message id %q", e.Prefix, e.MsgID)
	}
	if r := h.Text("Received"); strings.Contains(r, "192.0.2.1") || strings.Contains(r, "client.test") || !strings.HasPrefix(r, "by mx.test with ESMTPSA id ") {
		t.Errorf("trace field %q", r)
	}

	e = envelope()
	e.Account = "a@a.test"
	accept(t, s, e, "date: today\r\nMESSAGE-ID: <x@y>\r\n\r\nx")
	if h := header.Section(e.Prefix); h.Count("Date")+h.Count("Message-ID") != 0 {
		t.Errorf("fields that were there came again: %q", e.Prefix)
	}

	e = envelope()
	accept(t, s, e, "From: a@a.test\r\n\r\nx")
	if h := header.Section(e.Prefix); h.Count("Date")+h.Count("Message-ID") != 0 {
		t.Errorf("a relayed message was completed: %q", e.Prefix)
	}

	s.Apply(Config{Hostname: "mx.test", NameSubmitters: true})
	e = envelope()
	e.Account = "a@a.test"
	accept(t, s, e, "A: b\r\n\r\nx")
	if r := header.Section(e.Prefix).Text("Received"); !strings.HasPrefix(r, "from client.test ([192.0.2.1]) by mx.test") {
		t.Errorf("trace field %q", r)
	}
}

// What is no header must not become part of ours.
func TestHeadlessMessages(t *testing.T) {
	for text, headless := range map[string]bool{
		" Bcc: x\r\nA: 1\r\n\r\nb":                 true,
		"Hello,\r\n\r\nb":                          true,
		"From x@y Mon Jan 1\r\nFrom: a@b\r\n\r\nb": false,
		"A: 1\r\nnonsense\r\n\r\nb":                false,
		"\r\nb":                                    false,
	} {
		s, _, _ := rig(Config{})
		e := envelope()
		accept(t, s, e, text)
		h, body := header.Split(append(bytes.Clone(e.Prefix), text...))
		if got := bytes.HasSuffix(e.Prefix, []byte("\r\n\r\n")); got != headless {
			t.Errorf("%q: prefix %q", text, e.Prefix)
		}
		if headless && (string(body) != text || h.Count("Received") != 1 || h.Count("Bcc") != 0) {
			t.Errorf("%q: header %q, body %q", text, h, body)
		}
	}
}

func TestNotes(t *testing.T) {
	s, _, log := rig(Config{})
	e := envelope()
	accept(t, s, e, "From: =?utf-8?q?J=C3=BC?= <j@a.test>\r\nSubject: a\r\n b\r\nSubject: second\r\nMessage-Id: <1@x>\r\n\r\n\xc3\xbc")
	if e.From != "Jü <j@a.test>" || e.Subject != "a b" || e.MsgID != "<1@x>" || !e.EightBit {
		t.Errorf("%+v", e)
	}
	e = envelope()
	accept(t, s, e, "Subject: "+strings.Repeat("long ", 100)+"\r\n\r\nseven bits only")
	if len(e.Subject) != maxText || e.EightBit {
		t.Errorf("subject of %d octets, eight bit %v", len(e.Subject), e.EightBit)
	}
	if len(log.all) != 2 || log.after[0] != 1 || log.after[1] != 2 {
		t.Fatalf("%d events, after %v commits", len(log.all), log.after)
	}
	if ev := log.all[1]; ev.Kind != mail.EventReception || ev.Envelope != e || ev.Recipient != -1 || ev.ID.IsZero() || ev.Outcome.Fate() != mail.Sent {
		t.Errorf("%+v", ev)
	}
}

// One octet anywhere in a body that arrives in parts is enough.
func TestEightBitInAnyPart(t *testing.T) {
	for _, text := range []string{"A: \x80\r\n\r\n" + strings.Repeat("x", 100), "A: b\r\n\r\n" + strings.Repeat("x", 2*spool.MaxInline) + "\x80"} {
		s, _, _ := rig(Config{})
		e := envelope()
		if _, err := s.Accept(t.Context(), e, pieces{text: text, size: 10}); err != nil || !e.EightBit {
			t.Errorf("overlooked, %v", err)
		}
	}
}

// lined is a body that knows its lines.
type lined struct {
	pieces
	longest int
}

func (l lined) LongestLine() int { return l.longest }

func TestLongLines(t *testing.T) {
	for longest, long := range map[int]bool{0: false, 998: false, 999: true} {
		s, _, _ := rig(Config{})
		e := envelope()
		if _, err := s.Accept(t.Context(), e, lined{pieces{text: "A: b\r\n\r\nx", size: 10}, longest}); err != nil || e.LongLines != long {
			t.Errorf("%d octets: %v, %v", longest, e.LongLines, err)
		}
	}
}

func TestEightBitAtEachPlace(t *testing.T) {
	for n := 1; n < 100; n++ {
		for i := range n {
			p := bytes.Repeat([]byte{0x7f}, n)
			if hasEightBit(p) {
				t.Fatalf("seven-bit text of %d octets", n)
			}
			p[i] = 0x80
			if !hasEightBit(p) {
				t.Fatalf("octet %d of %d overlooked", i, n)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	big := "A: b\r\n\r\n" + strings.Repeat("x", 2*spool.MaxInline)
	small := "A: b\r\n\r\nx"
	for _, c := range []struct {
		name, text string
		config     Config
		shape      func(*fakeSpool)
		want       string
		discarded  bool
	}{
		{name: "loop", text: strings.Repeat("Received: x\r\n", 101) + "\r\n", want: "554 5.4.6 "},
		{name: "loop in a large message", text: strings.Repeat("Received: x\r\n", 101) + big, want: "554 5.4.6 "},
		{name: "loop without a body", text: strings.Repeat("received : x\r\n", 101), want: "554 5.4.6 "},
		{name: "header without end", text: strings.Repeat("A: b\r\n", MaxHeader/6+1), want: "552 5.3.4 "},
		{name: "memory", text: small, config: Config{Memory: int64(scratchSizes[0]) - 1}, want: "452 4.3.1 "},
		{name: "memory while growing", text: "A: b\r\n\r\n" + strings.Repeat("x", 3*scratchSizes[0]), config: Config{Memory: 2 * int64(scratchSizes[0])}, want: "452 4.3.1 "},
		{name: "full", text: small, shape: func(f *fakeSpool) { f.commitErr = fmt.Errorf("%w: below 5%%", spool.ErrFull) }, want: "452 4.3.1 Insufficient system storage"},
		{name: "full, large", text: big, shape: func(f *fakeSpool) { f.commitErr = spool.ErrFull }, want: "452 4.3.1 ", discarded: true},
		{name: "sick", text: small, shape: func(f *fakeSpool) { f.commitErr = spool.ErrSick }, want: "452 4.3.0 "},
		{name: "sick, large: perhaps stored", text: big, shape: func(f *fakeSpool) { f.commitErr = spool.ErrSick }, want: "452 4.3.0 "},
		{name: "closed", text: small, shape: func(f *fakeSpool) { f.commitErr = spool.ErrClosed }, want: "421 4.3.2 "},
		{name: "unknown", text: small, shape: func(f *fakeSpool) { f.commitErr = io.ErrClosedPipe }, want: "451 4.3.0 "},
		{name: "no stage", text: big, shape: func(f *fakeSpool) { f.stageErr = spool.ErrFull }, want: "452 4.3.1 "},
		{name: "stage cannot write", text: big, shape: func(f *fakeSpool) { f.writeErr = spool.ErrSick }, want: "452 4.3.0 ", discarded: true},
		{name: "stage cannot finish", text: big, shape: func(f *fakeSpool) { f.finishErr = spool.ErrFull }, want: "452 4.3.1 ", discarded: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, f, log := rig(c.config)
			if c.shape != nil {
				c.shape(f)
			}
			_, err := s.Accept(t.Context(), envelope(), pieces{text: c.text, size: 4096})
			if got := reply(err); !strings.HasPrefix(got, c.want) {
				t.Errorf("%s, want %s", got, c.want)
			}
			if len(f.drafts) != 0 || len(log.all) != 0 {
				t.Errorf("%d drafts and %d events of a refused message", len(f.drafts), len(log.all))
			}
			if len(f.stages) > 0 && f.stages[0].discarded != c.discarded {
				t.Errorf("discarded: %v", f.stages[0].discarded)
			}
			if held := s.held.Load(); held != 0 {
				t.Errorf("%d octets still held", held)
			}
		})
	}
}

// whileArriving is a body in the middle of which something else happens.
type whileArriving func()

func (f whileArriving) WriteTo(w io.Writer) (int64, error) {
	f()
	n, err := io.WriteString(w, "A: b\r\n\r\nx\r\n")
	return int64(n), err
}

// A stranger's bodies that arrive slowly take half of the memory at most: the
// next stranger waits, our own clients do not.
func TestStrangersLeaveRoom(t *testing.T) {
	s, _, _ := rig(Config{Memory: 3 * int64(scratchSizes[0])})
	stranger, ours := envelope(), envelope()
	stranger.Trusted, ours.Trusted = false, true
	text := pieces{text: "A: b\r\n\r\nx\r\n", size: 100}
	_, err := s.Accept(t.Context(), stranger, whileArriving(func() {
		if _, err := s.Accept(t.Context(), stranger, text); !strings.HasPrefix(reply(err), "452 4.3.1 ") {
			t.Errorf("a second stranger: %v", err)
		}
		if _, err := s.Accept(t.Context(), ours, text); err != nil {
			t.Errorf("one of ours: %v", err)
		}
	}))
	if err != nil {
		t.Error(err)
	}
	if a, b := s.held.Load(), s.strangers.Load(); a != 0 || b != 0 {
		t.Errorf("%d octets still held, %d of strangers", a, b)
	}
}

func TestHundredHopsPass(t *testing.T) {
	s, _, _ := rig(Config{})
	accept(t, s, envelope(), strings.Repeat("Received: x\r\n", 100)+"\r\n"+strings.Repeat("Received: in the body\r\n", 10))
}

// A body that breaks off leaves nothing, and its own error comes back.
func TestCutOff(t *testing.T) {
	for _, n := range []int{10, 2 * spool.MaxInline} {
		s, f, log := rig(Config{})
		_, err := s.Accept(t.Context(), envelope(), pieces{text: "A: b\r\n\r\n" + strings.Repeat("x", n), size: 4096, err: io.ErrUnexpectedEOF})
		if !errors.Is(err, io.ErrUnexpectedEOF) || len(f.drafts) != 0 || len(log.all) != 0 {
			t.Errorf("%v, %d drafts, %d events", err, len(f.drafts), len(log.all))
		}
		if len(f.stages) == 1 && !f.stages[0].discarded || len(f.stages) > 1 {
			t.Error("the large body stays in the spool")
		}
	}
}

// A repeat is a success under the first id; it is no second reception.
func TestDuplicate(t *testing.T) {
	for _, n := range []int{10, 2 * spool.MaxInline} {
		s, f, log := rig(Config{})
		f.commitErr = fmt.Errorf("batch: %w", &spool.DuplicateError{First: spool.ID{42}})
		id, err := s.Accept(t.Context(), envelope(), pieces{text: "A: b\r\n\r\n" + strings.Repeat("x", n), size: 4096})
		if err != nil || id != (spool.ID{42}) || len(log.all) != 0 {
			t.Errorf("%v, %v, %d events", id, err, len(log.all))
		}
		if len(f.stages) == 1 && !f.stages[0].discarded {
			t.Error("the second body stays in the spool")
		}
	}
}

// A disk that hangs is a 451 after half a minute, not a client that waits for ever.
func TestSpoolHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f, _ := rig(Config{})
		f.hang = true
		start := time.Now()
		_, err := s.Accept(t.Context(), envelope(), pieces{text: "A: b\r\n\r\n", size: 10})
		if got := reply(err); !strings.HasPrefix(got, "451 4.3.0 ") || time.Since(start) != 30*time.Second {
			t.Errorf("%s after %v", got, time.Since(start))
		}
	})
}

func TestNoRandomness(t *testing.T) {
	f := &fakeSpool{}
	s := New(Config{Hostname: "mx.test"}, Deps{Spool: f, Record: &events{spool: f}, Random: strings.NewReader("short")})
	_, err := s.Accept(t.Context(), envelope(), pieces{text: "A: b\r\n\r\n", size: 10})
	if got := reply(err); !strings.HasPrefix(got, "451 4.3.0 ") || len(f.drafts) != 0 {
		t.Error(got)
	}
}

func TestManyAtOnce(t *testing.T) {
	s, f, _ := rig(Config{})
	s.deps.Record = nobody{}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				text := fmt.Sprintf("Subject: %d.%d\r\n\r\n%s", i, j, strings.Repeat("x", 300*j))
				if _, err := s.Accept(context.Background(), envelope(), pieces{text: text, size: 1000}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, d := range f.drafts {
		e, err := stored.DecodeEnvelope(d.Envelope)
		if err != nil {
			t.Fatal(err)
		}
		if e.Size != int64(len(e.Prefix)+len(d.Body)) || !bytes.HasPrefix(d.Body, []byte("Subject: "+e.Subject+"\r\n\r\n")) {
			t.Errorf("message %q has another one's body", e.Subject)
		}
	}
	if s.held.Load() != 0 || len(f.drafts) != 400 {
		t.Errorf("%d held, %d drafts", s.held.Load(), len(f.drafts))
	}
}

type nobody struct{}

func (nobody) Record(*mail.Event) {}

func FuzzAccept(f *testing.F) {
	f.Add("From: a@a.test\r\n\r\nx", 3, "helo.test", "user@a.test")
	f.Add("From: a@b\r\n\r\nx", 3, "helo.test", "user")
	f.Add(" x\r\n", 1, "x\r\ny", "")
	f.Fuzz(func(t *testing.T, text string, size int, helo, account string) {
		s, sp, _ := rig(Config{MaxHops: 3})
		e := envelope()
		e.HELO, e.Account = helo, account
		if _, err := s.Accept(t.Context(), e, pieces{text: text, size: 1 + size&0xfff}); err != nil {
			loop, forged := strings.HasPrefix(reply(err), "554 5.4.6"), account != "" && strings.HasPrefix(reply(err), "550 5.7.1")
			if !loop && !forged {
				t.Fatal(err)
			}
			return
		}
		if string(sp.drafts[0].Body) != text {
			t.Fatal("the body was changed")
		}
		for _, c := range e.Prefix {
			if c >= 0x7f || c < ' ' && c != '\r' && c != '\n' && c != '\t' {
				t.Fatalf("prefix %q", e.Prefix)
			}
		}
		if h, _ := header.Split(append(bytes.Clone(e.Prefix), text...)); h.Count("Received") != 1+s.received(text) {
			t.Fatalf("prefix %q before %q", e.Prefix, text)
		}
	})
}

// received counts the trace fields that the body brings.
func (s *Server) received(text string) int {
	h, _ := header.Split([]byte(text))
	var sec section
	sec.read(h, func(header.Field) bool { return false })
	return sec.hops
}

func BenchmarkAccept(b *testing.B) {
	head := "Received: from a by b; Mon, 01 Jan 2024 00:00:00 +0000\r\nFrom: A B <a@a.test>\r\nTo: b@b.test\r\nSubject: some words\r\nDate: Mon, 01 Jan 2024 00:00:00 +0000\r\nMessage-ID: <1@a.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n"
	for _, n := range []int{4 << 10, 64 << 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f := &fakeSpool{quiet: true}
			s := New(Config{Hostname: "mx.test"}, Deps{Spool: f, Record: nobody{}})
			text := []byte(head + strings.Repeat("0123456789abcdef0123456789abcdef0123456789\r\n", n/44))
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Accept(context.Background(), envelope(), block(text)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type block []byte

func (b block) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(b)
	return int64(n), err
}
