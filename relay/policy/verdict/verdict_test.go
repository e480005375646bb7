package verdict

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"go.uber.org/goleak"

	"tenma/dnscache"
	"tenma/relay/mail"
	words "tenma/relay/wire/dkim"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func key() crypto.Signer {
	_, k, err := ed25519.GenerateKey(zeros{})
	if err != nil {
		panic(err)
	}
	return k
}

func keyRecord() string {
	return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(key().Public().(ed25519.PublicKey))
}

// zone is a DNS: names to text records, or to addresses where the value begins with
// "A ". "!" has no answer, "?" has none for an hour.
type zone map[string]string

func (z zone) text(ctx context.Context, name string) (string, error) {
	v, ok := z[strings.ToLower(strings.TrimSuffix(name, "."))]
	switch {
	case !ok:
		return "", dnscache.ErrNotFound
	case v == "!":
		return "", dnscache.ErrTemporary
	case v == "?":
		select {
		case <-ctx.Done():
		case <-time.After(time.Hour):
		}
		return "", fmt.Errorf("%w: %w", dnscache.ErrTemporary, context.Cause(ctx))
	}
	return v, nil
}

func (z zone) LookupTXT(ctx context.Context, name string) (a dnscache.Answer[string], err error) {
	v, err := z.text(ctx, name)
	if err == nil && strings.HasPrefix(v, "A ") {
		err = dnscache.ErrNoData
	}
	if err == nil {
		a.Records = strings.Split(v, "\n")
	}
	return a, err
}

func (z zone) LookupMX(context.Context, string) (a dnscache.Answer[dnscache.MX], err error) {
	a.Records = []dnscache.MX{{Host: "mx.a.test", Pref: 10}, {}}
	return a, nil
}

func (z zone) LookupAddrs(ctx context.Context, host string) (a dnscache.Answer[netip.Addr], err error) {
	v, err := z.text(ctx, host)
	if err == nil && strings.HasPrefix(v, "A ") {
		a.Records = []netip.Addr{netip.MustParseAddr(v[2:])}
	} else if err == nil {
		err = dnscache.ErrNoData
	}
	return a, err
}

func (z zone) LookupPTR(context.Context, netip.Addr) (a dnscache.Answer[string], err error) {
	a.Records = []string{"mx.a.test"}
	return a, nil
}

// world is what the stories happen in.
func world() zone {
	return zone{
		"mx.a.test": "A 192.0.2.1", "a.test": "other\nv=spf1 mx -all", "s._domainkey.a.test": keyRecord(), "_dmarc.a.test": "v=DMARC1; p=reject; sp=quarantine",
		"sub.a.test": "v=spf1 ip4:192.0.2.1 ~all", "ptr.test": "v=spf1 ptr:a.test -all", "exists.test": "v=spf1 a:mx.a.test ?all",
		"list.test": "v=spf1 ip4:192.0.2.7 -all", "s._domainkey.list.test": keyRecord(), "s._domainkey.other.test": keyRecord(),
		"_dmarc.strict.a.test": "v=DMARC1; p=reject; adkim=s; aspf=S", "strict.a.test": "v=spf1 ip4:192.0.2.1 -all",
		"_dmarc.soft.test": "v=DMARC1; p=none", "_dmarc.quarantine.test": "v=DMARC1;p=Quarantine;pct=0", "_dmarc.half.test": "v=DMARC1; p=reject; pct=50",
		"_dmarc.two.test": "v=DMARC1; p=reject\nv=DMARC1; p=none", "_dmarc.odd.test": "v=DMARC1; p=what; rua=mailto:x@odd.test", "_dmarc.junk.test": "v=DMARC1; p=what",
		"_dmarc.two.a.test": "v=DMARC1; p=reject\nv=DMARC1; p=none", "_dmarc.junk.a.test": "v=DMARC1; p=what", "_dmarc.silent.a.test": "!",
		"s._domainkey.silent.test": keyRecord(), "silent.test": "v=spf1 ip4:192.0.2.1 -all",
		"_dmarc.silent.test": "!", "_dmarc.slow.test": "?", "slow.test": "?", "_dmarc.keyless.test": "v=DMARC1; p=reject", "s._domainkey.keyless.test": "!",
		"a.test@b.test": "v=spf1 ip4:192.0.2.1 -all", "": "!", "s._domainkey.twice.test": keyRecord() + "\n" + keyRecord(),
		"loop.test": "v=spf1 include:loop.test -all", "broken.test": "v=spf1 what -all", "dead.test": "v=spf1 a:silent.mx.test -all", "silent.mx.test": "!",
	}
}

