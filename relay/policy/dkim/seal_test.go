package dkim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"tenma/relay/mail"
	words "tenma/relay/wire/dkim"
	"tenma/relay/wire/dkim/arc"
	"tenma/relay/wire/header"
)

const (
	verdicts  = "Authentication-Results: mx.example.test;\r\n\tspf=pass smtp.mailfrom=x@far.test;\r\n\tdmarc=pass header.from=far.test"
	received  = "Received: from x by mx.example.test; Mon, 01 Jan 2024 00:00:00 +0000\r\n"
	forwarded = "Delivered-To: team@example.test\r\n" + verdicts + "\r\n" + received
	strange   = "Authentication-Results: mx.far.test; dmarc=fail\r\nFrom: X <x@far.test>\r\nSubject: x\r\n\r\nHello\r\n"
)

func forward(prefix string) *mail.Envelope { return &mail.Envelope{Prefix: []byte(prefix)} }

// chain judges a message's chain with the keys of the rig.
func (r *rig) chain(t testing.TB, msg string) (*arc.Chain, arc.Status, error) {
	t.Helper()
	section, body := header.Split([]byte(msg))
	c := arc.Read(section)
	var b words.Bodies
	var sum [sha256.Size]byte
	if m := c.Message(); m != nil {
		b.Want(m)
		b.Write(body)
		sum = b.Of(m)
	}
	s, err := c.Validate(t.Context(), words.Index(section), sum, func(_ context.Context, c *words.Claim) (*words.Key, error) {
		return words.ParseKey(r.zone[c.KeyName()])
	}, time.Now())
	return c, s, err
}

// What a stranger sends and an address here forwards goes out sealed, with what was
// found when it came, over all that was added since and over signatures of others.
func TestSeal(t *testing.T) {
	r := newRig(t)
	var signed strings.Builder
	if err := dkim.Sign(&signed, strings.NewReader(strange), &dkim.SignOptions{Domain: "far.test", Selector: "f", Signer: keys()["rsa"], HeaderCanonicalization: "relaxed"}); err != nil {
		t.Fatal(err)
	}
	e := forward(forwarded)
	if !r.Wants(e) {
		t.Error("Wants says no")
	}
	sealed := r.sign(t, e, signed.String())
	checkForm(t, strings.NewReplacer("ARC-Seal:", "DKIM-Signature:", "ARC-Message-Signature:", "DKIM-Signature:", "ARC-Authentication-Results:", "DKIM-Signature:").Replace(sealed))
	whole := sealed + forwarded + signed.String()
	c, status, err := r.chain(t, whole)
	if status != arc.Pass || err != nil || c.Sets[0].Sealer() != "example.test" {
		t.Fatalf("%q, %v: %s", status, err, sealed)
	}
	if want := "ARC-Authentication-Results: i=1; " + strings.TrimPrefix(verdicts, "Authentication-Results: ") + "\r\n"; !strings.HasSuffix(sealed, want) {
		t.Errorf("%s\nnot %s", sealed, want)
	}
	if !strings.Contains(sealed, "a=rsa-sha256") || strings.Contains(sealed, "DKIM-Signature:") {
		t.Errorf("sealed otherwise than with RSA: %s", sealed)
	}
	for _, from := range []string{"Hello", "Subject: x", "d=far.test", "From: X"} {
		if _, s, _ := r.chain(t, strings.Replace(whole, from, from+"y", 1)); s != arc.Fail {
			t.Errorf("%q was changed and the chain is still whole", from)
		}
	}
	if _, s, _ := r.chain(t, strings.Replace(whole, "From: X", "From: e@e.test\r\nFrom: X", 1)); s != arc.Fail {
		t.Error("a From field was added and the chain is still whole")
	}
	// One more hop is ours again: what was found of the chain is in the results.
	again := strings.Replace(forwarded, "dmarc=pass", "arc=pass;\r\n\tdmarc=pass", 1)
	two := r.sign(t, forward(again), whole) + again + whole
	if c, s, err := r.chain(t, two); s != arc.Pass || len(c.Sets) != 2 {
		t.Errorf("after two hops: %q, %v", s, err)
	}
	// The same for a body that is read in many parts.
	long := strange + strings.Repeat("0123456789abcdef\r\n", 1<<13)
	long = r.sign(t, e, long) + forwarded + long
	if c, s, err := r.chain(t, r.sign(t, forward(again), long)+again+long); s != arc.Pass || len(c.Sets) != 2 {
		t.Errorf("a long body: %q, %v", s, err)
	}
	// A rendition has the prefix in its body.
	plain := *e
	plain.Prefix = nil
	if got := r.sign(t, &plain, forwarded+signed.String()); !strings.Contains(got, "ARC-Seal: ") {
		t.Errorf("rendition: %q", got)
	}
}

