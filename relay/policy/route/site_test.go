package route

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tenma/dnscache"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// The site depends on the set of names alone; different sets have different
// sites; none is long.
func TestSiteIsTheSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z]{1,30}\.[a-z]{1,30}`)
		one := rapid.SliceOfN(name, 1, 12).Draw(t, "one")
		two := rapid.SliceOfN(name, 1, 12).Draw(t, "two")
		a, b := siteOf(one), siteOf(two)
		if len(a) > maxSite {
			t.Errorf("%d octets: %s", len(a), a)
		}
		shuffled := append(rapid.Permutation(one).Draw(t, "shuffled"), one[0])
		if siteOf(shuffled) != a {
			t.Errorf("order or repetition changes the site: %s, %s", a, siteOf(shuffled))
		}
		if set := func(s []string) string { return fmt.Sprint(slices.Compact(slices.Sorted(slices.Values(s)))) }; (set(one) == set(two)) != (a == b) {
			t.Errorf("%v is %s, %v is %s", one, a, two, b)
		}
	})
}

func siteOf(names []string) string {
	var hosts []mail.Host
	for i, n := range names {
		hosts = append(hosts, mail.Host{Name: n, Pref: uint16(i)})
	}
	return mxSite(hosts)
}

func TestLongSiteIsReadable(t *testing.T) {
	var names []string
	for i := range 12 {
		names = append(names, fmt.Sprintf("mx%02d.mail.example.test", i))
	}
	if s := siteOf(names); !strings.HasPrefix(s, "mx00.mail.example.test+11#") {
		t.Error(s)
	}
}

// Whatever the MX records say: what is left is sorted, is nearer to the mailbox
// than we are, is allowed, and something is left unless the outcome says why.
func TestExchangersRapid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		private := rapid.Bool().Draw(t, "private")
		tab := newTable(Config{Hostname: "us.test", PrivateDestinations: private, Own: []netip.Addr{netip.MustParseAddr("192.0.2.25")}})
		names := rapid.SampledFrom([]string{"a.test", "b.test", "c.test", "us.test", "10.0.0.1", "192.0.2.25", "localhost", ""})
		record := rapid.Custom(func(t *rapid.T) dnscache.MX {
			return dnscache.MX{Host: names.Draw(t, "host"), Pref: rapid.Uint16Range(0, 4).Draw(t, "pref")}
		})
		records := rapid.SliceOfN(record, 1, 10).Draw(t, "records")
		hosts, o := tab.exchangers("d.test", records, nil)
		if (len(hosts) == 0) != (o != nil) {
			t.Fatalf("%v: %v, %v", records, hosts, o)
		}
		ours := 1 << 16
		for _, r := range records {
			if r.Host == "us.test" || r.Host == "192.0.2.25" {
				ours = min(ours, int(r.Pref))
			}
		}
		kept := 0
		for _, r := range records {
			special := r.Host == "10.0.0.1" || r.Host == "localhost" || r.Host == ""
			if int(r.Pref) < ours && (!special || private && r.Host != "") {
				kept++
			}
		}
		if kept != len(hosts) {
			t.Errorf("%v: %d hosts may be used, %d are", records, kept, len(hosts))
		}
		for i, h := range hosts {
			if i > 0 && hosts[i-1].Pref > h.Pref {
				t.Errorf("%v: not in order", hosts)
			}
		}
	})
}

func TestIsPublic(t *testing.T) {
	for text, want := range map[string]bool{
		"192.0.2.1": true, "8.8.8.8": true, "100.63.0.1": true, "100.128.0.1": true, "2001:db8::1": true,
		"172.15.0.1": true, "172.16.0.1": false, "192.168.1.1": false, "10.0.0.1": false, "127.8.9.1": false,
		"::ffff:10.0.0.1": false, "::": false, "::1": false, "fe80::1": false, "fc00::1": false, "ff02::1": false,
		"0.0.0.0": false, "239.1.1.1": false, "240.0.0.1": false, "100.127.255.255": false,
	} {
		if got := isPublic(netip.MustParseAddr(text)); got != want {
			t.Errorf("isPublic(%s) is %v", text, got)
		}
	}
}

func TestMemoryOfRoutesIsBounded(t *testing.T) {
	const most = 1600
	s := newRoutes(most)
	later := time.Now().Add(time.Hour)
	s.put("busy.test", mail.Route{}, nil, later)
	for i := range 10 * most {
		s.put(smtp.Domain(fmt.Sprintf("d%d.test", i)), mail.Route{}, nil, later)
		s.find("busy.test", time.Now())
	}
	n := 0
	for i := range s.parts {
		n += len(s.parts[i].by)
	}
	if n > most || n < most*9/10 {
		t.Errorf("%d routes in memory, want up to %d", n, most)
	}
	if s.find("busy.test", time.Now()) == nil {
		t.Error("a route in constant use was forgotten")
	}
}

// fixedDNS answers every question at once.
type fixedDNS struct{}

func (fixedDNS) LookupMX(context.Context, string) (dnscache.Answer[dnscache.MX], error) {
	return dnscache.Answer[dnscache.MX]{Records: []dnscache.MX{{Host: "a.test", Pref: 1}, {Host: "b.test", Pref: 2}}, TTL: time.Hour}, nil
}

func (fixedDNS) LookupAddrs(context.Context, string) (dnscache.Answer[netip.Addr], error) {
	return dnscache.Answer[netip.Addr]{}, dnscache.ErrNoData
}

func TestCachedAllocatesNothing(t *testing.T) {
	a := New(Config{Rules: []Rule{{Domain: "*.corp.test", Kind: mail.ByHost, Hosts: []mail.Host{{Name: "h.test"}}}}, Local: []smtp.Domain{"here.test"}}, fixedDNS{}, nil)
	a.Route(t.Context(), "d.test", nil)
	for _, d := range []smtp.Domain{"d.test", "x.corp.test", "here.test"} {
		if n := testing.AllocsPerRun(100, func() { a.Cached(d, nil) }); n != 0 {
			t.Errorf("%s: %v allocations", d, n)
		}
	}
}

func BenchmarkCached(b *testing.B) {
	a := New(Config{}, fixedDNS{}, nil)
	a.Route(b.Context(), "example.test", nil)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, _, ok := a.Cached("example.test", nil); !ok {
				b.Error("not cached")
			}
		}
	})
}

func BenchmarkCachedManyDomains(b *testing.B) {
	a := New(Config{Rules: []Rule{{Domain: "*.corp.test", Kind: mail.Discard}}}, fixedDNS{}, nil)
	domains := make([]smtp.Domain, 10_000)
	for i := range domains {
		domains[i] = smtp.Domain(fmt.Sprintf("domain-%d.example.test", i))
		a.Route(b.Context(), domains[i], nil)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		a.Cached(domains[i%len(domains)], nil)
	}
}
