package milter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/mail"
	wire "tenma/relay/wire/milter"
	"tenma/relay/wire/smtp"
)

// A filter hears the whole session in order, with the values beside it.
func TestDialogue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		r := newRig(t, nil, f)
		if v := r.inspect(t, envelope(), false); v.Refuse != nil || v.Added != nil || v.Header != nil {
			t.Errorf("%+v", v)
		}
		synctest.Wait()
		want := "C[192.0.2.1]|4\x12g192.0.2.1 Hclient.test M<a@a.test> R<b@b.test> R<c@c.test> T LFrom|a@a.test LSubject|one\n two N BHello\r\n E"
		if got := f.said(); got != want {
			t.Errorf("heard %q,\nwant  %q", got, want)
		}
		for _, m := range []string{
			"DCj|mx.test|v|tenma|{daemon_name}|127.0.0.1:25|{daemon_port}|25|_|unknown [192.0.2.1]|{client_addr}|192.0.2.1|{client_name}|unknown|{client_ptr}|unknown|{client_port}|4711|",
			"DMi|ID|{mail_addr}|a@a.test|{mail_host}|a.test|{mail_mailer}|smtp|",
			"DR{rcpt_addr}|c@c.test|{rcpt_host}|c.test|{rcpt_mailer}|smtp|",
			"DEi|ID|",
		} {
			if !slices.Contains(f.heard, m) {
				t.Errorf("no macros %q in %q", m, f.heard)
			}
		}
	})
}

// What a filter does not want to hear, or does not answer, is left out.
func TestSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{steps: wire.NoHelo | wire.NoData | wire.NoHeader | wire.LeadingSpace}
		newRig(t, nil, f).inspect(t, envelope(), true)
		if got := f.said(); !strings.HasPrefix(got, "C[192.0.2.1]|4\x12g192.0.2.1 M<a@a.test> R<b@b.test> R<c@c.test> N BHel Blo\r\n E") {
			t.Errorf("heard %q", got)
		}
		silent := &fake{
			steps:  wire.SilentConnect | wire.SilentHelo | wire.SilentMail | wire.SilentRcpt | wire.SilentData | wire.SilentHeader | wire.SilentHeaderEnd | wire.SilentBody | wire.LeadingSpace,
			silent: map[string]bool{"C": true, "H": true, "M": true, "R": true, "T": true, "L": true, "N": true, "B": true},
		}
		rig := newRig(t, nil, silent)
		rig.inspect(t, envelope(), true)
		if got := silent.said(); !strings.Contains(got, "LSubject| one\n two N BHel Blo\r\n E") || rig.count(t, "f0", "passed") != 1 {
			t.Errorf("heard %q", got)
		}
		old := &fake{version: 2}
		newRig(t, nil, old).inspect(t, envelope(), true)
		synctest.Wait()
		if got := old.said(); strings.Contains(got, " T ") || !strings.HasSuffix(got, "E Q") {
			t.Errorf("version 2 heard %q", got)
		}
		full := &fake{steps: wire.CanSkip, answers: map[string][]string{"B": {"s"}}}
		newRig(t, nil, full).inspect(t, envelope(), true)
		if got := full.said(); !strings.Contains(got, "BHel E") {
			t.Errorf("a filter that had enough heard %q", got)
		}
	})
}

// Each decision, at each event, in memory and as a stream.
func TestDecisions(t *testing.T) {
	for _, c := range []struct {
		answers map[string][]string
		refused string
		discard string
		result  string
	}{
		{map[string][]string{"E": {"a"}}, "", "", "passed"},
		{map[string][]string{"C": {"a"}}, "", "", "passed"},
		{map[string][]string{"E": {"r"}}, "550 5.7.1 Message refused by a mail filter", "", "refused"},
		{map[string][]string{"C": {"r"}}, "550 5.7.1 Message refused by a mail filter", "", "refused"},
		{map[string][]string{"N": {"t"}}, "451 4.7.1 A mail filter wants the message later, try again", "", "deferred"},
		{map[string][]string{"M": {"4"}}, "421 4.7.1 A mail filter wants the session to end, try again later", "", "deferred"},
		{map[string][]string{"B": {"y554 5.7.1 Spam\x00"}}, "554 5.7.1 Spam", "", "refused"},
		{map[string][]string{"E": {"y451 Wait\x00"}}, "451 4.7.1 Wait", "", "deferred"},
		{map[string][]string{"E": {"y550-5.7.1 a\r\n550 5.7.1 b\x00"}}, "550 5.7.1 a b", "", "refused"},
		{map[string][]string{"R<c@c.test>": {"y550 5.1.1 Not him\x00"}}, "550 5.1.1 <c@c.test>: Not him", "", "refused"},
		{map[string][]string{"R<b@b.test>": {"t"}}, "451 4.7.1 <b@b.test>: A mail filter wants the message later, try again", "", "deferred"},
		{map[string][]string{"E": {"d"}}, "", "f0", "discarded"},
		{map[string][]string{"L": {"d"}}, "", "f0", "discarded"},
		{map[string][]string{"E": {"p", "p", "r"}}, "550 5.7.1 Message refused by a mail filter", "", "refused"},
	} {
		for _, stream := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				f, second := &fake{answers: c.answers}, &fake{}
				r := newRig(t, nil, f, second)
				v := r.inspect(t, envelope(), stream)
				if refusal(v) != c.refused || v.Discard != c.discard || r.count(t, "f0", c.result) != 1 {
					t.Errorf("%q, stream %v: %q, discard %q", c.answers, stream, refusal(v), v.Discard)
				}
				if final := c.refused != "" || c.discard != ""; !stream && final == (second.dials > 0) {
					t.Errorf("%q: the second filter was asked %d times", c.answers, second.dials)
				}
			})
		}
	}
}

