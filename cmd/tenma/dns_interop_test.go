//go:build interop

package main

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestInteropDNS publishes what "tenma dns records" prints, letter by letter, in
// zones that BIND's tools sign and Debian's unbound serves: "tenma dns check" has
// nothing against it. Then it publishes mistakes.
func TestInteropDNS(t *testing.T) {
	for _, tool := range []string{"/usr/sbin/unbound", "/usr/bin/dnssec-signzone", "/usr/bin/named-checkzone"} {
		if _, err := os.Stat(tool); err != nil {
			t.Skip("needs Debian's unbound and bind9-utils: ", err)
		}
	}
	p := newPeer(t)
	conf := p.write(t, "tenma.toml", `hostname = "mx1.d.test"
data_dir = "data"
[[listen]]
protocol = "imap"
address = "127.0.0.1:1993"
tls = "implicit"
[[listen]]
protocol = "smtp"
address = "127.0.0.1:1587"
auth = "required"
[[listen]]
protocol = "http"
address = "127.0.0.1:1080"
[[domain]]
name = "d.test"
[setup]
host = "mx1.d.test"
mta_sts = "off"
[[dkim]]
domain = "d.test"
`)
	tenma := func(args ...string) (out string, code int) {
		t.Helper()
		cmd := exec.Command(binary(t), append(args, "-c", conf)...)
		cmd.Dir = p.dir
		text, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return string(text), cmd.ProcessState.ExitCode()
	}
	for _, args := range [][]string{
		{"dkim", "new", "d.test"},
		{"dkim", "new", "d.test", "--algorithm", "ed25519"},
		{"dkim", "rotate", "d.test"},
	} {
		if out, code := tenma(args...); code != 0 {
			t.Fatalf("tenma %q: %s", args, out)
		}
	}
	at := []string{"--address", "192.0.2.25", "--address", "2001:db8::25"}
	records, code := tenma(append([]string{"dns", "records", "--zone", "d.test"}, at...)...)
	if code != 0 || strings.Count(records, "_domainkey") != 4 {
		t.Fatalf("records: %s", records)
	}
	var reverse strings.Builder
	for line := range strings.Lines(records) {
		if rest, ok := strings.CutPrefix(line, "; elsewhere: "); ok {
			reverse.WriteString(rest)
		}
	}
	serve := func(t *testing.T, records string) string {
		z := &zones{peer: newPeer(t)}
		z.add(t, "d.test", records, "20380101000000", nil)
		z.tool(t, "/usr/bin/named-checkzone", "-q", "d.test", "d.test")
		for _, name := range []string{"2.0.192.in-addr.arpa", "8.b.d.0.1.0.0.2.ip6.arpa"} {
			var own strings.Builder
			for line := range strings.Lines(reverse.String()) {
				if strings.Contains(line, name+". IN PTR") {
					own.WriteString(line)
				}
			}
			z.add(t, name, own.String(), "", nil)
		}
		z.conf += "  local-zone: \"2.0.192.in-addr.arpa.\" nodefault\n  local-zone: \"8.b.d.0.1.0.0.2.ip6.arpa.\" nodefault\n"
		return z.unbound(t, true)
	}
	check := func(server string) (string, int) {
		return tenma(append([]string{"dns", "check", "d.test", "--server", server}, at...)...)
	}

	out, code := check(serve(t, records))
	t.Logf("verbatim:\n%s", out)
	for _, bad := range []string{"WRONG", "MISSING", "NO ANSWER"} {
		if strings.Contains(out, bad) {
			t.Errorf("%s in what tenma said itself", bad)
		}
	}
	if code != 0 || strings.Count(out, "ok         DKIM") != 4 || strings.Count(out, "ok         PTR") != 2 || strings.Count(out, "advice") != 1 {
		t.Errorf("exit code %d, or not all was found right", code)
	}

	keyLine := ""
	for line := range strings.Lines(records) {
		if strings.Contains(line, "k=rsa") {
			keyLine = line
		}
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"second string lost":   {keyLine, keyLine[:strings.Index(keyLine, `" "`)] + "\" )\n", "WRONG      DKIM"},
		"two SPF records":      {"d.test. IN TXT ( \"v=spf1 mx", "d.test. IN TXT \"v=spf1 -all\"\nd.test. IN TXT ( \"v=spf1 mx", "WRONG      SPF"},
		"no DMARC":             {"_dmarc.", "x.", "MISSING    DMARC"},
		"MX leads elsewhere":   {"MX 10 mx1.d.test.", "MX 10 mx2.d.test.", "WRONG      MX"},
		"signatures of DNSSEC": {"", "", "NO ANSWER  SPF"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.old == "" {
				z := &zones{peer: newPeer(t)}
				z.add(t, "d.test", records, "20200102000000", nil)
				out, code := check(z.unbound(t, true))
				if code != 1 || !strings.Contains(out, c.want) {
					t.Errorf("exit code %d, no %q in\n%s", code, c.want, out)
				}
				return
			}
			if !strings.Contains(records, c.old) {
				t.Fatalf("no %q in the records", c.old)
			}
			out, code := check(serve(t, strings.Replace(records, c.old, c.new, 1)))
			if code != 1 || !strings.Contains(out, c.want) {
				t.Errorf("exit code %d, no %q in\n%s", code, c.want, out)
			}
		})
	}
}
