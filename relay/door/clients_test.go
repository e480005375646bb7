package door

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
	var table Clients
	now := time.Unix(1e9, 0)
	a := netip.MustParseAddr("10.0.0.0")
	for range 3 * maxClients {
		if reason := table.Enter(a, 1, 1, now); reason != "" {
			t.Fatal(a, reason)
		}
		table.Leave(a, 1)
		a = a.Next()
	}
	if n := len(table.m); n > maxClients {
		t.Errorf("%d clients are remembered", n)
	}
	b := netip.MustParseAddr("192.0.2.1")
	table.Enter(b, 1, 0, now)
	table.Leave(b, 0)
	if table.m[b] != nil {
		t.Error("a client is remembered for nothing")
	}
}

// A flood of clients with wrong settings costs neither memory nor the log.
func TestHintsAreBounded(t *testing.T) {
	var h hints
	now := time.Unix(1e9, 0)
	said := 0
	a := netip.MustParseAddr("10.0.0.0")
	for range 3 * maxHints {
		for range 2 {
			if h.due(a, now) {
				said++
			}
		}
		a = a.Next()
	}
	if said != maxHints || len(h.m) != maxHints {
		t.Errorf("%d said, %d remembered, want %d", said, len(h.m), maxHints)
	}
	if now = now.Add(hintEvery); !h.due(a, now) || len(h.m) != 1 {
		t.Errorf("an hour later %d are remembered", len(h.m))
	}
}