// What filters change, in the order in which they are asked: each sees what those
// before it have done.
func TestChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := &fake{actions: allActions, answers: map[string][]string{"E": {
			"hX-Last\x00l\x00", "i\x00\x00\x00\x00X-First\x00a\nb\x00", "i\x00\x00\x00\x09X-Far\x00far\x00",
			"m\x00\x00\x00\x01subject\x00changed\x00", "m\x00\x00\x00\x02X-New\x00new\x00", "m\x00\x00\x00\x01From\x00\x00",
			"+d@d.test\x00", "+<b@b.test>\x00", "-<c@c.test>\x00", "e<z@z.test>\x00", "qLooks \xff odd\x00", "c",
		}}}
		second := &fake{actions: allActions, steps: wire.LeadingSpace, answers: map[string][]string{"E": {"m\x00\x00\x00\x00X-LAST\x00\x00", "hX-Tight\x00t\x00", "hX-Empty\x00\x00", "a"}}}
		r := newRig(t, nil, first, second)
		e := envelope()
		v := r.inspect(t, e, false)
		if got, want := string(v.Added), "X-First: a\r\n\tb\r\nX-Far: far\r\nX-New: new\r\nX-Tight:t\r\nX-Empty:\r\n"; got != want {
			t.Errorf("added %q, want %q", got, want)
		}
		if got, want := string(v.Header), "subject: changed\r\n"; got != want {
			t.Errorf("header %q, want %q", got, want)
		}
		if v.Hold != "f0: Looks ? odd" || r.count(t, "f0", "held") != 1 || r.count(t, "f1", "passed") != 1 {
			t.Errorf("hold %q", v.Hold)
		}
		if e.Sender.String() != "z@z.test" || len(e.Recipients) != 2 || e.Recipients[0].ORcpt != "rfc822;b" || e.Recipients[1].Address.String() != "d@d.test" {
			t.Errorf("envelope %+v", e)
		}
		if got := second.said(); !strings.Contains(got, "M<z@z.test> R<b@b.test> R<d@d.test> T LX-First| a\n\tb LX-Last| l LX-Far| far LX-New| new Lsubject| changed N") {
			t.Errorf("the second heard %q", got)
		}
	})
}

// What others put in front is seen and stays.
func TestAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{actions: allActions, answers: map[string][]string{"E": {"m\x00\x00\x00\x01Subject\x00x\x00", "a"}}}
		m := about(envelope())
		m.Ahead = []byte("Authentication-Results: mx.test; none\r\nSubject: of ours\r\n")
		next := &fake{}
		if v := newRig(t, nil, f, next).Inspect(t.Context(), m, nil); v.Added != nil || v.Header != nil {
			t.Errorf("%+v", v)
		}
		for _, f := range []*fake{f, next} {
			if !strings.Contains(f.said(), " LAuthentication-Results|mx.test; none LSubject|of ours LFrom") {
				t.Errorf("heard %q", f.said())
			}
		}
	})
}

// A message whose last recipient a filter removes goes nowhere.
func TestNoRecipients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{actions: allActions, answers: map[string][]string{"E": {"-<b@b.test>\x00", "-c@c.test\x00", "a"}}}
		if v := newRig(t, nil, f).inspect(t, envelope(), true); v.Discard != "f0" {
			t.Errorf("%+v", v)
		}
	})
}

