package front

import (
	"net/netip"
	"testing"
	"time"
)

func TestClientKey(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "fe80::1%eth0": "fe80::",
	} {
		if got := clientKey(netip.MustParseAddr(in)); got.String() != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// However many addresses come and go, the table stays within its bound.
func TestClientsAreBounded(t *testing.T) {
	table := clients{m: map[netip.Addr]*client{}}
	limits := Limits{ConnectionsPerIP: 1, RatePerIP: 1}
	now := time.Unix(1e9, 0)
	a := netip.MustParseAddr("10.0.0.0")
	for range 3 * maxClients {
		if reason := table.enter(a, &limits, now); reason != "" {
			t.Fatal(a, reason)
		}
		table.leave(a, &limits)
		a = a.Next()
	}
	if n := len(table.m); n > maxClients {
		t.Errorf("%d clients are remembered", n)
	}
	limits.RatePerIP = 0
	b := netip.MustParseAddr("192.0.2.1")
	table.enter(b, &limits, now)
	table.leave(b, &limits)
	if table.m[b] != nil {
		t.Error("a client is remembered for nothing")
	}
}