func envelope(sender, client string) *mail.Envelope {
	e := &mail.Envelope{HELO: "mx.a.test", Client: netip.MustParseAddrPort(client + ":4711")}
	if sender != "" {
		e.Sender, _ = smtp.ParseMailbox(sender)
	}
	return e
}

// sign signs a message for a domain.
func sign(t testing.TB, domain, msg string) string {
	t.Helper()
	var b strings.Builder
	if err := dkim.Sign(&b, strings.NewReader(msg), &dkim.SignOptions{Domain: domain, Selector: "s", Signer: key(), HeaderCanonicalization: "relaxed", BodyCanonicalization: "relaxed"}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// judged shows a message in pieces and gives what is said about it, on one line.
func judged(t testing.TB, c Config, z zone, e *mail.Envelope, msg string, size int) string {
	t.Helper()
	c.Hostname = "mx.ours.test"
	a := New(c, Deps{Resolver: z, Percent: func() int { return 50 }})
	i := a.Begin(t.Context(), e)
	if i == nil {
		return ""
	}
	for rest := msg; rest != ""; {
		n := min(size, len(rest))
		i.Write([]byte(rest[:n]))
		rest = rest[n:]
	}
	j, err := i.Verdict()
	if err != nil {
		refusal, ok := errors.AsType[*smtp.Error](err)
		if !ok {
			t.Fatal(err)
		}
		return refusal.Reply.String()
	}
	f := header.Field{Raw: j.Header}
	if !f.Is("Authentication-Results") || !strings.HasSuffix(string(j.Header), "\r\n") {
		t.Errorf("%q is no field", j.Header)
	}
	return strings.TrimPrefix(f.Text(), "mx.ours.test; ")
}

func letter(from string) string { return "From: " + from + "\r\nSubject: x\r\n\r\nbody\r\n" }

func TestVerdicts(t *testing.T) {
	const mx, other = "192.0.2.1", "192.0.2.99"
	for _, c := range []struct {
		why, sender, client, msg string
		want                     string // is in Authentication-Results
		refused                  string // is in the reply where DMARC may refuse; "": it is taken
	}{
		{"SPF passes and is aligned", "x@a.test", mx, letter("x@a.test"), "spf=pass smtp.mailfrom=x@a.test; dkim=none; dmarc=pass header.from=a.test", ""},
		{"SPF fails", "x@a.test", other, letter("x@a.test"), "spf=fail smtp.mailfrom=x@a.test; dkim=none; dmarc=fail header.from=a.test policy.dmarc=reject", "550 5.7.26 "},
		{"SPF alone refuses nothing", "x@list.test", other, letter("x@b.test"), "spf=fail smtp.mailfrom=x@list.test; dkim=none; dmarc=none header.from=b.test", ""},
		{"SPF of another domain", "x@list.test", "192.0.2.7", letter("x@a.test"), "spf=pass smtp.mailfrom=x@list.test; dkim=none; dmarc=fail header.from=a.test policy.dmarc=reject", "550 5.7.26 "},
		{"SPF of a domain below", "x@sub.a.test", mx, letter("x@a.test"), "dmarc=pass header.from=a.test", ""},
		{"of the author's parent", "x@a.test", mx, letter("x@y.a.test"), "dmarc=pass header.from=y.a.test", ""},
		{"of a domain that ends alike", "x@a.test", mx, letter("x@ba.test"), "dmarc=none header.from=ba.test", ""},
		{"strict alignment", "x@a.test", mx, letter("x@strict.a.test"), "dmarc=fail header.from=strict.a.test policy.dmarc=reject", "550"},
		{"strict alignment, kept", "x@strict.a.test", mx, letter("x@strict.a.test"), "dmarc=pass header.from=strict.a.test", ""},
		{"policy for domains below", "", other, letter("x@y.a.test"), "dmarc=fail header.from=y.a.test policy.dmarc=quarantine", ""},
		{"null sender", "", other, letter("x@b.test"), "spf=none smtp.helo=mx.a.test; dkim=none; dmarc=none", ""},
		{"by name", "x@ptr.test", other, letter("x@ptr.test"), "spf=fail smtp.mailfrom=x@ptr.test", ""},
		{"by address of a host", "x@exists.test", mx, letter("x@exists.test"), "spf=pass", ""},
		{"a record that leads to itself", "x@loop.test", mx, letter("x@a.test"), "spf=permerror", "550"},
		{"a record that cannot be read", "x@broken.test", mx, letter("x@a.test"), "spf=permerror", "550"},
		{"a server of the record is silent", "x@dead.test", mx, letter("x@b.test"), "spf=temperror", ""},
		{"an at sign in a quoted local part", `"x@a.test"@b.test`, mx, letter("x@a.test"), `spf=none smtp.mailfrom="\"x@a.test\"@b.test"`, "550"},
		{"DKIM passes and is aligned", "x@list.test", other, sign(t, "a.test", letter("x@a.test")), "dkim=pass header.d=a.test header.s=s header.b=", ""},
		{"DKIM is aligned", "x@list.test", other, sign(t, "a.test", letter("x@y.a.test")), "dmarc=pass header.from=y.a.test", ""},
		{"DKIM of the parent, strict", "x@list.test", other, sign(t, "a.test", letter("x@strict.a.test")), "dmarc=fail", "550"},
		{"DKIM of another", "x@list.test", other, sign(t, "other.test", letter("x@a.test")), "dkim=pass header.d=other.test", "550"},
		{"DKIM, broken", "x@list.test", other, sign(t, "a.test", letter("x@a.test")) + "more\r\n", `dkim=fail reason="body was changed" header.d=a.test`, "550"},
		{"DKIM without a key", "x@list.test", other, sign(t, "b.test", letter("x@a.test")), `dkim=permerror reason="no key" header.d=b.test`, "550"},
		{"DKIM with two keys", "x@list.test", other, sign(t, "twice.test", letter("x@a.test")), `dkim=permerror reason="several keys" header.d=twice.test`, "550"},
		{"DKIM whose key cannot be had", "x@list.test", other, sign(t, "keyless.test", letter("x@keyless.test")), `dkim=temperror reason="key cannot be had now" header.d=keyless.test`, "451 4.4.3 "},
		{"two signatures, one broken", "x@list.test", other, sign(t, "a.test", sign(t, "other.test", letter("x@a.test")+"more\r\n")), "dmarc=pass", ""},
		{"policy none", "", other, letter("x@soft.test"), "dmarc=fail header.from=soft.test policy.dmarc=none", ""},
		{"not sampled, quarantine", "", other, letter("x@quarantine.test"), "policy.dmarc=none", ""},
		{"not sampled, reject", "", other, letter("x@half.test"), "policy.dmarc=quarantine", ""},
		{"two policies", "", other, letter("x@two.test"), "dmarc=none", ""},
		{"a policy that means nothing, with reports", "", other, letter("x@odd.test"), "policy.dmarc=none", ""},
		{"a policy that means nothing", "", other, letter("x@junk.test"), "dmarc=none", ""},
		{"two policies below one", "", other, letter("x@two.a.test"), "dmarc=none", ""},
		{"a policy that means nothing below one", "", other, letter("x@junk.a.test"), "dmarc=none", ""},
		{"no answer", "", other, letter("x@silent.test"), "dmarc=temperror header.from=silent.test", "451 4.4.3 "},
		{"no answer, and SPF of another", "x@a.test", mx, letter("x@silent.test"), "dmarc=temperror", "451 4.4.3 "},
		{"no answer, and a signature of the parent", "", other, sign(t, "a.test", letter("x@silent.a.test")), "dmarc=temperror", "451 4.4.3 "},
		{"no answer, and no need of one: DKIM", "", other, sign(t, "silent.test", letter("x@silent.test")), "dmarc=temperror", ""},
		{"no answer, and no need of one: SPF", "x@silent.test", mx, letter("x@silent.test"), "dmarc=temperror", ""},
		{"two authors, one forged", "x@a.test", mx, letter("x@a.test, y@strict.a.test"), "dmarc=fail header.from=strict.a.test", "550"},
		{"two From fields", "x@b.test", other, "From: x@b.test\r\n" + letter("x@a.test"), "dmarc=fail header.from=a.test", "550"},
		{"no author", "x@b.test", other, "Subject: x\r\n\r\n", "dmarc=permerror", ""},
		{"an author that cannot be read", "x@b.test", other, letter("nobody"), "dmarc=permerror", ""},
		{"header alone", "x@a.test", mx, "From: x@a.test\r\n", "dmarc=pass", ""},
		{"no header", "x@a.test", mx, "hello\r\n\r\nFrom: x@a.test\r\n", "dmarc=permerror", ""},
	} {
		for _, size := range []int{1, 30, 1 << 20} {
			if got := judged(t, Config{}, world(), envelope(c.sender, c.client), c.msg, size); !strings.Contains(got, c.want) {
				t.Errorf("%s, in pieces of %d:\n%s\n%s", c.why, size, got, c.want)
			}
		}
		got := judged(t, Config{DMARC: Reject}, world(), envelope(c.sender, c.client), c.msg, 1<<20)
		if c.refused != "" && !strings.HasPrefix(got, c.refused) || c.refused == "" && !strings.HasPrefix(got, "spf=") {
			t.Errorf("%s, where DMARC may refuse: %s", c.why, got)
		}
	}
}

// A domain is asked about once, however many authors are of it.
func TestAuthors(t *testing.T) {
	i := &Inspection{fields: words.Index(header.Section("From: a@a.test, b@B.test,\r\n\tc@A.test\r\nFrom: d@b.test\r\n"))}
	if got := fmt.Sprint(i.authors()); got != "[a.test b.test]" {
		t.Error(got)
	}
}

// Of ten signatures the first are looked at, and no more questions asked.
func TestManySignatures(t *testing.T) {
	msg := letter("x@a.test")
	for n := range 2 * maxSignatures {
		msg = sign(t, fmt.Sprintf("d%d.test", n), msg)
	}
	if got := judged(t, Config{}, world(), envelope("x@a.test", "192.0.2.1"), msg, 1<<20); strings.Count(got, "dkim=permerror") != maxSignatures {
		t.Error(got)
	}
}

// A DNS that never answers costs no more than the patience that was set.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		got := judged(t, Config{DMARC: Reject}, world(), envelope("x@slow.test", "192.0.2.1"), letter("x@slow.test"), 100)
		if took := time.Since(began); took != 20*time.Second || !strings.HasPrefix(got, "451") {
			t.Errorf("after %v: %s", took, got)
		}
		if got := judged(t, Config{Patience: time.Second}, world(), envelope("x@slow.test", "192.0.2.1"), letter("x@slow.test"), 100); !strings.Contains(got, "spf=temperror") || !strings.Contains(got, "dmarc=temperror") {
			t.Error(got)
		}
		if took := time.Since(began); took != 21*time.Second {
			t.Error(took)
		}
	})
}