// What a filter may not say, or cannot mean: its default decides, and none of its
// changes is made.
func TestBreaches(t *testing.T) {
	many := func(n int, p string) []string { return append(slices.Repeat([]string{p}, n), "a") }
	for name, f := range map[string]*fake{
		"unknown answer":         {answers: map[string][]string{"M": {"?"}}},
		"change too early":       {actions: allActions, answers: map[string][]string{"M": {"hX\x00y\x00"}}},
		"change not negotiated":  {actions: uint32(wire.AddRecipient), answers: map[string][]string{"E": {"hX\x00y\x00", "a"}}},
		"body":                   {actions: allActions, answers: map[string][]string{"E": {"bnew body", "a"}}},
		"text without end":       {actions: allActions, answers: map[string][]string{"E": {"hX\x00y", "a"}}},
		"field without name":     {actions: allActions, answers: map[string][]string{"E": {"hX-Good\x00y\x00", "h\x00y\x00", "a"}}},
		"name that is two":       {actions: allActions, answers: map[string][]string{"E": {"hX: y\r\nZ\x00y\x00", "a"}}},
		"endless line":           {actions: allActions, answers: map[string][]string{"E": {"hX\x00" + strings.Repeat("y", 998) + "\x00", "a"}}},
		"endless name":           {actions: allActions, answers: map[string][]string{"E": {"h" + strings.Repeat("X", 77) + "\x00y\x00", "a"}}},
		"too many fields":        {actions: allActions, answers: map[string][]string{"E": many(51, "hX\x00y\x00")}},
		"too long fields":        {actions: allActions, answers: map[string][]string{"E": many(2, "hX\x00"+strings.Repeat("yyyyy\n", 6000)+"\x00")}},
		"no address":             {actions: allActions, answers: map[string][]string{"E": {"+nobody\x00", "a"}}},
		"null recipient":         {actions: allActions, answers: map[string][]string{"E": {"+<>\x00", "a"}}},
		"UTF-8 recipient":        {actions: allActions, answers: map[string][]string{"E": {"+ü@a.test\x00", "a"}}},
		"changes without end":    {actions: allActions, answers: map[string][]string{"E": many(5000, "qx\x00")}},
		"octets without end":     {actions: allActions, answers: map[string][]string{"E": many(20, "q"+strings.Repeat("x", 65000)+"\x00")}},
		"progress without end":   {answers: map[string][]string{"E": many(10_001, "p")}},
		"no SMTP reply":          {answers: map[string][]string{"R": {"y250 fine\x00"}}},
		"gives up":               {answers: map[string][]string{"C": {"f"}}},
		"steps not offered":      {steps: 1 << 28},
		"version of the future":  {version: 7},
		"packet of no length":    {raw: func(c net.Conn) { io.CopyN(io.Discard, c, 17); c.Write(make([]byte, 4)) }},
		"packet of great length": {raw: func(c net.Conn) { io.CopyN(io.Discard, c, 17); c.Write([]byte("\x7f\xff\xff\xffO")) }},
		"closes at once":         {raw: func(c net.Conn) {}},
		"away":                   {fail: errors.New("connection refused")},
	} {
		for _, stream := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{version: f.version, actions: f.actions, steps: f.steps, answers: f.answers, raw: f.raw, fail: f.fail}
				e := envelope()
				r := newRig(t, nil, f)
				v := r.inspect(t, e, stream)
				if refusal(v) != "451 4.7.1 Message cannot be checked by a mail filter now, try again later" || v.Added != nil || r.count(t, "f0", "failed") != 1 {
					t.Errorf("%s: %q, added %q", name, refusal(v), v.Added)
				}
				r = newRig(t, func(f *Filter) { f.Default = Refuse }, f)
				if v := r.inspect(t, e, stream); !strings.HasPrefix(refusal(v), "550 5.7.1") {
					t.Errorf("%s: %q", name, refusal(v))
				}
				r = newRig(t, func(f *Filter) { f.Default = Take }, f)
				if v := r.inspect(t, e, stream); v.Refuse != nil || v.Added != nil || v.Header != nil || len(e.Recipients) != 2 {
					t.Errorf("%s: %+v", name, v)
				}
			})
		}
	}
}

