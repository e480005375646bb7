package hosttls_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"tenma/dnscache"
	"tenma/dnscache/dnstest"
	"tenma/metrics"
	"tenma/relay/mail"
	"tenma/relay/policy/hosttls"
)

// What is asked for each message on a connection: without a policy, and for a
// host with TLSA records.
func TestCachedAllocatesNothing(t *testing.T) {
	server := dnstest.New("mx.a.test. A 192.0.2.1\n_25._tcp.mx.a.test. TLSA 3 1 1 " + hex.EncodeToString(make([]byte, 32)))
	server.Secure(true)
	cache, err := dnscache.New(dnscache.Config{Servers: []string{"127.0.0.1:53"}, Dial: server.Dial}, dnscache.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	a := hosttls.New(hosttls.Config{}, hosttls.Deps{Resolver: cache, Metrics: metrics.New(prometheus.NewRegistry()).HostTLS})
	h := mail.Host{Name: "mx.a.test", Port: 25}
	for _, secure := range []bool{false, true} {
		r := mail.Route{Domain: "a.test", Secure: secure}
		if _, err := a.Demand(t.Context(), &r, &h, mail.WishNone); err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() {
			if s, ok := a.Cached(&r, &h, mail.WishNone); !ok || (s.DANE != nil) != secure || strings.Contains(s.Digest(), " ") {
				t.Error("another answer")
			}
		}); n != 0 {
			t.Errorf("secure %v: %v allocations", secure, n)
		}
	}
}
