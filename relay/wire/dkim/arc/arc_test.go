package arc_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tenma/relay/wire/dkim"
	"tenma/relay/wire/dkim/arc"
	"tenma/relay/wire/header"
)

// rsaKey is made once: it takes its time.
var rsaKey = sync.OnceValue(func() crypto.Signer {
	k, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		panic(err)
	}
	return k
})

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func edKey() crypto.Signer {
	_, k, err := ed25519.GenerateKey(zeros{})
	if err != nil {
		panic(err)
	}
	return k
}

// zone is the DNS: hop.test with an RSA key, ed.test with an Ed25519 key.
func zone(_ context.Context, c *dkim.Claim) (*dkim.Key, error) {
	switch c.KeyName() {
	case "s._domainkey.hop.test":
		b, _ := x509.MarshalPKIXPublicKey(rsaKey().Public())
		return dkim.ParseKey("v=DKIM1; p=" + base64.StdEncoding.EncodeToString(b))
	case "s._domainkey.ed.test":
		return dkim.ParseKey("v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(edKey().Public().(ed25519.PublicKey)))
	case "s._domainkey.slow.test":
		return nil, &dkim.Fault{Result: dkim.TempError, Reason: "no answer"}
	}
	return nil, &dkim.Fault{Result: dkim.PermError, Reason: "no key"}
}

func validateWith(msg string, keys arc.Keys) (arc.Status, error) {
	section, body := header.Split([]byte(msg))
	c := arc.Read(section)
	var b dkim.Bodies
	var sum [sha256.Size]byte
	if m := c.Message(); m != nil {
		b.Want(m)
		b.Write(body)
		sum = b.Of(m)
	}
	return c.Validate(context.Background(), dkim.Index(section), sum, keys, time.Now())
}

func validate(msg string) (arc.Status, error) { return validateWith(msg, zone) }

// hop hands a message on as domain.
func hop(t testing.TB, msg, domain string, status arc.Status) string {
	t.Helper()
	section, body := header.Split([]byte(msg))
	h := dkim.NewBodyHash()
	h.Write(body)
	s := arc.Seal{
		Domain: domain, Selector: "s", Algorithm: "rsa-sha256", Time: time.Now(), Status: status,
		Results: "mx." + domain + ";\r\n\tspf=pass smtp.mailfrom=a.test", Names: []byte("From:From:Subject"), Body: h.Sum(),
	}
	for _, n := range []string{"From", "Subject"} {
		f, _ := section.Get(n)
		s.Fields = dkim.AppendRelaxed(s.Fields, f)
	}
	key, opts := rsaKey(), crypto.Hash(crypto.SHA256)
	if domain == "ed.test" {
		key, opts, s.Algorithm = edKey(), 0, "ed25519-sha256"
	}
	added, err := s.Append(nil, arc.Read(section), func(d [sha256.Size]byte) ([]byte, error) { return key.Sign(rand.Reader, d[:], opts) })
	if err != nil {
		t.Fatal(err)
	}
	return string(added) + msg
}

const letter = "From: Ann <a@a.test>\r\nSubject: hello  there\r\n\r\nbody \r\n\r\n"

// Chains of one and more hops, of both kinds of key, are whole.
func TestChain(t *testing.T) {
	msg := letter
	if s, err := validate(msg); s != arc.None || err != nil {
		t.Errorf("no chain: %q, %v", s, err)
	}
	status := arc.None
	for i, domain := range []string{"hop.test", "ed.test", "hop.test", "hop.test", "ed.test"} {
		msg = hop(t, "Received: by "+domain+"\r\n"+msg, domain, status)
		if s, err := validate(msg); s != arc.Pass {
			t.Errorf("after %d hops: %q, %v", i+1, s, err)
		}
		status = arc.Pass
	}
	c := arc.Read(header.Section(msg[:strings.Index(msg, "\r\n\r\n")+2]))
	if len(c.Sets) != 5 || c.Sets[1].Sealer() != "ed.test" {
		t.Errorf("%d sets", len(c.Sets))
	}
}

// Each way to break a chain breaks it.
func TestBroken(t *testing.T) {
	one := hop(t, letter, "hop.test", arc.None)
	two := hop(t, one, "ed.test", arc.Pass)
	cut := func(msg, name string, n int) string { // without a field of the nth set
		var b strings.Builder
		section, body := header.Split([]byte(msg))
		for f := range section.Fields() {
			if !f.Is(name) || !strings.Contains(f.Text(), "i="+strconv.Itoa(n)+";") {
				b.Write(f.Raw)
			}
		}
		return b.String() + "\r\n" + string(body)
	}
	for _, c := range []struct{ why, msg, want string }{
		{"the body was changed", strings.Replace(two, "body", "buddy", 1), "body was changed"},
		{"a signed field was changed", strings.Replace(two, "hello", "goodbye", 1), "signature does not fit"},
		{"a second From", strings.Replace(two, "\r\nFrom:", "\r\nFrom: e@e.test\r\nFrom:", 1), "signature does not fit"},
		{"results of the first were changed", strings.Replace(two, "mx.hop.test", "mx.top.test", 1), "signature does not fit"},
		{"results of the second were changed", strings.Replace(two, "mx.ed.test", "mx.id.test", 1), "signature does not fit"},
		{"results of the only one were changed", strings.Replace(one, "mx.hop.test", "mx.top.test", 1), "signature does not fit"},
		{"no seal", cut(two, "ARC-Seal", 2), "not whole"},
		{"no results", cut(two, "ARC-Authentication-Results", 2), "not whole"},
		{"no signature", cut(one, "ARC-Message-Signature", 1), "not whole"},
		{"the first is missing", cut(cut(cut(two, "ARC-Seal", 1), "ARC-Message-Signature", 1), "ARC-Authentication-Results", 1), "not whole"},
		{"a field twice", "ARC-Authentication-Results: i=2; x; none\r\n" + two, "twice"},
		{"a field without a number", "ARC-Seal: a=x\r\n" + two, "instance"},
		{"number 0", "ARC-Seal: i=0\r\n" + two, "instance"},
		{"number 51", "ARC-Authentication-Results: i=51; x; none\r\n" + two, "more than 50"},
		{"not a number", "ARC-Authentication-Results: i=two; x; none\r\n" + two, "instance"},
		{"the first passes already", hop(t, letter, "hop.test", arc.Pass), "claims"},
		{"the second is the first", hop(t, one, "hop.test", arc.None), "claims"},
		{"told broken", hop(t, one, "hop.test", arc.Fail), "failed before"},
		{"told broken, then not", strings.Replace(hop(t, two, "hop.test", arc.Pass), "i=2; a=ed25519-sha256; cv=pass", "i=2; a=ed25519-sha256; cv=fail", 1), "claims"},
		{"another's key", hop(t, letter, "other.test", arc.None), "no key"},
		{"fields named in a seal", strings.Replace(one, "cv=none;", "cv=none; h=From;", 1), "names fields"},
		{"the seal is signed", strings.Replace(one, "h=From:", "h=ARC-Seal:From:", 1), "names fields"},
	} {
		if s, err := validate(c.msg); s != arc.Fail || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q, %v", c.why, s, err)
		}
	}
	// A key that cannot be had now is no reason to call the chain broken.
	if s, err := validate(hop(t, letter, "slow.test", arc.None)); s != "" || err == nil {
		t.Errorf("no answer: %q, %v", s, err)
	}
}