// A filter that is slow costs what its time-outs say and no more.
func TestTimeouts(t *testing.T) {
	for _, c := range []struct {
		name string
		f    *fake
		want time.Duration
	}{
		{"connecting", &fake{hang: true}, 5 * time.Second},
		{"negotiating", &fake{raw: func(c net.Conn) { io.Copy(io.Discard, c) }}, 5 * time.Second},
		{"not reading", &fake{raw: func(c net.Conn) {
			io.CopyN(io.Discard, c, 17)
			c.Write(wire.AppendNegotiation(nil, wire.Negotiation{Version: 6}))
			time.Sleep(time.Hour)
		}}, 10 * time.Second},
		{"a command", &fake{silent: map[string]bool{"M": true}}, 10 * time.Second},
		{"the end", &fake{silent: map[string]bool{"E": true}}, time.Minute},
		{"all of it", &fake{slow: 9 * time.Second, answers: map[string][]string{"E": slices.Repeat([]string{"p"}, 20)}}, 9*11*time.Second + time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			r := newRig(t, nil, c.f)
			v := r.inspect(t, envelope(), false)
			if took := time.Since(start); took != c.want || !strings.HasPrefix(refusal(v), "451") {
				t.Errorf("%s: %v, %q; want %v", c.name, took, refusal(v), c.want)
			}
		})
	}
}

// Progress keeps the filter's time-out from ending, but not for longer than the client
// waits.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{raw: func(c net.Conn) {
			io.CopyN(io.Discard, c, 17)
			c.Write(wire.AppendNegotiation(nil, wire.Negotiation{Version: 6, Steps: wire.SilentConnect | wire.NoHelo | wire.NoMail | wire.NoRcpt | wire.NoData | wire.NoHeader | wire.NoHeaderEnd | wire.NoBody}))
			go io.Copy(io.Discard, c)
			for {
				time.Sleep(50 * time.Second)
				if _, err := c.Write(packet("p")); err != nil {
					return
				}
			}
		}}
		start := time.Now()
		v := newRig(t, nil, f).inspect(t, envelope(), true)
		if took := time.Since(start); took != maxWait || !strings.HasPrefix(refusal(v), "451") {
			t.Errorf("%v, %q", took, refusal(v))
		}
	})
}

// One connection serves many messages; one that the filter has closed costs no message.
func TestReuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		r := newRig(t, nil, f)
		for range 3 {
			if v := r.inspect(t, envelope(), false); v.Refuse != nil {
				t.Fatal(refusal(v))
			}
		}
		if f.dials != 1 {
			t.Errorf("%d connections", f.dials)
		}
		time.Sleep(idleTime)
		synctest.Wait()
		if !strings.HasSuffix(f.said(), "E Q") || strings.Count(f.said(), "E K C") != 2 {
			t.Errorf("idle: heard %q", f.said())
		}
		once := &fake{once: true}
		r = newRig(t, nil, once)
		for range 3 {
			if v := r.inspect(t, envelope(), false); v.Refuse != nil {
				t.Fatal(refusal(v))
			}
			synctest.Wait()
		}
		if once.dials != 3 {
			t.Errorf("%d connections", once.dials)
		}
		talkative := &fake{answers: map[string][]string{"E": {"a", "r"}}} // the second would be taken for an answer to the next message
		r = newRig(t, nil, talkative)
		for range 3 {
			if v := r.inspect(t, envelope(), false); v.Refuse != nil {
				t.Error(refusal(v))
			}
			synctest.Wait()
		}
		if talkative.dials != 3 {
			t.Error("a connection was used again on which more had been said than was asked")
		}
	})
}

// A filter talks about so many messages at a time; who waits too long gets the default.
func TestSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		r := newRig(t, func(f *Filter) { f.MaxConnections = 1 }, f)
		i := r.Begin(t.Context(), about(envelope()))
		if late := r.Begin(t.Context(), about(envelope())); late.m.header != nil || i.m.header == nil {
			t.Error("a header section is read before its turn")
		}
		start := time.Now()
		if v := r.inspect(t, envelope(), false); !strings.HasPrefix(refusal(v), "451") || time.Since(start) != 5*time.Second {
			t.Errorf("%q after %v", refusal(v), time.Since(start))
		}
		i.Abort()
		if v := r.inspect(t, envelope(), false); v.Refuse != nil {
			t.Errorf("%q", refusal(v))
		}
		if v := r.inspect(t, envelope(), true); v.Refuse != nil {
			t.Errorf("%q", refusal(v))
		}
	})
}

// Messages of strangers that come slowly take half of the turns: our own mail passes.
func TestStrangersSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(f *Filter) { f.MaxConnections = 4 }, &fake{})
		stranger, own := envelope(), envelope()
		stranger.Trusted, own.Trusted = false, true
		var slow []*Inspection
		for range 4 {
			slow = append(slow, r.Begin(t.Context(), about(stranger)))
		}
		for range 3 {
			if v := r.inspect(t, own, false); v.Refuse != nil {
				t.Errorf("our own: %q", refusal(v))
			}
		}
		if v := r.inspect(t, stranger, false); !strings.HasPrefix(refusal(v), "451") {
			t.Errorf("one stranger more: %q", refusal(v))
		}
		for _, i := range slow {
			i.Abort()
		}
		if v := r.inspect(t, stranger, false); v.Refuse != nil {
			t.Errorf("a stranger when they are gone: %q", refusal(v))
		}
	})
}

