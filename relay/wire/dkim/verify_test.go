package dkim_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	oracle "github.com/emersion/go-msgauth/dkim"

	"tenma/relay/wire/dkim"
	"tenma/relay/wire/header"
)

// keys are made once: RSA takes its time.
var keys = sync.OnceValue(func() map[string]crypto.Signer {
	r, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		panic(err)
	}
	_, e, err := ed25519.GenerateKey(zeros{})
	if err != nil {
		panic(err)
	}
	return map[string]crypto.Signer{"rsa": r, "ed25519": e}
})

// record is what the DNS has of a key.
func record(kind string) string {
	octets, err := x509.MarshalPKIXPublicKey(keys()[kind].Public())
	if err != nil {
		panic(err)
	}
	if e, ok := keys()[kind].Public().(ed25519.PublicKey); ok {
		octets = e
	}
	return "v=DKIM1; k=" + kind + "; p=" + base64.StdEncoding.EncodeToString(octets)
}

// verify is the whole of a verification, of the first signature of a message.
func verify(msg, record string) error {
	section, body := header.Split([]byte(msg))
	f, ok := section.Get("DKIM-Signature")
	if !ok {
		return errors.New("no signature")
	}
	c, err := dkim.ReadClaim(f)
	if err != nil {
		return err
	}
	k, err := dkim.ParseKey(record)
	if err != nil {
		return err
	}
	var b dkim.Bodies
	b.Want(c)
	b.Write(body)
	return c.Verify(k, dkim.Index(section), b.Of(c), time.Now())
}

func sign(t testing.TB, kind, canon, msg string, change func(*oracle.SignOptions)) string {
	t.Helper()
	head, body, _ := strings.Cut(canon, "/")
	o := &oracle.SignOptions{
		Domain: "b.test", Selector: "s", Signer: keys()[kind],
		HeaderCanonicalization: oracle.Canonicalization(head), BodyCanonicalization: oracle.Canonicalization(body),
	}
	if change != nil {
		change(o)
	}
	var out strings.Builder
	if err := oracle.Sign(&out, strings.NewReader(msg), o); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

const letter = "Received: by x\r\nFrom:  Ann <a@b.test>\r\nTo: c@d.test,\r\n\te@f.test\r\nSubject: a  b \r\nX-Same: 1\r\nX-Same: 2\r\n\r\nHello,  you\r\n\r\n bye \r\n\r\n\r\n"

// What go-msgauth signs is verified, in each form; and what is changed is not.
func TestVerify(t *testing.T) {
	for kind := range keys() {
		for _, canon := range []string{"simple/simple", "relaxed/simple", "simple/relaxed", "relaxed/relaxed"} {
			signed := sign(t, kind, canon, letter, nil)
			if err := verify(signed, record(kind)); err != nil {
				t.Errorf("%s, %s: %v", kind, canon, err)
			}
			for _, c := range []struct{ why, from, to, want string }{
				{"subject", "a  b", "a  c", "signature does not fit"},
				{"from", "a@b.test>", "z@b.test>", "signature does not fit"},
				{"body", "bye", "buy", "body was changed"},
				{"a field of the same name behind the last", "X-Same: 2", "X-Same: 2\r\nX-Same: 3", "signature does not fit"},
				{"the signature", "; b=", "; b=AAAA", "signature does not fit"},
				{"the selector", "s=s;", "s=x;", "signature does not fit"},
			} {
				changed := strings.Replace(signed, c.from, c.to, 1)
				if c.why == "the signature" {
					changed = strings.Replace(signed, " b=", " b=AAAA", 1)
				}
				if err := verify(changed, record(kind)); err == nil || changed != signed && !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s, %s, %s was changed: %v", kind, canon, c.why, err)
				}
			}
			loose := strings.NewReplacer("Hello,  you", "Hello,\t you ", "Subject: a  b", "SUBJECT :a b").Replace(signed)
			if err := verify(loose, record(kind)); (err == nil) != (canon == "relaxed/relaxed") {
				t.Errorf("%s, %s with other white space: %v", kind, canon, err)
			}
		}
	}
}

// A field that is signed once more than it is there cannot be added.
func TestOversigned(t *testing.T) {
	signed := sign(t, "ed25519", "relaxed/relaxed", letter, func(o *oracle.SignOptions) { o.HeaderKeys = []string{"From", "From", "Subject"} })
	if err := verify(signed, record("ed25519")); err != nil {
		t.Fatal(err)
	}
	if err := verify(strings.Replace(signed, "From: ", "From: eve@b.test\r\nFrom: ", 1), record("ed25519")); err == nil {
		t.Error("a second From was added")
	}
	if err := verify(strings.Replace(signed, "From: ", "To: eve@b.test\r\nFrom: ", 1), record("ed25519")); err != nil {
		t.Error("a field was added that is not signed:", err)
	}
}