// A chain that was broken on arrival is sealed as broken, one that could not be
// judged is left alone, as is a message of which nothing was found.
func TestSealWhat(t *testing.T) {
	r := newRig(t)
	one := r.sign(t, forward(forwarded), strange) + forwarded + strange
	with := func(arcIs string) string {
		return strings.Replace(forwarded, "dmarc=pass", arcIs+";\r\n\tdmarc=pass", 1)
	}
	for _, c := range []struct{ why, prefix, msg, want string }{
		{"whole", with("arc=pass"), one, "cv=pass"},
		{"broken", with("arc=fail"), one, "cv=fail"},
		{"not to be read", with("arc=pass"), "ARC-Seal: i=x\r\n" + strange, "cv=fail"},
		{"not judged", forwarded, one, ""},
		{"judged in a field that came from outside", "Delivered-To: team@example.test\r\n" + received, "Authentication-Results: mx.example.test; spf=pass\r\n" + strange, ""},
		{"no results", "Delivered-To: team@example.test\r\n" + received, strange, ""},
		{"a domain below ours", strings.Replace(forwarded, "@example", "@sub.example", 1), strange, "d=example.test"},
		{"two fields of results", strings.Replace(forwarded, "Received", "Authentication-Results: mx.example.test; virus=none\r\nAuthentication-Results: other.test; x=y\r\nReceived", 1), strange, "header.from=far.test; virus=none\r\n"},
	} {
		if got := r.sign(t, forward(c.prefix), c.msg); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", c.why, got)
		}
	}
}

// Only what is forwarded by a domain with a key is sealed, and only strangers' mail.
func TestWhoIsSealed(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		why string
		e   *mail.Envelope
	}{
		{"not forwarded", forward(verdicts + "\r\n" + received)},
		{"another domain", forward(strings.Replace(forwarded, "@example", "@sample", 1))},
		{"no address", forward("Delivered-To: \r\n" + forwarded)},
		{"trusted", &mail.Envelope{Trusted: true, Prefix: []byte(forwarded)}},
	} {
		if r.Wants(c.e) && !c.e.Trusted {
			t.Errorf("%s: Wants says yes", c.why)
		}
		if got := r.sign(t, c.e, strange); got != "" {
			t.Errorf("%s: %q", c.why, got)
		}
	}
}

// A key that cannot be used keeps nobody's mail waiting; the next one is used.
func TestSealUnusable(t *testing.T) {
	r := newRig(t)
	for i, want := range []string{"a=ed25519-sha256", ""} {
		if err := os.WriteFile(r.config.Keys[i].Path, []byte("junk"), 0o600); err != nil {
			t.Fatal(err)
		}
		var err error
		if r.Signer, err = New(r.config, Deps{}); err != nil {
			t.Fatal(err)
		}
		if got := r.sign(t, forward(forwarded), strange); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q", got)
		}
	}
	// A body that cannot be read is another matter: the attempt fails.
	r = newRig(t)
	if _, err := r.Sign(t.Context(), forward(forwarded), &torn{bytes.NewReader([]byte(strange))}); err == nil {
		t.Error("a torn body was sealed")
	}
}

// torn fails where r ends.
type torn struct{ r *bytes.Reader }

func (b *torn) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil {
		err = errors.New("torn")
	}
	return n, err
}
