package bounce

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset"
	"github.com/google/go-cmp/cmp"

	"tenma/relay/mail"
	"tenma/relay/mail/stored"
	"tenma/relay/wire/dsn"
	"tenma/relay/wire/smtp"
	"tenma/spool"
)

// original is a message in the spool.
type original string

func (o original) open(context.Context) (spool.Body, error) {
	return &body{Reader: strings.NewReader(string(o))}, nil
}

type body struct{ *strings.Reader }

func (b *body) Close() error { return nil }

const offers = original("From: News <news@shop.test>\r\nTo: Ann <ann@b.test>\r\nSubject: Offers\r\nMessage-ID: <1@shop.test>\r\n\r\nHello Ann,\r\nnothing new.\r\n")

var testID = spool.NewID(time.Date(2026, 11, 21, 9, 58, 30, 0, time.UTC), [10]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10})

func address(t testing.TB, s string) smtp.Address {
	t.Helper()
	a, err := smtp.ParseMailbox(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// envelope is that of offers, for the recipients named.
func envelope(t testing.TB, to ...string) *mail.Envelope {
	e := &mail.Envelope{
		Sender: address(t, "news@shop.test"), Received: time.Date(2026, 11, 21, 9, 58, 30, 0, time.UTC),
		Prefix: []byte("Received: from app.shop.test by mx1.sender.test; Sat, 21 Nov 2026 09:58:30 +0000\r\n"),
		Tenant: "shop", Campaign: "spring", Trusted: true, From: "News <news@shop.test>", Subject: "Offers", MsgID: "<1@shop.test>",
	}
	for _, a := range to {
		e.Recipients = append(e.Recipients, mail.Recipient{Address: address(t, a)})
	}
	return e
}

func remote(code int, status smtp.Status, text, command string) mail.Outcome {
	return mail.Outcome{
		Reply: smtp.Reply{Code: code, Status: status, Text: text}, Command: command,
		Host: "mx.b.test", Peer: netip.MustParseAddrPort("192.0.2.25:25"),
	}
}

func failed(i int) mail.Report {
	return mail.Report{Recipient: i, Action: mail.ActionFailed, Attempts: 1, Outcome: remote(550, smtp.Status{5, 1, 1}, "no such user", "RCPT")}
}

func composer(deps Deps) *Composer { return New(Config{Hostname: "mx1.sender.test"}, deps) }

// compose composes in the year 2000, when bubbles begin.
func compose(t *testing.T, c *Composer, e *mail.Envelope, reports []mail.Report, open Open) (drafts []spool.Draft) {
	t.Helper()
	var err error
	synctest.Test(t, func(t *testing.T) {
		drafts, err = c.Compose(t.Context(), testID, e, &mail.State{}, reports, open)
	})
	if err != nil {
		t.Fatal(err)
	}
	return drafts
}

// part is a part of a DSN, transfer encoding undone.
type part struct{ mediaType, text string }

// parse reads a DSN with another's eyes and checks what must hold of each.
func parse(t testing.TB, d spool.Draft) (message.Header, *mail.Envelope, *dsn.Report, []part) {
	t.Helper()
	e, err := stored.DecodeEnvelope(d.Envelope)
	if err != nil {
		t.Fatal(err)
	}
	if !e.Sender.IsNull() || len(e.Recipients) != 1 || e.Recipients[0].Notify != mail.NotifyNever || e.Origin != mail.FromSelf {
		t.Errorf("envelope: %+v", e)
	}
	if e.Size != int64(len(d.Body)) || e.EightBit == isASCII(d.Body) {
		t.Errorf("size %d and 8-bit %v of %d octets", e.Size, e.EightBit, len(d.Body))
	}
	if bytes.Contains(bytes.ReplaceAll(d.Body, []byte("\r\n"), nil), []byte("\n")) || bytes.Contains(bytes.ReplaceAll(d.Body, []byte("\r\n"), nil), []byte("\r")) {
		t.Error("a bare CR or LF")
	}
	for i, line := range bytes.Split(d.Body, []byte("\r\n")) {
		if len(line) > 998 {
			t.Errorf("line %d has %d octets", i+1, len(line))
		}
	}
	m, err := message.Read(bytes.NewReader(d.Body))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := m.Header.ContentType()
	if err != nil || kind != "multipart/report" || strings.TrimPrefix(params["report-type"], "global-") != "delivery-status" {
		t.Errorf("content type %s %v, %v", kind, params, err)
	}
	for _, name := range []string{"Date", "From", "To", "Subject", "Message-Id", "Auto-Submitted", "Mime-Version"} {
		if n := len(m.Header.Values(name)); n != 1 {
			t.Errorf("%d fields %s", n, name)
		}
	}
	var report *dsn.Report
	var parts []part
	for in := m.MultipartReader(); in != nil; {
		p, err := in.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(p.Body)
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := p.Header.ContentType()
		parts = append(parts, part{kind, string(text)})
		if strings.HasSuffix(kind, "delivery-status") {
			if kind != "message/"+params["report-type"] {
				t.Errorf("a report of type %s has %s (RFC 6522 section 3)", params["report-type"], kind)
			}
			if report, err = dsn.Parse(bytes.NewReader(text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if report == nil || len(parts) > 3 || parts[0].mediaType != "text/plain" {
		t.Fatalf("parts: %+v", parts)
	}
	return m.Header, e, report, parts
}

// Promise 7: nobody answers the null sender.
func TestNullSenderGetsNothing(t *testing.T) {
	e := envelope(t, "ann@b.test")
	e.Sender = smtp.Address{}
	e.Recipients[0].Notify = mail.NotifySuccess | mail.NotifyFailure | mail.NotifyDelay
	for a := mail.ActionFailed; a <= mail.ActionExpanded; a++ {
		r := failed(0)
		r.Action = a
		if d := compose(t, composer(Deps{}), e, []mail.Report{r}, offers.open); len(d) != 0 {
			t.Errorf("action %d: a DSN to nobody", a)
		}
	}
}

// Promise 7 from the other side: what becomes of a DSN of ours is told nobody.
func TestDSNOfADSN(t *testing.T) {
	c := composer(Deps{})
	first := compose(t, c, envelope(t, "ann@b.test"), []mail.Report{failed(0)}, offers.open)
	_, e, _, _ := parse(t, first[0])
	if d := compose(t, c, e, []mail.Report{failed(0)}, original(first[0].Body).open); len(d) != 0 {
		t.Error("a DSN was answered")
	}
}

// Promise 4: the same settlement makes the same entry, another settlement
// another one, in whatever order its reports come.
func TestDraftIDs(t *testing.T) {
	e := envelope(t, "a@b.test", "b@b.test", "c@b.test")
	c := composer(Deps{})
	id := func(reports ...mail.Report) spool.ID {
		time.Sleep(time.Second) // the clock is no part of it
		d, err := c.Compose(t.Context(), testID, e, nil, reports, offers.open)
		if err != nil || len(d) != 1 {
			t.Fatalf("%d drafts, %v", len(d), err)
		}
		return d[0].ID
	}
	synctest.Test(t, func(*testing.T) {
		both := id(failed(0), failed(2))
		changed := failed(2)
		changed.Outcome.Reply.Text = "another text this time"
		if again := id(changed, failed(0)); again != both {
			t.Error("a repeated settlement makes a second DSN")
		}
		if both.Time() != testID.Time() {
			t.Error("the id lost its original's time")
		}
		late := failed(0)
		late.Action = mail.ActionDelayed
		seen := map[spool.ID]bool{testID: true, both: true}
		for _, other := range []spool.ID{id(failed(0)), id(failed(1)), id(late), id(failed(0), failed(1), failed(2))} {
			if seen[other] {
				t.Error("two settlements share an id")
			}
			seen[other] = true
		}
	})
}

func TestNotify(t *testing.T) {
	const all = mail.NotifySuccess | mail.NotifyFailure | mail.NotifyDelay
	for _, c := range []struct {
		notify mail.Notify
		action mail.Action
		theirs bool // the next hop offered DSN
		want   bool
	}{
		{0, mail.ActionFailed, false, true},
		{0, mail.ActionDelayed, false, true},
		{0, mail.ActionDelivered, false, false},
		{mail.NotifyNever, mail.ActionFailed, false, false},
		{mail.NotifyNever, mail.ActionDelayed, false, false},
		{mail.NotifyNever | all, mail.ActionFailed, false, false}, // no lawful value; the stricter part holds
		{mail.NotifySuccess, mail.ActionFailed, false, false},
		{mail.NotifySuccess, mail.ActionDelayed, false, false},
		{mail.NotifySuccess, mail.ActionDelivered, false, true},
		{mail.NotifySuccess, mail.ActionDelivered, true, true},
		{mail.NotifySuccess, mail.ActionRelayed, false, true},
		{mail.NotifySuccess, mail.ActionRelayed, true, false},
		{mail.NotifySuccess, mail.ActionExpanded, false, true},
		{mail.NotifyFailure, mail.ActionFailed, false, true},
		{mail.NotifyFailure, mail.ActionDelayed, false, false},
		{mail.NotifyDelay, mail.ActionDelayed, false, true},
		{mail.NotifyDelay, mail.ActionFailed, false, false},
		{all, mail.ActionRelayed, false, true},
	} {
		e := envelope(t, "ann@b.test")
		e.Recipients[0].Notify = c.notify
		r := mail.Report{Action: c.action, Attempts: 1, Outcome: remote(250, smtp.Status{2, 0, 0}, "ok", ".")}
		r.Outcome.DSN = c.theirs
		if got := len(compose(t, composer(Deps{}), e, []mail.Report{r}, offers.open)) == 1; got != c.want {
			t.Errorf("%+v: a DSN: %v", c, got)
		}
	}
	if dsn.NotifyNever != dsn.Notify(mail.NotifyNever) || dsn.NotifyDelay != dsn.Notify(mail.NotifyDelay) || dsn.RetFull != dsn.Ret(mail.RetFull) {
		t.Error("the values of package dsn are not those of package mail")
	}
}

func TestOneDSNForEachTopic(t *testing.T) {
	e := envelope(t, "a@b.test", "b@b.test", "c@b.test", "d@b.test")
	for i := range e.Recipients {
		e.Recipients[i].Notify = mail.NotifySuccess | mail.NotifyFailure | mail.NotifyDelay
	}
	sent := mail.Report{Recipient: 1, Action: mail.ActionRelayed, Outcome: remote(250, smtp.Status{2, 0, 0}, "ok", ".")}
	late := mail.Report{Recipient: 2, Action: mail.ActionDelayed, Outcome: remote(451, smtp.Status{}, "later", "RCPT")}
	stray := failed(99) // no such recipient: nothing to say, nothing to break
	drafts := compose(t, composer(Deps{}), e, []mail.Report{failed(3), sent, late, failed(0), stray, failed(3)}, offers.open)
	var got []string
	for _, d := range drafts {
		_, _, r, _ := parse(t, d)
		for _, to := range r.Recipients {
			got = append(got, fmt.Sprint(to.Action, " ", to.Final.Text))
		}
		got = append(got, "--")
	}
	want := []string{"failed a@b.test", "failed d@b.test", "--", "delayed c@b.test", "--", "relayed b@b.test", "--"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestStatus(t *testing.T) {
	for _, c := range []struct {
		why     string
		action  mail.Action
		outcome mail.Outcome
		want    smtp.Status
	}{
		{"as the server said", mail.ActionFailed, remote(550, smtp.Status{5, 1, 1}, "", "RCPT"), smtp.Status{5, 1, 1}},
		{"no enhanced status", mail.ActionFailed, remote(554, smtp.Status{}, "", "."), smtp.Status{5, 0, 0}},
		{"code and status disagree: the code decided", mail.ActionFailed, remote(550, smtp.Status{4, 2, 2}, "", "."), smtp.Status{5, 2, 2}},
		{"given up", mail.ActionFailed, remote(451, smtp.Status{4, 7, 1}, "", "."), smtp.Status{4, 4, 7}},
		{"given up without ever reaching a server", mail.ActionFailed, mail.Outcome{}, smtp.Status{4, 4, 7}},
		{"late", mail.ActionDelayed, remote(451, smtp.Status{5, 7, 1}, "", "."), smtp.Status{4, 7, 1}},
		{"late, nobody spoke", mail.ActionDelayed, mail.Outcome{}, smtp.Status{4, 0, 0}},
		{"arrived", mail.ActionRelayed, remote(250, smtp.Status{}, "", "."), smtp.Status{2, 0, 0}},
	} {
		r := mail.Report{Action: c.action, Outcome: c.outcome}
		if got := statusCode(&r); got != c.want {
			t.Errorf("%s: %v, want %v", c.why, got, c.want)
		}
	}
}

// What is returned: RET, sizes, 8-bit and international originals.
func TestReturned(t *testing.T) {
	eight := original("Subject: Gr\xfc\xdfe\r\n\r\nK\xe4se\r\n")
	international := original("Subject: Grüße\r\n\r\nKäse\r\n")
	long := original("Subject: long\r\nX: " + strings.Repeat("x", 2000) + "\r\n\r\n\r\n")
	for _, c := range []struct {
		why      string
		change   func(*mail.Envelope)
		action   mail.Action
		message  original
		kind     string
		full     bool
		eightBit bool
	}{
		{"nothing asked: header", nil, mail.ActionFailed, offers, "text/rfc822-headers", false, false},
		{"RET=HDRS", func(e *mail.Envelope) { e.Ret = mail.RetHeaders }, mail.ActionFailed, offers, "text/rfc822-headers", false, false},
		{"RET=FULL", func(e *mail.Envelope) { e.Ret = mail.RetFull }, mail.ActionFailed, offers, "message/rfc822", true, false},
		{"RET=FULL is about failures", func(e *mail.Envelope) { e.Ret = mail.RetFull }, mail.ActionDelayed, offers, "text/rfc822-headers", false, false},
		{"RET=FULL, but too large", func(e *mail.Envelope) { e.Ret = mail.RetFull }, mail.ActionFailed, offers + original(strings.Repeat("x\r\n", 2000)), "text/rfc822-headers", false, false},
		{"RET=FULL, but REQUIRETLS", func(e *mail.Envelope) { e.Ret, e.RequireTLS = mail.RetFull, true }, mail.ActionFailed, offers, "text/rfc822-headers", false, false},
		{"RET=FULL, but zeros", func(e *mail.Envelope) { e.Ret = mail.RetFull }, mail.ActionFailed, offers + "\x00\r\n", "text/rfc822-headers", false, false},
		{"8-bit header", nil, mail.ActionFailed, eight, "text/rfc822-headers", false, false},
		{"8-bit message", func(e *mail.Envelope) { e.Ret = mail.RetFull }, mail.ActionFailed, eight, "message/rfc822", true, true},
		{"long line in the header", nil, mail.ActionFailed, long, "text/rfc822-headers", false, false},
		{"international header", func(e *mail.Envelope) { e.SMTPUTF8 = true }, mail.ActionFailed, international, "message/global-headers", false, false},
		{"international message", func(e *mail.Envelope) { e.SMTPUTF8, e.Ret = true, mail.RetFull }, mail.ActionFailed, international, "message/global", true, false},
		{"international, but no UTF-8", func(e *mail.Envelope) { e.SMTPUTF8 = true }, mail.ActionFailed, eight, "text/rfc822-headers", false, false},
		{"international in name only", func(e *mail.Envelope) { e.SMTPUTF8 = true }, mail.ActionFailed, offers, "text/rfc822-headers", false, false},
		{"international sender", func(e *mail.Envelope) { e.SMTPUTF8, e.Sender.Local = true, "grün" }, mail.ActionFailed, international, "message/global-headers", false, true},
		{"no header at all", nil, mail.ActionFailed, "\r\nbody\r\n", "text/rfc822-headers", false, false},
	} {
		t.Run(c.why, func(t *testing.T) {
			e := envelope(t, "ann@b.test")
			if c.change != nil {
				c.change(e)
			}
			r := failed(0)
			r.Action = c.action
			drafts := compose(t, New(Config{Hostname: "mx1.sender.test", ReturnFull: 4096}, Deps{}), e, []mail.Report{r}, c.message.open)
			_, env, _, parts := parse(t, drafts[0])
			want := string(e.Prefix) + string(c.message)
			if !c.full {
				want, _, _ = strings.Cut(want, "\r\n\r\n")
				want += "\r\n"
			}
			if p := parts[2]; p.mediaType != c.kind || unknown(p.text) != unknown(want) {
				t.Errorf("returned as %s:\n%q\nwant %s:\n%q", p.mediaType, p.text, c.kind, want)
			}
			if env.EightBit != c.eightBit || env.SMTPUTF8 != e.Sender.NeedsUTF8() || env.RequireTLS != e.RequireTLS {
				t.Errorf("envelope: %+v", env)
			}
		})
	}
}

// unknown evens out what go-message makes of octets in no charset.
func unknown(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

func TestHeaderIsCutAtALine(t *testing.T) {
	m := original("A: 1\r\n" + strings.Repeat("B: "+strings.Repeat("b", 60)+"\r\n", 100) + "\r\nsecret\r\n")
	e := envelope(t, "ann@b.test")
	drafts := compose(t, New(Config{Hostname: "h.test", ReturnHeaders: 1000}, Deps{}), e, []mail.Report{failed(0)}, m.open)
	_, _, _, parts := parse(t, drafts[0])
	if got := parts[2].text; len(got) > 1000 || len(got) < 900 || !strings.HasSuffix(got, "b\r\n") {
		t.Errorf("%d octets, end %q", len(got), got[max(0, len(got)-10):])
	}
}

// An original that cannot be read makes a DSN without it.
func TestUnreadableOriginal(t *testing.T) {
	for why, open := range map[string]Open{
		"none":  nil,
		"gone":  func(context.Context) (spool.Body, error) { return nil, spool.ErrNotFound },
		"fails": func(context.Context) (spool.Body, error) { return &failing{}, nil },
	} {
		drafts := compose(t, composer(Deps{}), envelope(t, "ann@b.test"), []mail.Report{failed(0)}, open)
		if _, _, _, parts := parse(t, drafts[0]); len(parts) != 2 || strings.Contains(parts[0].text, "header of your message") {
			t.Errorf("%s: parts %+v", why, parts)
		}
	}
}

type failing struct{ body }

func (*failing) Read([]byte) (int, error) { return 0, errors.New("disk") }
func (*failing) Size() int64              { return 10 }
func (*failing) Close() error             { return nil }

// A relay that stops still reads the original: the context is no reason to
// send a poorer DSN.
func TestStoppingRelay(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	drafts, err := composer(Deps{}).Compose(ctx, testID, envelope(t, "ann@b.test"), nil, []mail.Report{failed(0)}, func(ctx context.Context) (spool.Body, error) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return offers.open(ctx)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, parts := parse(t, drafts[0]); len(parts) != 3 {
		t.Error("the original was left out")
	}
}

// stager keeps one staged body.
type stager struct {
	bytes.Buffer
	err       error
	discarded bool
}

func (s *stager) Stage(context.Context) (spool.StageWriter, error) { return s, nil }
func (s *stager) Discard()                                         { s.discarded = true }
func (s *stager) Finish() (*spool.Staged, error) {
	return &spool.Staged{Key: spool.ID{1}, Size: int64(s.Len())}, s.err
}

func TestLargeDSN(t *testing.T) {
	e := envelope(t, "ann@b.test")
	e.Ret = mail.RetFull
	m := offers + original(strings.Repeat("0123456789abcdef\r\n", 20_000))
	s := &stager{}
	d := compose(t, composer(Deps{Stager: s}), e, []mail.Report{failed(0)}, m.open)[0]
	if d.Body != nil || d.Staged == nil || d.Staged.Size != int64(s.Len()) {
		t.Fatalf("draft: %d octets, %+v", len(d.Body), d.Staged)
	}
	d.Body = s.Bytes()
	if _, _, _, parts := parse(t, d); !strings.HasSuffix(parts[2].text, string(m)) {
		t.Error("the message is not whole")
	}

	// No room for large bodies: the sender is told even so.
	for _, deps := range []Deps{{Stager: &stager{err: spool.ErrFull}}, {}} {
		d = compose(t, composer(deps), e, []mail.Report{failed(0)}, m.open)[0]
		if _, _, _, parts := parse(t, d); d.Staged != nil || len(parts) != 2 {
			t.Errorf("draft: %+v, %d parts", d.Staged, len(parts))
		}
	}

	e = envelope(t)
	var reports []mail.Report
	for i := range 3000 {
		e.Recipients = append(e.Recipients, mail.Recipient{Address: smtp.Address{Local: fmt.Sprintf("user%d", i), Domain: "b.test"}})
		reports = append(reports, failed(i))
	}
	drafts, err := composer(Deps{}).Compose(t.Context(), testID, e, nil, reports, offers.open)
	if !errors.Is(err, spool.ErrFull) || drafts != nil {
		t.Errorf("%d drafts, %v; want the spool's error", len(drafts), err)
	}
}

func TestReferences(t *testing.T) {
	for id, want := range map[string]string{
		"<1@shop.test>": "<1@shop.test>", " <a@b> ": "<a@b>",
		"": "", "1@shop.test": "", "<a b@c>": "", "<a@b> <c@d>": "", "<a\r\nBcc: x@y>": "", "<" + strings.Repeat("x", 255): "", "<ü@b>": "",
	} {
		e := envelope(t, "ann@b.test")
		e.MsgID = id
		h, _, _, _ := parse(t, compose(t, composer(Deps{}), e, []mail.Report{failed(0)}, offers.open)[0])
		if got := h.Get("In-Reply-To"); got != want || h.Get("References") != want {
			t.Errorf("Message-ID %q is referred to as %q", id, got)
		}
	}
}

// FuzzCompose lets hostile text into every field that a stranger can fill. A
// DSN must keep its shape, and nothing becomes a header, a part or a line.
func FuzzCompose(f *testing.F) {
	f.Add("550 no\r\n\r\n--=_x\r\nBcc: victim@b.test\r\n", "rfc822;a\r\nX: y@b", "mx\r\n.test", "=?utf-8?q?=0D=0ABcc:_x?=", "From: a\r\n\r\nx\r\n", uint8(0), true)
	f.Add("\x00\xff\u202e\u2028", "utf-8;ü", "ü.test", "Grüße", "\r\n", uint8(1), false)
	f.Add(strings.Repeat("a", 5000), strings.Repeat("ä", 5000), strings.Repeat("b", 5000), strings.Repeat("c", 5000), strings.Repeat("D: \xff\r\n", 50), uint8(2), true)
	f.Fuzz(func(t *testing.T, text, orcpt, host, subject, message string, n uint8, full bool) {
		message = strings.ReplaceAll(strings.NewReplacer("\r", "", "\n", "\r\n").Replace(message), "\x00", "")
		e := envelope(t, "ann@b.test", "bob@b.test")
		e.Subject, e.EnvID, e.MsgID, e.HELO = subject, text, orcpt, host
		e.SMTPUTF8 = n&8 != 0
		if full {
			e.Ret = mail.RetFull
		}
		var reports []mail.Report
		for i := range e.Recipients {
			r := &e.Recipients[i]
			r.ORcpt, r.Notify = orcpt, mail.NotifySuccess|mail.NotifyFailure|mail.NotifyDelay
			reports = append(reports, mail.Report{Recipient: i, Action: mail.Action(n+uint8(i)) % 5, Attempts: 1, Outcome: mail.Outcome{
				Reply: smtp.Reply{Code: 550, Status: smtp.Status{5, uint16(n)}, Text: text}, Command: "RCPT", Host: host, Detail: text,
			}})
		}
		if n&16 != 0 { // long local parts are the null sender's only rivals in oddness
			e.Sender.Local = strings.Map(func(r rune) rune {
				if r < ' ' || r == 0x7f || r == 0xfffd {
					return -1
				}
				return r
			}, "x"+subject[:min(len(subject), 64)])
		}
		drafts, err := composer(Deps{}).Compose(t.Context(), testID, e, nil, reports, original(message).open)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range drafts {
			if bytes.Contains(d.Body, []byte("x")) && longLine(message) && full {
				continue // a long line of the original comes back as it was
			}
			h, _, r, parts := parse(t, d)
			if len(parts) != 3 || len(r.Recipients) == 0 || len(r.Recipients) > 2 {
				t.Errorf("%d parts, %d recipients", len(parts), len(r.Recipients))
			}
			if h.Has("Bcc") || h.Has("X") {
				t.Error("a header field too many")
			}
			for _, to := range r.Recipients {
				if to.Final.Kind != "rfc822" || !strings.HasSuffix(to.Final.Text, "@b.test") {
					t.Errorf("final recipient %+v", to.Final)
				}
			}
		}
	})
}

func longLine(s string) bool { return !shortLines([]byte(s)) }

// A whole message comes back with the lines that it had, and the DSN says so, so that
// they are dealt with where it goes out.
func TestLongLines(t *testing.T) {
	for text, long := range map[string]bool{"short": false, strings.Repeat("x", 1200): true} {
		e := envelope(t, "ann@b.test")
		e.Ret = mail.RetFull
		drafts := compose(t, composer(Deps{}), e, []mail.Report{failed(0)}, original("Subject: x\r\n\r\n"+text+"\r\n").open)
		got, err := stored.DecodeEnvelope(drafts[0].Envelope)
		if err != nil || got.LongLines != long || !bytes.Contains(drafts[0].Body, []byte(text)) {
			t.Errorf("a line of %d octets: %v, %v", len(text), got.LongLines, err)
		}
	}
}
