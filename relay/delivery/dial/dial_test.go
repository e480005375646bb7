package dial

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/mail"
)

func TestPublic(t *testing.T) {
	for text, want := range map[string]bool{
		"198.51.100.1": true, "2001:db8::1": true, "8.8.8.8": true,
		"127.0.0.1": false, "::1": false, "10.1.1.1": false, "172.16.0.1": false, "192.168.0.1": false, "169.254.0.1": false,
		"0.0.0.0": false, "0.1.2.3": false, "100.64.0.1": false, "224.0.0.1": false, "255.255.255.255": false, "240.0.0.1": false,
		"::": false, "fc00::1": false, "fe80::1": false, "fec0::1": false, "ff02::1": false, "::ffff:10.0.0.1": false, "::ffff:100.64.0.1": false,
		"64:ff9b::198.51.100.1": true, "64:ff9b::10.0.0.1": false, "64:ff9b::127.0.0.1": false, "64:ff9b:1::198.51.100.1": false,
		"2002:c633:6401::1": true, "2002:a00:1::1": false, "2002:7f00:1::1": false,
	} {
		if got := Public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if Public(netip.Addr{}) {
		t.Error("no address is public")
	}
}

// Equal preferences are spread, different ones never change places.
func TestOrdered(t *testing.T) {
	hosts := []mail.Host{{Name: "c", Pref: 20}, {Name: "a", Pref: 10}, {Name: "b", Pref: 10}}
	random := rand.New(rand.NewPCG(1, 2))
	first := map[string]int{}
	for range 1000 {
		o := Ordered(hosts, random.IntN)
		if o[2].Name != "c" || Level(o) != 2 || Level(o[2:]) != 1 || Level(nil) != 0 {
			t.Fatal("the worse host does not come last")
		}
		first[o[0].Name]++
	}
	if first["a"] < 400 || first["b"] < 400 {
		t.Errorf("first were %v", first)
	}
	if hosts[0].Name != "c" {
		t.Error("the route was changed")
	}
}

func addresses(text string) (all []netip.Addr) {
	for _, s := range strings.Fields(text) {
		all = append(all, netip.MustParseAddr(s))
	}
	return all
}

func TestSorted(t *testing.T) {
	four, six := netip.MustParseAddr("198.51.100.4"), netip.MustParseAddr("2001:db8::64")
	const both = "2001:db8::1 2001:db8::2 192.0.2.1 ::ffff:192.0.2.2 2001:db8::3"
	for _, c := range []struct {
		what   string
		in     string
		f      Families
		source mail.Source
		want   string
	}{
		{"the families alternate, the resolver's order stays", both, IPv6First, mail.Source{}, "2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2 2001:db8::3"},
		{"IPv6 first, whatever the resolver has first", "192.0.2.1 2001:db8::1", IPv6First, mail.Source{}, "2001:db8::1 192.0.2.1"},
		{"IPv4 first", both, IPv4First, mail.Source{}, "192.0.2.1 2001:db8::1 192.0.2.2 2001:db8::2 2001:db8::3"},
		{"IPv4 only", both, IPv4Only, mail.Source{}, "192.0.2.1 192.0.2.2"},
		{"IPv6 only", both, IPv6Only, mail.Source{}, "2001:db8::1 2001:db8::2 2001:db8::3"},
		{"a source of one family", both, IPv6First, mail.Source{IPv4: four}, "192.0.2.1 192.0.2.2"},
		{"a source of both", "192.0.2.1 2001:db8::1", IPv6First, mail.Source{IPv4: four, IPv6: six}, "2001:db8::1 192.0.2.1"},
		{"nothing is left", "192.0.2.1 192.0.2.2", IPv6First, mail.Source{IPv6: six}, ""},
		{"one address", "::ffff:192.0.2.1", IPv6First, mail.Source{}, "192.0.2.1"},
		{"one of the wrong family", "192.0.2.1", IPv6Only, mail.Source{}, ""},
		{"one of a family that the source lacks", "2001:db8::1", IPv6First, mail.Source{IPv4: four}, ""},
	} {
		var got []string
		for _, a := range Sorted(addresses(c.in), c.f, &c.source) {
			got = append(got, a.String())
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s: %s", c.what, text)
		}
	}
}

// ear is a host's end: when it answers a dial, and how.
type ear struct {
	after  time.Duration
	refuse bool
}

var errRefused = errors.New("refused")

// ears are what answers, by address; nobody answers elsewhere.
type ears struct {
	at            map[string]ear
	opened, ended atomic.Int32
	deaf          bool // dials that are cancelled succeed all the same
}

type countedConn struct {
	net.Conn
	ended *atomic.Int32
}

func (c countedConn) Close() error { c.ended.Add(1); return nil }

func (e *ears) open(ctx context.Context, a netip.Addr) (net.Conn, error) {
	ear, there := e.at[a.String()]
	wait := ear.after
	if !there {
		wait = time.Hour
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		if !e.deaf {
			return nil, ctx.Err()
		}
	}
	if ear.refuse {
		return nil, errRefused
	}
	e.opened.Add(1)
	return countedConn{ended: &e.ended}, nil
}

func TestFirst(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	for _, c := range []struct {
		what  string
		addrs string
		at    map[string]ear
		most  int
		want  string // address, tried, failed, rest, time
	}{
		{"one address", "192.0.2.1", map[string]ear{"192.0.2.1": {after: 20 * s}}, 5, "192.0.2.1 tried=1 failed=0 rest=[] 20s"},
		{"one address that refuses", "192.0.2.1", map[string]ear{"192.0.2.1": {refuse: true}}, 5, "none tried=1 failed=1 rest=[] 0s"},
		{"the first answers in time", "2001:db8::1 192.0.2.1", map[string]ear{"2001:db8::1": {after: 900 * ms}, "192.0.2.1": {}}, 5, "2001:db8::1 tried=1 failed=0 rest=[192.0.2.1] 900ms"},
		{"the first is silent", "2001:db8::1 192.0.2.1", map[string]ear{"192.0.2.1": {after: 100 * ms}}, 5, "192.0.2.1 tried=2 failed=0 rest=[2001:db8::1] 1.1s"},
		{"the first refuses: no delay", "2001:db8::1 192.0.2.1", map[string]ear{"2001:db8::1": {refuse: true}, "192.0.2.1": {}}, 5, "192.0.2.1 tried=2 failed=1 rest=[] 0s"},
		{"the first is late, and still first", "2001:db8::1 192.0.2.1", map[string]ear{"2001:db8::1": {after: 1200 * ms}, "192.0.2.1": {after: 5 * s}}, 5, "2001:db8::1 tried=2 failed=0 rest=[192.0.2.1] 1.2s"},
		{"a refusal restarts the delay", "2001:db8::1 192.0.2.1 2001:db8::2", map[string]ear{"2001:db8::1": {after: 500 * ms, refuse: true}, "2001:db8::2": {}}, 5, "2001:db8::2 tried=3 failed=1 rest=[192.0.2.1] 1.5s"},
		{"no more than most", "2001:db8::1 192.0.2.1 192.0.2.2", map[string]ear{"2001:db8::1": {refuse: true}, "192.0.2.1": {refuse: true}, "192.0.2.2": {}}, 2, "none tried=2 failed=2 rest=[192.0.2.2] 0s"},
		{"all refuse", "2001:db8::1 192.0.2.1", map[string]ear{"2001:db8::1": {after: 3 * s, refuse: true}, "192.0.2.1": {after: 3 * s, refuse: true}}, 5, "none tried=2 failed=2 rest=[] 4s"},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &ears{at: c.at}
				start := time.Now()
				r := First(t.Context(), addresses(c.addrs), c.most, e.open)
				at := "none"
				if r.Conn != nil {
					at = r.Addr.String()
				}
				if got := fmt.Sprintf("%s tried=%d failed=%d rest=%v %v", at, r.Tried, len(r.Failed), r.Rest, time.Since(start)); got != c.want {
					t.Errorf("\n got %s\nwant %s", got, c.want)
				}
			})
		})
	}
}

// Connections that come too late are closed, and a stop ends the race.
func TestFirstLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &ears{deaf: true, at: map[string]ear{"192.0.2.1": {after: 500 * time.Millisecond}}}
		r := First(t.Context(), addresses("2001:db8::1 192.0.2.1"), 5, e.open)
		if r.Addr.String() != "192.0.2.1" || e.opened.Load() != 2 || e.ended.Load() != 1 {
			t.Errorf("%s; %d opened, %d closed", r.Addr, e.opened.Load(), e.ended.Load())
		}
		e.deaf = false
		ctx, stop := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer stop()
		start := time.Now()
		if r = First(ctx, addresses("2001:db8::1 2001:db8::2 2001:db8::3"), 5, e.open); r.Conn != nil || r.Tried != 2 || time.Since(start) != 1500*time.Millisecond {
			t.Errorf("%+v after %v", r, time.Since(start))
		}
	})
}