// A message on which nothing more can be said gets no set: one that was told
// broken, and one with as many as there may be.
func TestNothingToAdd(t *testing.T) {
	broken := hop(t, hop(t, letter, "hop.test", arc.None), "hop.test", arc.Fail)
	if hop(t, broken, "hop.test", arc.Fail) != broken {
		t.Error("a set behind one that told the chain broken")
	}
	full := "ARC-Seal: i=50; cv=pass\r\n" + letter
	if hop(t, full, "hop.test", arc.Fail) != full {
		t.Error("a 51st set")
	}
}

// A broken chain is sealed as broken: the new seal is over its own set alone, so
// that it fits whatever stands before it (RFC 8617 section 5.1.2).
func TestSealOfBroken(t *testing.T) {
	for n, msg := range map[int]string{
		2: hop(t, strings.Replace(hop(t, letter, "ed.test", arc.None), "body", "buddy", 1), "hop.test", arc.Fail),
		4: hop(t, "ARC-Seal: i=3; a=junk\r\n"+letter, "hop.test", arc.Fail),
	} {
		sealOfBroken(t, msg, n)
	}
}

func sealOfBroken(t *testing.T, msg string, n int) {
	t.Helper()
	section, _ := header.Split([]byte(msg))
	// The same set as the only one of a message, with another number and status,
	// cannot be validated, so its seal is looked at by itself.
	seal, _ := section.Get("ARC-Seal")
	results, _ := section.Get("ARC-Authentication-Results")
	message, _ := section.Get("ARC-Message-Signature")
	claim, err := dkim.ReadFieldClaim(seal)
	if err != nil {
		t.Fatal(err)
	}
	k, _ := zone(t.Context(), claim)
	if err := claim.VerifyField(k, dkim.AppendRelaxed(dkim.AppendRelaxed(nil, results), message)); err != nil {
		t.Error(err)
	}
	if c := arc.Read(section); c.Last != n {
		t.Errorf("highest number %d", c.Last)
	}
}

