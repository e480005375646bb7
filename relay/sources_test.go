package relay

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tenma/dnscache"
	"tenma/dnscache/dnstest"
	"tenma/relay/config"
	"tenma/relay/mail"
)

// Each address that mail goes out from is told of once, when the relay starts:
// with a warning where receivers would hold something against it.
func TestCheckSources(t *testing.T) {
	const zone = `
relay.test.  300 A 198.51.100.1
relay.test.  300 AAAA 2001:db8::1
relay.test.  300 A 198.51.100.3
astray.test. 300 A 198.51.100.77
other.test.  300 A 198.51.100.3
alone.test.  300 A 198.51.100.4
1.100.51.198.in-addr.arpa. 300 PTR relay.test.
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 300 PTR Relay.Test.
2.100.51.198.in-addr.arpa. 300 PTR astray.test.
3.100.51.198.in-addr.arpa. 300 PTR other.test.
4.100.51.198.in-addr.arpa. 300 PTR alone.test.
`
	for address, want := range map[string]string{
		"198.51.100.1": `level=INFO msg="an address that mail goes out from has its name" source=default address=198.51.100.1 name=relay.test`,
		"2001:db8::1":  "level=INFO",
		"198.51.100.2": "its name does not lead back to it: add an address record 198.51.100.2 to astray.test",
		"198.51.100.3": "its name is not the EHLO name relay.test",
		"198.51.100.4": "the EHLO name relay.test does not lead to it",
		"198.51.100.5": "it has no PTR record",
		"198.51.100.6": "the DNS does not answer for it",
	} {
		synctest.Test(t, func(t *testing.T) {
			server := dnstest.New(zone)
			server.Misbehave("6.100.51.198.in-addr.arpa", dnstest.Manner{Fault: dnstest.ServFail})
			dns, err := dnscache.New(dnscache.Config{Servers: []string{"127.0.0.1:53"}, Dial: server.Dial}, dnscache.Deps{})
			if err != nil {
				t.Fatal(err)
			}
			c := &config.Config{}
			c.Route.Source = mail.Source{Name: "default", EHLO: "relay.test"}
			var out bytes.Buffer
			r := &Relay{config: c, dns: dns, log: slog.New(slog.NewTextHandler(&out, nil)), outbound: func(mail.Source) []netip.Addr {
				return []netip.Addr{netip.MustParseAddr(address)}
			}}
			ctx, stop := context.WithTimeout(t.Context(), time.Hour)
			defer stop()
			if err := r.checkSources(ctx); err != nil || ctx.Err() == nil {
				t.Errorf("%s: %v; it is a part of the relay, and ends with it", address, err)
			}
			if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, want) || strings.Contains(got, "WARN") == strings.HasPrefix(want, "level=INFO") {
				t.Errorf("%s: %s", address, got)
			}
		})
	}
}

// What a source is bound to is known; private addresses are nobody's business.
func TestOutbound(t *testing.T) {
	public, private := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("fd00::1")
	got := outbound(mail.Source{IPv4: public, IPv6: private})
	if len(got) != 1 || got[0] != public {
		t.Errorf("%v", got)
	}
	for _, a := range outbound(mail.Source{}) {
		if a.IsPrivate() || a.IsLoopback() {
			t.Errorf("%s is said to be public", a)
		}
	}
}
