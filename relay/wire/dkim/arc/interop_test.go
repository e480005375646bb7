//go:build interop

package arc_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tenma/relay/wire/dkim"
	"tenma/relay/wire/dkim/arc"
)

// dkimpyHop seals as next.test, and tells whether the chain was whole before and is
// after.
const dkimpyHop = `
import dkim, sys
key, record, host = open(sys.argv[1], 'rb').read(), sys.argv[2].encode(), sys.argv[3].encode()
msg = sys.stdin.buffer.read()
dns = lambda name, timeout=5: record
before, _, why = dkim.arc_verify(msg, dnsfunc=dns)
results = b'Authentication-Results: ' + host + b'; arc=' + before + b'\r\n'
sealed = b''.join(dkim.arc_sign(results + msg, b's', b'next.test', key, host)) + results + msg
after, _, why = dkim.arc_verify(sealed, dnsfunc=dns)
sys.stderr.write('%s %s' % ((before or b'none').decode(), (after or b'none').decode()))
sys.stdout.buffer.write(sealed)
`

// TestInteropDkimpy hands a message to and fro between dkimpy and us: each finds the
// other's chain whole at every hop, and broken when the body was changed.
func TestInteropDkimpy(t *testing.T) {
	der, err := x509.MarshalPKIXPublicKey(rsaKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	record := "v=DKIM1; p=" + base64.StdEncoding.EncodeToString(der)
	file := filepath.Join(t.TempDir(), "key.pem")
	private, err := x509.MarshalPKCS8PrivateKey(rsaKey())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600); err != nil {
		t.Fatal(err)
	}
	hops := 0
	dkimpy := func(msg string) (sealed, said string) {
		hops++
		var errs strings.Builder
		c := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", dkimpyHop, file, record, fmt.Sprintf("mx%d.next.test", hops))
		c.Stdin, c.Stderr = strings.NewReader(msg), &errs
		out, err := c.Output()
		if err != nil {
			t.Fatal(err, errs.String())
		}
		return string(out), errs.String()
	}
	keys := alwaysKey(t, record)
	msg := letter
	for i := range 4 {
		var said string
		status := arc.None
		if i > 0 {
			status = arc.Pass
		}
		msg = hop(t, msg, "hop.test", status)
		if msg, said = dkimpy(msg); said != "pass pass" {
			t.Fatalf("hop %d: dkimpy finds %s", i, said)
		}
		if s, err := validateWith(msg, keys); s != arc.Pass {
			t.Fatalf("hop %d: of dkimpy's chain: %q, %v", i, s, err)
		}
	}
	if s, _ := validateWith(strings.Replace(msg, "body", "buddy", 1), keys); s != arc.Fail {
		t.Error("a changed body passes with us")
	}
	ours := hop(t, msg, "hop.test", arc.Pass)
	if _, said := dkimpy(strings.Replace(ours, "body", "buddy", 1)); !strings.HasPrefix(said, "fail") {
		t.Errorf("a changed body, says dkimpy: %s", said)
	}
	if _, said := dkimpy(strings.Replace(ours, "mx2.next.test", "mx2.text.test", 1)); !strings.HasPrefix(said, "fail") {
		t.Errorf("changed results, says dkimpy: %s", said)
	}
}

// alwaysKey gives the same key to everybody.
func alwaysKey(t *testing.T, record string) arc.Keys {
	t.Helper()
	k, err := dkim.ParseKey(record)
	if err != nil {
		t.Fatal(err)
	}
	return func(context.Context, *dkim.Claim) (*dkim.Key, error) { return k, nil }
}
