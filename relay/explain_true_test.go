package relay

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"tenma/dnscache"
	"tenma/dnscache/dnstest"
	"tenma/metrics"
	"tenma/relay/config"
	"tenma/relay/delivery"
	"tenma/relay/delivery/dial"
	"tenma/relay/mail"
	"tenma/relay/policy/route"
	"tenma/relay/wire/smtp"
)

// refusing is a network of hosts that are down; it notes what was dialled.
type refusing struct {
	mu sync.Mutex
	to []string // guarded by mu
}

func (r *refusing) Dial(_ context.Context, _ netip.Addr, to netip.AddrPort) (net.Conn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.to = append(r.to, to.String())
	return nil, errors.New("connection refused")
}

// TestExplainIsTrue lets chance make domains of hosts of all kinds, and compares
// what is explained with what delivery then does: which addresses it dials, and
// what becomes of the mail if there is none.
func TestExplainIsTrue(t *testing.T) {
	for seed := range uint64(150) {
		random := rand.New(rand.NewPCG(seed, 3))
		zone := explainTrueZone(random)
		synctest.Test(t, func(t *testing.T) {
			server := dnstest.New(zone)
			server.Misbehave("sick.test", dnstest.Manner{Fault: dnstest.ServFail})
			c, err := config.Default()
			if err != nil {
				t.Fatal(err)
			}
			c = complete(c)
			c.DNS = dnscache.Config{Servers: []string{"127.0.0.1:53"}, Dial: server.Dial}
			own := []netip.Addr{netip.MustParseAddr("198.51.100.99")}
			c.Route.Port, c.Route.Hostname, c.Route.Own, c.Delivery.Own = 25, "relay.test", own, own
			c.Delivery.Families = dial.Families(random.IntN(4))
			c.Delivery.PrivateDestinations = random.IntN(4) == 0
			c.Route.PrivateDestinations = c.Delivery.PrivateDestinations
			dns, err := dnscache.New(c.DNS, dnscache.Deps{})
			if err != nil {
				t.Fatal(err)
			}
			network := &refusing{}
			client := delivery.New(c.Delivery, delivery.Deps{Resolver: resolver{dns}, Dialer: network, Metrics: metrics.New(prometheus.NewRegistry()).Delivery, Seed: seed})
			x := explainer{config: c, dns: dns, router: route.New(c.Route, dns, nil)}
			a, err := x.explain(t.Context(), "d.test", "")
			if err != nil {
				t.Fatal(err)
			}
			r, o := x.router.Route(t.Context(), "d.test", nil)
			if o == nil {
				out := attempt(t, client, r)
				o = &out
			}
			var told []string
			for _, h := range a.Hosts {
				for _, one := range h.Addresses {
					if one.Used {
						told = append(told, netip.AddrPortFrom(netip.MustParseAddr(one.Address), uint16(h.Port)).String())
					}
				}
			}
			if d := len(told) - len(network.to); d != 0 && !(d > 0 && len(network.to) == 5) || !within(told, network.to) {
				t.Errorf("seed %d: told %v, dialled %v\n%s", seed, told, network.to, zone)
			}
			want := map[mail.Fate]string{mail.Failed: "fail", mail.Deferred: "defer"}[o.Fate()]
			if len(told) > 0 {
				want = "deliver" // as far as can be known without a connection
			}
			if a.Fate != want || want == "fail" && !strings.HasPrefix(a.Reply, fmt.Sprintf("%d %s", o.Reply.Code, o.Reply.Status)) {
				t.Errorf("seed %d: explained as %s %s, came to %s %s\n%s", seed, a.Fate, a.Reply, o.Fate(), o.Reply, zone)
			}
		})
	}
}

// within reports that all of some are among all.
func within(all, some []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}

// explainTrueZone makes a domain d.test, most times with MX records, and what
// they may point at.
func explainTrueZone(random *rand.Rand) string {
	zone := `
good.test.   300 A 192.0.2.1
good.test.   300 AAAA 2001:db8::1
four.test.   300 A 192.0.2.4
six.test.    300 AAAA 2001:db8::6
many.test.   300 A 192.0.2.11
many.test.   300 A 192.0.2.12
many.test.   300 A 192.0.2.13
inside.test. 300 A 10.0.0.1
both.test.   300 A 10.0.0.2
both.test.   300 A 192.0.2.2
alias.test.  300 CNAME four.test.
hidden.test. 300 A 198.51.100.99
hidden.test. 300 A 192.0.2.9
relay.test.  300 A 192.0.2.99
text.test.   300 TXT "no address"
d.test.      300 TXT "it is there"
`
	targets := []string{"good.test.", "four.test.", "six.test.", "many.test.", "inside.test.", "both.test.", "alias.test.", "hidden.test.", "relay.test.", "text.test.", "nowhere.test.", "sick.test.", "localhost.", "192.0.2.77.", "."}
	for range random.IntN(5) {
		zone += fmt.Sprintf("d.test. 300 MX %d %s\n", 10*random.IntN(3), targets[random.IntN(len(targets))])
	}
	if random.IntN(4) == 0 {
		zone += "d.test. 300 A " + []string{"192.0.2.50", "10.0.0.50", "198.51.100.99"}[random.IntN(3)] + "\n"
	}
	return zone
}

// attempt has delivery try to bring a message there.
func attempt(t *testing.T, client *delivery.Client, r mail.Route) (out mail.Outcome) {
	a := &mail.Attempt{Number: 1, Route: r, To: []int{0}, Envelope: &mail.Envelope{Recipients: []mail.Recipient{{Address: smtp.Address{Local: "x", Domain: "d.test"}}}}}
	client.Deliver(t.Context(), a, func() *mail.Attempt { return nil }, func(_ *mail.Attempt, all []mail.Outcome) { out = all[0] })
	return out
}