// Who may relay is not judged, nor who logged in, nor what our own relay brings by
// LMTP; nor anybody when it is off.
func TestWhoIsJudged(t *testing.T) {
	for _, c := range []struct {
		change func(*Config, *mail.Envelope)
		want   bool
	}{
		{func(*Config, *mail.Envelope) {}, true},
		{func(c *Config, _ *mail.Envelope) { c.Off = true }, false},
		{func(_ *Config, e *mail.Envelope) { e.Trusted = true }, false},
		{func(_ *Config, e *mail.Envelope) { e.Account = "ann" }, false},
		{func(_ *Config, e *mail.Envelope) { e.LMTP = true }, false},
		{func(_ *Config, e *mail.Envelope) { e.Origin = mail.FromHTTP }, false},
	} {
		var cfg Config
		e := envelope("x@a.test", "192.0.2.1")
		c.change(&cfg, e)
		if got := judged(t, cfg, world(), e, letter("x@a.test"), 100) != ""; got != c.want {
			t.Errorf("%+v, %+v: %v", cfg, e, got)
		}
	}
}

// Fields in our name are forged, others are not ours to take out.
func TestForged(t *testing.T) {
	a := New(Config{Hostname: "mx.ours.test"}, Deps{})
	for field, want := range map[string]bool{
		"Authentication-Results: mx.ours.test; dmarc=pass\r\n":             true,
		"authentication-results :\r\n\t(x) MX.Ours.Test 1; dmarc=pass\r\n": true,
		"Authentication-Results: \"mx.ours.test\"\r\n":                     true,
		"Authentication-Results: mx.ours.test what; dmarc=pass\r\n":        true,
		"Authentication-Results: mx.ours.test.example; dmarc=pass\r\n":     false,
		"Authentication-Results: (mx.ours.test) mx.other.test; none\r\n":   false,
		"X-Authentication-Results: mx.ours.test; dmarc=pass\r\n":           false,
	} {
		f := header.Field{Raw: []byte(field)}
		for _, e := range []*mail.Envelope{{}, {Account: "ann", Trusted: true}} {
			if got := a.Forged(e, f); got != want {
				t.Errorf("%q: %v", field, got)
			}
		}
		if a.Forged(&mail.Envelope{Trusted: true}, f) || a.Forged(&mail.Envelope{LMTP: true}, f) {
			t.Errorf("%q of a host of ours is forged", field)
		}
	}
}