func manyTags() string {
	var b strings.Builder
	for i := range 64 {
		fmt.Fprintf(&b, "x%d=; ", i)
	}
	return b.String()
}

func TestClaimFaults(t *testing.T) {
	good := sign(t, "ed25519", "relaxed/relaxed", letter, nil)
	short := "v=DKIM1; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALRRG7jQPmBGHAjHSmEsVPcLmG1aQnLlHGr7WlPr2x9mZ2y1lN0b0L3Kk9hD9mG0oQkJ5n6pnvE2l3Z5j1m8kF0CAwEAAQ=="
	octets, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 8192, 1), E: 65537})
	if err != nil {
		t.Fatal(err)
	}
	large := "v=DKIM1; p=" + base64.StdEncoding.EncodeToString(octets)
	for _, c := range []struct{ why, from, to, record, want string }{
		{"version", "v=1", "v=2", "", "neutral"},
		{"no version", " v=1;", "", "", "neutral"},
		{"sha1", "a=ed25519-sha256", "a=rsa-sha1", "", "policy"},
		{"unknown algorithm", "a=ed25519-sha256", "a=x-sha256", "", "neutral"},
		{"unknown form", "c=relaxed/relaxed", "c=relaxed/x", "", "neutral"},
		{"twice", "v=1;", "v=1; v=1;", "", "neutral"},
		{"no tag", "v=1;", "v=1; x y;", "", "neutral"},
		{"length", "v=1;", "v=1; l=3;", "", "policy"},
		{"expired", "v=1;", "v=1; x=12345;", "", "fail"},
		{"expires before it was made", " t=", " x=4000000000; t=9", "", "neutral"},
		{"too many names", " h=", " h=" + strings.Repeat("a:", 1000), "", "neutral"},
		{"signature too long", "v=1;", "v=1;", "", "neutral"},
		{"too many tags", "v=1;", "v=1; " + manyTags(), "", "neutral"},
		{"key too large", "", "", large, "policy"},
		{"time", "v=1;", "v=1; x=1234567890123;", "", "neutral"},
		{"identity below", "v=1;", "v=1; i=x@y.b.test;", "", "fail"}, // was not signed with it
		{"identity elsewhere", "v=1;", "v=1; i=x@xb.test;", "", "neutral"},
		{"query", "v=1;", "v=1; q=carrier/pigeon;", "", "neutral"},
		{"from not signed", "From:", "Xrom:", "", "permerror"},
		{"domain", "d=b.test", "d=[192.0.2.1]", "", "neutral"},
		{"selector", "s=s", "s=..", "", "neutral"},
		{"body hash", "bh=", "bh=QUJD; z=", "", "neutral"},
		{"revoked", "", "", "v=DKIM1; p=", "permerror"},
		{"no key", "", "", "v=DKIM1", "permerror"},
		{"version of the key", "", "", "v=DKIM2; p=x", "permerror"},
		{"not base64", "", "", "v=DKIM1; p=~", "permerror"},
		{"not RSA", "", "", "v=DKIM1; p=QUJD", "permerror"},
		{"not Ed25519", "", "", "v=DKIM1; k=ed25519; p=QUJD", "permerror"},
		{"another kind", "", "", record("rsa"), "permerror"},
		{"another hash", "", "", record("ed25519") + "; h=sha1", "permerror"},
		{"another service", "", "", record("ed25519") + "; s=fax", "permerror"},
		{"too weak", "", "", short, "policy"},
		{"too long", "", "", record("ed25519") + "; n=" + strings.Repeat("x", 1<<14), "permerror"},
	} {
		head, body, _ := strings.Cut(good, "\r\n\r\n")
		field, rest, _ := strings.Cut(head, "\r\nReceived")
		if c.why == "from not signed" {
			field = strings.ReplaceAll(field, "From", "Xrom")
		}
		changed := strings.Replace(field, c.from, c.to, 1) + "\r\nReceived" + rest + "\r\n\r\n" + body
		if c.why == "signature too long" {
			changed = strings.Replace(changed, " b=", " b="+strings.Repeat("AAAA", 400), 1)
		}
		if c.record == "" {
			c.record = record("ed25519")
		}
		err := verify(changed, c.record)
		if f, ok := errors.AsType[*dkim.Fault](err); !ok || string(f.Result) != c.want {
			t.Errorf("%s: %v, not %s", c.why, err, c.want)
		}
	}
}

