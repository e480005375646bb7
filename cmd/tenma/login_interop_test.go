//go:build interop

package main

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestInteropLogin lets swaks log in as a stranger's client would: over STARTTLS
// it works with each mechanism, without TLS it is neither offered nor taken, a
// wrong password and an unknown name get the same answer, and nothing is relayed
// without a login in any of the classic forms.
func TestInteropLogin(t *testing.T) {
	t.Parallel()
	dir, addr, bin := t.TempDir(), freePort(t, "127.0.0.1"), binary(t)
	extra := fmt.Sprintf(`[[listen]]
protocol = "smtp"
address = %q
tls = "starttls"
auth = "optional"
relay_from = []
[[domain]]
name = "ours.test"
[[route]]
domain = "*"
to = "discard"
`, addr)
	relay := startRelay(t, bin, dir, freePort(t, "127.0.0.1"), extra)
	add := exec.Command(bin, "user", "add", "ann@ours.test", "-c", filepath.Join(dir, "tenma.toml"))
	add.Stdin = strings.NewReader("correct horse\n")
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("user add: %v\n%s", err, out)
	}
	host, port, _ := net.SplitHostPort(addr)
	swaks := func(args ...string) string {
		out, _ := exec.Command("swaks", append([]string{"--server", host, "--port", port, "--from", "ann@ours.test"}, args...)...).CombinedOutput()
		return string(out)
	}
	const name, word = "ann@ours.test", "correct horse"
	for _, mechanism := range []string{"PLAIN", "LOGIN"} {
		if out := swaks("--to", "b@dst.test", "--tls", "--auth", mechanism, "--auth-user", name, "--auth-password", word); !strings.Contains(out, "~ 250 2.0.0") && !strings.Contains(out, "<~  250 2.0.0") {
			t.Errorf("%s over TLS:\n%s", mechanism, out)
		}
	}
	out := swaks("--to", "b@dst.test", "--auth", "PLAIN", "--auth-user", name, "--auth-password", word)
	if !strings.Contains(out, "Host did not advertise authentication") {
		t.Errorf("AUTH without TLS:\n%s", out)
	}
	answer := func(user, password string) string {
		for line := range strings.Lines(swaks("--to", "b@dst.test", "--tls", "--auth", "PLAIN", "--auth-user", user, "--auth-password", password)) {
			if _, text, ok := strings.Cut(line, "535 "); ok {
				return text
			}
		}
		return ""
	}
	if wrong, unknown := answer(name, "wrong"), answer("nobody@ours.test", "wrong"); wrong == "" || wrong != unknown {
		t.Errorf("a wrong password gets %q, an unknown name %q", wrong, unknown)
	}
	for _, to := range []string{"b@dst.test", "b%dst.test@ours.test", "dst.test!b@ours.test", `"b@dst.test"@ours.test`, "@ours.test:b@dst.test", "b@[127.0.0.1]"} {
		if out := swaks("--to", to); !strings.Contains(out, "<** 55") {
			t.Errorf("a stranger relays to %s:\n%s", to, out)
		}
	}
	relay.term()
}