func FuzzInspection(f *testing.F) {
	f.Add([]byte(sign(f, "a.test", letter("x@a.test"))), "mx.a.test")
	f.Add([]byte("ARC-Seal: i=1; cv=none; d=list.test; s=s; a=ed25519-sha256; b=AA\r\nFrom: a@[192.0.2.1], <@x,@y:z@a.test>\r\n\r\n"), "[x")
	f.Fuzz(func(t *testing.T, msg []byte, helo string) {
		e := envelope("x@a.test", "192.0.2.1")
		e.HELO = helo
		if got := judged(t, Config{}, world(), e, string(msg), 7); strings.ContainsAny(got, "\r\n") {
			t.Errorf("%q", got)
		}
	})
}

// What mail of those who may relay costs here: a few branches for a message and for
// each of its fields.
func BenchmarkTrusted(b *testing.B) {
	a := New(Config{Hostname: "mx.ours.test"}, Deps{})
	e := &mail.Envelope{Trusted: true}
	section := header.Section(strings.Repeat("Authentication-Results: mx.other.test; none\r\nSubject: x\r\n", 10))
	b.ReportAllocs()
	for b.Loop() {
		if a.Begin(b.Context(), e) != nil {
			b.Fatal("judged")
		}
		for f := range section.Fields() {
			a.Forged(e, f)
		}
	}
}

// What a stranger's signed message costs beside the DNS.
func BenchmarkStranger(b *testing.B) {
	a := New(Config{Hostname: "mx.ours.test"}, Deps{Resolver: world()})
	e := envelope("x@a.test", "192.0.2.1")
	msg := []byte(sign(b, "a.test", letter("x@a.test")+strings.Repeat("a line of text that is not too long\r\n", 100)))
	b.ReportAllocs()
	b.SetBytes(int64(len(msg)))
	for b.Loop() {
		i := a.Begin(b.Context(), e)
		i.Write(msg)
		if _, err := i.Verdict(); err != nil {
			b.Fatal(err)
		}
	}
}