// Whose mail a filter sees, and how large.
func TestScope(t *testing.T) {
	stranger, own := envelope(), envelope()
	own.Trusted = true
	user := envelope()
	user.Trusted, user.Account, user.Submission, user.Listener = true, "a@a.test", true, "127.0.0.1:587"
	injected := &mail.Envelope{Origin: mail.FromHTTP}
	for _, c := range []struct {
		f    Filter
		want string
	}{
		{Filter{}, "stranger own user injected"},
		{Filter{For: Strangers}, "stranger"},
		{Filter{For: Submission}, "user injected"},
		{Filter{Listeners: []string{"127.0.0.1:587", "x"}}, "user"},
		{Filter{For: Strangers, Listeners: []string{"127.0.0.1:587"}}, ""},
	} {
		a := New(Config{Filters: []Filter{c.f}}, Deps{})
		var got []string
		for i, e := range []*mail.Envelope{stranger, own, user, injected} {
			if a.Asks(e) {
				got = append(got, []string{"stranger", "own", "user", "injected"}[i])
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v: %v", c.f, got)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answers: map[string][]string{"E": {"r"}}}
		r := newRig(t, func(f *Filter) { f.MaxSize = 5 }, f)
		for _, stream := range []bool{false, true} {
			if v := r.inspect(t, envelope(), stream); v.Refuse != nil {
				t.Errorf("stream %v: %q", stream, refusal(v))
			}
		}
		if r.count(t, "f0", "skipped") != 2 {
			t.Error("not counted")
		}
	})
}

// When the relay stops nobody waits for a filter.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil, &fake{silent: map[string]bool{"M": true}})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		v := r.Inspect(ctx, about(envelope()), nil)
		if refusal(v) == "" || time.Since(start) != time.Second {
			t.Errorf("%q after %v", refusal(v), time.Since(start))
		}
	})
}

// A reload keeps the connections to filters that stay and ends the others.
func TestApply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, g := &fake{}, &fake{}
		r := newRig(t, nil, f, g)
		r.inspect(t, envelope(), false)
		r.Apply(Config{Filters: r.filters[:1]})
		r.inspect(t, envelope(), false)
		synctest.Wait()
		if f.dials != 1 || g.dials != 1 || !strings.HasSuffix(g.said(), "E Q") {
			t.Errorf("%d, %d, %q", f.dials, g.dials, g.said())
		}
		if errs := r.Probe(t.Context()); len(errs) != 1 || errs["f0"] != nil {
			t.Error(errs)
		}
		f.fail = errors.New("gone")
		if errs := r.Probe(t.Context()); errs["f0"] == nil {
			t.Error(errs)
		}
	})
}

// Whatever a filter says, what comes out is a header section and nothing else.
func FuzzChanges(f *testing.F) {
	f.Add("X", "a\r\nb\n\n\x00", uint32(1), byte('h'), "a@a.test")
	f.Add("Subject", "", uint32(1), byte('m'), "<>")
	f.Add("Subject", " x\r\r\n\t\r\n.", uint32(0), byte('i'), "\"a b\"@a.test")
	f.Fuzz(func(t *testing.T, name, value string, index uint32, kind byte, address string) {
		h := parse(nil, []byte(section))
		before := len(h.own)
		if _, err := h.apply(wire.Reply{Kind: wire.Kind(kind), Index: index, Name: name, Value: value}, index%2 == 0); err != nil {
			return
		}
		added, own := h.text()
		for _, text := range [][]byte{added, own} {
			n := 0
			for _, f := range split(text) {
				if n++; f.name == "" || !strings.HasSuffix(string(f.raw), "\r\n") {
					t.Errorf("%q, %q made %q", name, value, text)
				}
			}
			if n > before || strings.Contains(string(text), "\r\n\r\n") {
				t.Errorf("%q, %q made %d fields: %q", name, value, n, text)
			}
		}
		e := envelope()
		if err := readdress(e, wire.Reply{Kind: wire.OpAddRecipient, Value: address}); err == nil {
			for _, r := range e.Recipients {
				if _, err := smtp.ParseMailbox(r.Address.String()); err != nil {
					t.Errorf("%q: %v", address, err)
				}
			}
		}
		if fmt.Sprint(e.Recipients[0]) != fmt.Sprint(envelope().Recipients[0]) {
			t.Error("another recipient has changed")
		}
	})
}