// An error of the key is handed on, and nothing is added.
func TestUnusableKey(t *testing.T) {
	s := arc.Seal{Domain: "a.test", Selector: "s", Algorithm: "rsa-sha256", Status: arc.None}
	for fail := range 2 {
		n, broken := 0, errors.New("no key")
		got, err := s.Append([]byte("x"), arc.Read(nil), func([sha256.Size]byte) ([]byte, error) {
			if n++; n > fail {
				return nil, broken
			}
			return []byte("ok"), nil
		})
		if !errors.Is(err, broken) || string(got) != "x" {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// Chains that other software made are whole (testdata/README.md).
func TestForeign(t *testing.T) {
	files, err := filepath.Glob("testdata/*.eml")
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	record, err := os.ReadFile("testdata/key.txt")
	if err != nil {
		t.Fatal(err)
	}
	keys := func(context.Context, *dkim.Claim) (*dkim.Key, error) {
		return dkim.ParseKey(string(bytes.TrimSpace(record)))
	}
	for _, name := range files {
		msg, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := validateWith(string(msg), keys); s != arc.Pass {
			t.Errorf("%s: %q, %v", name, s, err)
		}
		if s, _ := validateWith(string(msg)+"more\r\n", keys); s != arc.Fail {
			t.Errorf("%s with more in its body: %q", name, s)
		}
	}
}

// FuzzChain: nothing from outside breaks the reader, and what is not whole gets a
// set that says so.
func FuzzChain(f *testing.F) {
	one := hop(f, letter, "ed.test", arc.None)
	f.Add([]byte(one))
	f.Add([]byte(hop(f, one, "ed.test", arc.Pass)))
	f.Add([]byte("ARC-Seal: i=1; cv=none; a=rsa-sha256; b=AA; d=a; s=b\r\nARC-Message-Signature: i=1; h=; bh=; b=; a=; d=; s=\r\nARC-Authentication-Results: i=1; x\r\n\r\n"))
	f.Add([]byte("arc-seal: i = 7\r\n\r\n"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		status, err := validate(string(msg))
		if (status == arc.Fail || status == "") != (err != nil) {
			t.Fatalf("%q, %v", status, err)
		}
		if status == "" {
			return
		}
		next := hop(t, string(msg), "ed.test", status)
		section, body := header.Split(msg)
		if status == arc.Fail || body == nil || section.Count("From") != 1 || section.Count("Subject") != 1 || section[0] == ' ' || section[0] == '\t' {
			return // not what hop is made for
		}
		if s, err := validate(next); s != arc.Pass && len(arc.Read(section).Sets) < arc.MaxSets {
			t.Errorf("one more hop: %q, %v\n%q", s, err, next)
		}
	})
}
