package delivery

import (
	"net/netip"
	"testing"

	"tenma/relay/mail"
)

func TestPublic(t *testing.T) {
	for text, want := range map[string]bool{
		"198.51.100.1": true, "2001:db8::1": true, "8.8.8.8": true,
		"127.0.0.1": false, "::1": false, "10.1.1.1": false, "172.16.0.1": false, "192.168.0.1": false, "169.254.0.1": false,
		"0.0.0.0": false, "0.1.2.3": false, "100.64.0.1": false, "224.0.0.1": false, "255.255.255.255": false, "240.0.0.1": false,
		"::": false, "fc00::1": false, "fe80::1": false, "fec0::1": false, "ff02::1": false,
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
	random := newRandom(1)
	first := map[string]int{}
	for range 1000 {
		o := ordered(hosts, random.IntN)
		if o[2].Name != "c" {
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

func TestInterleaved(t *testing.T) {
	var in []netip.Addr
	for _, s := range []string{"2001:db8::1", "2001:db8::2", "192.0.2.1", "::ffff:192.0.2.2", "2001:db8::3"} {
		in = append(in, netip.MustParseAddr(s))
	}
	got := ""
	for _, a := range interleaved(in) {
		got += a.String() + " "
	}
	if want := "2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2 2001:db8::3 "; got != want {
		t.Errorf("%s", got)
	}
}

// The memory is bounded.
func TestMemoryIsBounded(t *testing.T) {
	var m memory
	for i := range maxHosts + 100 {
		m.add(string(rune(i)), roughFor)
	}
	if len(m.until) > maxHosts {
		t.Errorf("%d hosts remembered", len(m.until))
	}
}
