package scenario

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"tenma/bench/load"
)

// signing gives what signs a message with the place's key; every n-th is changed
// afterwards.
func signing(t *testing.T, p Place, n int) func([]byte) []byte {
	t.Helper()
	text, err := os.ReadFile(p.file("dkim-rsa.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	done := 0
	return func(message []byte) []byte {
		var out bytes.Buffer
		options := &dkim.SignOptions{Domain: "src.test", Selector: "s1", Signer: crypto.Signer(key), HeaderKeys: []string{"From"}}
		if err := dkim.Sign(&out, bytes.NewReader(message), options); err != nil {
			t.Error(err)
		}
		if done++; done%n == 0 {
			out.WriteString("more\r\n")
		}
		return out.Bytes()
	}
}

// Each signature is verified, and a server that signs wrongly or not at all is
// told of, with what it did.
func TestRunVerify(t *testing.T) {
	t.Parallel()
	good, bad, none := &fake{name: "good"}, &fake{name: "bad"}, &fake{name: "none"}
	r, out := runner(t, "dkim rsa\nverify 30\nsource sessions=2 per-session=10 size=1KiB count=30\nwait idle=10s most=60s", good, bad, none)
	good.sign, bad.sign = signing(t, r.Place, 1000), signing(t, r.Place, 10)
	all, err := r.Run(t.Context())
	if err != nil || len(all) != 3 {
		t.Fatalf("%d results, %v\n%s", len(all), err, out)
	}
	for i, want := range []float64{30, 27, 0} {
		x := r.kept(t)[i]
		bad, told := x.Extra["signatures_bad"]
		if x.Extra["signatures_verified"] != want || bad != 30-want || !told {
			t.Errorf("%s: %v", x.MTA, x.Extra)
		}
	}
	for _, line := range []string{"bad: 3 messages of 30 have no signature", "none: 30 messages of 30 have no signature"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("nobody says %q:\n%s", line, out)
		}
	}
	if strings.Contains(out.String(), "\n  good: ") {
		t.Errorf("complaints of the good one:\n%s", out)
	}
}

// Only so many are kept; those that should be there and are not count as bad; the
// folder is gone afterwards.
func TestVerifyKept(t *testing.T) {
	p := Place{Work: t.TempDir()}
	if err := p.keys(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		delivered     int64
		verified, bad float64
	}{{2, 2, 0}, {5, 2, 1}, {0, 2, 0}} {
		u := &turn{Runner: &Runner{Place: p, Scenario: Scenario{DKIM: "rsa", Verify: 3}}}
		if err := u.keepMessages(); err != nil {
			t.Fatal(err)
		}
		if words := strings.Join(u.keepWords(), " "); words != "store="+u.kept+" store-max=3 store-late" {
			t.Errorf("%q", words)
		}
		sign := signing(t, p, 1000)
		for _, name := range []string{"r.1.eml", "r.2.eml"} {
			if err := os.WriteFile(filepath.Join(u.kept, name), sign([]byte("From: a@src.test\r\n\r\nx\r\n")), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		results := []load.Result{{Delivered: 9}, {Delivered: c.delivered}}
		err := u.verify(t.Context(), results)
		if x := results[1].Extra; x["signatures_verified"] != c.verified || x["signatures_bad"] != c.bad || (err != nil) != (c.bad > 0) || results[0].Extra != nil {
			t.Errorf("of %d delivered: %v, %v", c.delivered, x, err)
		}
		if _, err := os.Stat(u.kept); !os.IsNotExist(err) {
			t.Errorf("the folder is still there: %v", err)
		}
	}
	if u := (&turn{Runner: &Runner{}}); u.keepMessages() != nil || u.kept != "" || u.keepWords() != nil || u.verify(t.Context(), nil) != nil {
		t.Error("messages are kept that nobody asked for")
	}
}