// A key that is for its own domain alone does not vouch for identities below.
func TestStrictKey(t *testing.T) {
	signed := sign(t, "ed25519", "relaxed/relaxed", letter, func(o *oracle.SignOptions) { o.Identifier = "x@y.b.test" })
	if err := verify(signed, record("ed25519")+"; t=y"); err != nil {
		t.Error(err)
	}
	if err := verify(signed, record("ed25519")+"; t=y:s"); err == nil {
		t.Error("passed")
	}
}

// An identity is of the domain in whatever form it is written.
func TestIdentity(t *testing.T) {
	for identity, want := range map[string]bool{
		`"x@y"@b.test`: true, "@B.test": true, "x@bücher.b.test": true, "b.test": false, "x@[192.0.2.1]": false, `x@b.test@e.test`: false,
	} {
		err := verify(sign(t, "ed25519", "relaxed/relaxed", letter, func(o *oracle.SignOptions) { o.Identifier = identity }), record("ed25519"))
		if (err == nil) != want {
			t.Errorf("%s: %v", identity, err)
		}
	}
	signed := sign(t, "ed25519", "relaxed/relaxed", letter, func(o *oracle.SignOptions) { o.Domain, o.Identifier = "xn--bcher-kva.test", "x@bücher.test" })
	if err := verify(signed, record("ed25519")+"; t=s"); err != nil {
		t.Error("in U-labels:", err)
	}
}

// Both forms in which RSA keys are published are read.
func TestKeyForms(t *testing.T) {
	p := base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(keys()["rsa"].Public().(*rsa.PublicKey)))
	k, err := dkim.ParseKey("p=" + p[:20] + " \t" + p[20:] + "; t=y")
	if err != nil || !k.Testing {
		t.Error(err)
	}
}

func simpleHash(body string, n int) [sha256.Size]byte {
	b := dkim.NewSimpleHash()
	for len(body) > n {
		b.Write([]byte(body[:n]))
		body = body[n:]
	}
	b.Write([]byte(body))
	return b.Sum()
}

func TestSimple(t *testing.T) {
	for _, c := range []struct{ body, canonical string }{
		{"", "\r\n"},
		{"\r\n", "\r\n"},
		{"\r\n\r\n\r\n", "\r\n"},
		{"a", "a\r\n"},
		{" a \r\n\r\n b\r\n\r\n", " a \r\n\r\n b\r\n"},
		{"a\r", "a\r\r\n"},
		{"a\r\r\n\r\n", "a\r\r\n"},
		{"a\n\r\n\nb\r\n", "a\n\r\n\nb\r\n"},
		{"\r\n\r\na\r\n \r\n", "\r\n\r\na\r\n \r\n"},
	} {
		for n := 1; n <= max(1, len(c.body)); n++ {
			if simpleHash(c.body, n) != sha256.Sum256([]byte(c.canonical)) {
				t.Errorf("%q in pieces of %d: not the hash of %q", c.body, n, c.canonical)
			}
		}
	}
}

// FuzzVerify changes a signed message: what passes here passes with go-msgauth,
// and the other way round but for what one of us is stricter about.
func FuzzVerify(f *testing.F) {
	for _, canon := range []string{"simple/simple", "relaxed/relaxed"} {
		signed := sign(f, "ed25519", canon, letter, nil)
		f.Add([]byte(signed), record("ed25519"))
		f.Add([]byte(strings.Replace(signed, "bye", "buy", 1)), record("ed25519"))
		f.Add([]byte(strings.Replace(signed, " v=1", " v=1; i=@b.test", 1)), record("ed25519")+"; t=s")
	}
	f.Add([]byte("DKIM-Signature: v=1; a=rsa-sha256; b=AA; bh=; d=x; s=y; h=From::\r\n\r\n"), record("rsa"))
	f.Fuzz(func(t *testing.T, msg []byte, record string) {
		// Line ends in the spool are whole.
		msg = bytes.ReplaceAll(bytes.ReplaceAll(msg, []byte("\r"), nil), []byte("\n"), []byte("\r\n"))
		ours := verify(string(msg), record)
		theirs, err := oracle.VerifyWithOptions(bytes.NewReader(msg), &oracle.VerifyOptions{
			LookupTXT: func(string) ([]string, error) { return []string{record}, nil }, MaxVerifications: 1,
		})
		if ours == nil && (err != nil && !errors.Is(err, oracle.ErrTooManySignatures) || len(theirs) == 0 || theirs[0].Err != nil) {
			t.Errorf("passes only with us: %v, %v\n%q\n%q", err, fmt.Sprint(theirs), msg, record)
		}
	})
}
