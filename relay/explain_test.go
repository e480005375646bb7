package relay

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"tenma/dnscache"
	"tenma/dnscache/dnstest"
	"tenma/relay/config"
	"tenma/relay/mail"
	"tenma/relay/policy/dkim"
	"tenma/relay/policy/dkim/rotation"
	"tenma/relay/policy/route"
	"tenma/relay/wire/smtp"
)

var update = flag.Bool("update", false, "write golden files anew")

const explainConfig = `
hostname = "relay.test"
data_dir = "data"
[[listen]]
protocol = "smtp"
address = "127.0.0.1:2525"
[delivery]
own = ["mx.nat.test", "198.51.100.99"]
delay_notice = "4h"
[[domain]]
name = "here.test"
[[route]]
domain = "*.corp.test"
to = "smtp://smart.test:587"
user = "u"
password = "p"
tls = "verified"
[[route]]
domain = "drop.test"
to = "discard"
`

const explainZone = `
two.test.        3600 MX 20 b.two.test.
two.test.        3600 MX 10 a.two.test.
two.test.        3600 MX 10 z.two.test.
a.two.test.      300 A 192.0.2.1
a.two.test.      300 AAAA 2001:db8::1
b.two.test.      300 A 192.0.2.2
b.two.test.      300 A 10.0.0.1
alias.test.      300 CNAME bare.test.
bare.test.       300 A 192.0.2.7
null.test.       300 MX 0 .
mixed.test.      300 MX 0 .
mixed.test.      300 MX 5 localhost.
mixed.test.      300 MX 6 192.0.2.77.
mixed.test.      300 MX 10 bare.test.
backup.test.     300 MX 10 a.two.test.
backup.test.     300 MX 20 mx.nat.test.
backup.test.     300 MX 30 b.two.test.
loop.test.       300 MX 10 hidden.test.
hidden.test.     300 A 198.51.100.99
inside.test.     300 MX 10 in.inside.test.
in.inside.test.  300 A 192.168.1.1
gone.test.       300 MX 10 nowhere.test.
bad.test.        300 MX 10 bad-host.test.
xn--bcher-kva.test. 300 MX 10 bare.test.
smart.test.      300 A 192.0.2.50
relay.test.      300 A 198.51.100.25
25.100.51.198.in-addr.arpa. 300 PTR relay.test.
26.100.51.198.in-addr.arpa. 300 PTR other.test.
`

// TestExplain compares what is told of each domain with the golden file: what a
// postmaster reads when mail does not go where it should.
func TestExplain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.toml")
	if err := os.WriteFile(path, []byte(explainConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	synctest.Test(t, func(t *testing.T) {
		server := dnstest.New(explainZone)
		server.Misbehave("MX sick.test", dnstest.Manner{Fault: dnstest.ServFail})
		server.Misbehave("bad-host.test", dnstest.Manner{Fault: dnstest.ServFail})
		c := complete(c)
		c.DNS = dnscache.Config{Servers: []string{"127.0.0.1:53"}, Dial: server.Dial}
		dns, err := dnscache.New(c.DNS, dnscache.Deps{})
		if err != nil {
			t.Fatal(err)
		}
		x := explainer{config: c, dns: dns, router: route.New(c.Route, dns, nil), outbound: func(mail.Source) []netip.Addr {
			return []netip.Addr{netip.MustParseAddr("198.51.100.25"), netip.MustParseAddr("198.51.100.26"), netip.MustParseAddr("198.51.100.27")}
		}}
		for _, target := range []string{
			"two.test", "alias.test", "jörg@bücher.test", "null.test", "mixed.test", "backup.test", "loop.test", "inside.test", "gone.test", "bad.test",
			"sick.test", "nowhere.test", "x.corp.test", "drop.test", "here.test", "postmaster", "[192.0.2.9]", "[127.0.0.1]",
		} {
			a, err := x.explain(t.Context(), target, "")
			if err != nil {
				t.Fatalf("%s: %v", target, err)
			}
			fmt.Fprintf(&out, "== %s: %s %s\n", target, a.Fate, a.Reply)
			for _, s := range a.Steps {
				if target != "two.test" && (s.Step == "limit" || s.Step == "ptr" || s.Step == "retry") {
					continue // as in the first
				}
				fmt.Fprintf(&out, "%-7s | %s\n        | %s\n", s.Step, s.Found, s.Why)
			}
		}
		a, err := x.explain(t.Context(), "backup.test", "")
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.MarshalIndent(a, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "== JSON of backup.test\n%s\n", text)
		for _, target := range []string{"", "two words", "a@b@c", "x@", "-.test"} {
			if _, err := x.explain(t.Context(), target, ""); err == nil {
				t.Errorf("%q is explained", target)
			}
		}
	})
	const golden = "testdata/explain.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(out.String(), "\n")); d != "" {
		t.Errorf("-want +got (go test ./relay -run TestExplain -update writes it anew):\n%s", d)
	}
}

// What is told of signatures is by the keys there are, and by whose they are.
func TestExplainSigned(t *testing.T) {
	const to = "[[route]]\ndomain = \"ip.test\"\nto = \"smtp://192.0.2.50:2525\"\n" // of which no DNS is asked
	const keys = "[[dkim]]\ndomain = \"a.test\"\n[[dkim]]\ndomain = \"b.test\"\n"
	for _, c := range []struct{ more, tenant, want string }{
		{"", "", "signed nothing"},
		{keys, "", "signed From of a.test, b.test"},
		{keys + "[[tenant]]\nname = \"t\"\ndomains = [\"a.test\", \"x.a.test\"]\n", "", "signed From of b.test"},
		{keys + "[[tenant]]\nname = \"t\"\ndomains = [\"a.test\", \"b.test\"]\n", "", "signed nothing of senders without a tenant"},
		{keys + "[[tenant]]\nname = \"t\"\ndomains = [\"x.a.test\", \"a.test\"]\n", "t", "sender x.a.test signed as a.test, sender a.test signed as a.test"},
		{keys + "[[tenant]]\nname = \"t\"\ndomains = [\"x.a.test\"]\n", "t", "sender x.a.test unsigned: no [[dkim]] is for it"},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "relay.toml")
		if err := os.WriteFile(path, []byte(explainConfig+to+c.more), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(dir, "data", "dkim"), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, d := range []smtp.Domain{"a.test", "b.test"} {
			if _, err := dkim.Generate(dkim.Ed25519, 0, rotation.Path(filepath.Join(dir, "data", "dkim"), d, "s")); err != nil {
				t.Fatal(err)
			}
		}
		loaded, _, err := config.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		x := explainer{config: complete(loaded), router: route.New(loaded.Route, nil, nil)}
		a, err := x.explain(t.Context(), "ip.test", c.tenant)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range a.Steps {
			switch s.Step {
			case "signed":
				got = append(got, "signed "+s.Found)
			case "sender":
				_, signed, _ := strings.Cut(s.Why, "; ")
				got = append(got, "sender "+s.Found+" "+signed)
			}
		}
		if text := strings.Join(got, ", "); text != c.want {
			t.Errorf("%q, tenant %q: %s, not %s", c.more, c.tenant, text, c.want)
		}
	}
}
