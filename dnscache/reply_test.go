package dnscache

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

func query(name string, qtype uint16) *dns.Msg {
	return new(dns.Msg).SetQuestion(name+".", qtype)
}

// What a reply says about others is not believed, and what is malformed is left
// out.
func TestRecordsThatAreNotOurs(t *testing.T) {
	m := replyTo(query("x.test", dns.TypeMX),
		"x.test. 300 IN MX 20 b.test.",
		"X.TEST. 300 IN MX 10 A.test.",
		"x.test. 300 IN MX 10 a.test.", // twice
		"evil.test. 1 IN MX 1 evil.test.",
		"x.test. 1 IN A 192.0.2.1",
		"x.test. 1 CH MX 1 evil.test.",
		`x.test. 300 IN MX 5 a\032b.test.`,
		`x.test. 300 IN MX 5 a\000.test.`,
		`x.test. 300 IN MX 5 sp@ce.test.`,
		"other.test. 300 IN CNAME evil.test.",
	)
	r := readReply(m, "x.test", dns.TypeMX)
	if d := cmp.Diff([]MX{{"a.test", 10}, {"b.test", 20}}, r.records); d != "" || r.err != nil || r.ttl != 300*time.Second {
		t.Error(d, r.err, r.ttl)
	}
}

// Records that are all malformed are no denial: a domain with a broken MX must
// not be taken for one without.
func TestAllMalformedIsTemporary(t *testing.T) {
	m := replyTo(query("x.test", dns.TypeMX), `x.test. 300 IN MX 5 a\032b.test.`)
	if r := readReply(m, "x.test", dns.TypeMX); !errors.Is(r.err, ErrTemporary) || errors.Is(r.err, ErrNoData) {
		t.Error(r.err)
	}
}

func TestCountsAreBounded(t *testing.T) {
	var mx, a, txt, ptr, tlsa []string
	for i := range 500 {
		mx = append(mx, fmt.Sprintf("x.test. 300 IN MX %d mx%d.test.", i, i))
		a = append(a, fmt.Sprintf("x.test. 300 IN A 192.0.%d.%d", i/250, i%250))
		txt = append(txt, fmt.Sprintf("x.test. 300 IN TXT %q", fmt.Sprint(i)))
		ptr = append(ptr, fmt.Sprintf("x.test. 300 IN PTR p%d.test.", i))
		tlsa = append(tlsa, fmt.Sprintf("x.test. 300 IN TLSA 3 1 1 %064x", i))
	}
	count := func(qtype uint16, records []string) int {
		r := readReply(replyTo(query("x.test", qtype), records...), "x.test", qtype)
		switch s := r.records.(type) {
		case []MX:
			return len(s)
		case []netip.Addr:
			return len(s)
		case []string:
			return len(s)
		case []TLSA:
			return len(s)
		}
		return 0
	}
	for _, k := range []struct {
		qtype   uint16
		records []string
		want    int
	}{{dns.TypeMX, mx, maxMX}, {dns.TypeA, a, maxAddrs}, {dns.TypeTXT, txt, maxTXT}, {dns.TypePTR, ptr, maxPTR}, {dns.TypeTLSA, tlsa, maxTLSA}} {
		if n := count(k.qtype, k.records); n != k.want {
			t.Errorf("type %d: %d records, want %d", k.qtype, n, k.want)
		}
	}
	long := `"` + strings.Repeat("a", 250) + `" `
	big := "x.test. 300 IN TXT " + strings.Repeat(long, 200)
	if r := readReply(replyTo(query("x.test", dns.TypeTXT), big, big+long), "x.test", dns.TypeTXT); r.octets > maxText+1000 || len(r.records.([]string)) != 1 {
		t.Error(r.octets)
	}
}

func TestTimesToLive(t *testing.T) {
	for _, k := range []struct {
		why     string
		rcode   int
		records []string
		want    time.Duration
		err     error
	}{
		{"the least of the set", 0, []string{"x.test. 300 IN MX 1 a.test.", "x.test. 200 IN MX 2 b.test."}, 200 * time.Second, nil},
		{"negative counts as none", 0, []string{"x.test. 4294967295 IN MX 1 a.test."}, 0, nil},
		{"denial: SOA minimum", 0, []string{"test. 3600 IN SOA a. b. 1 2 3 4 90"}, 90 * time.Second, ErrNoData},
		{"denial: SOA's own", 0, []string{"test. 30 IN SOA a. b. 1 2 3 4 90"}, 30 * time.Second, ErrNoData},
		{"denial: negative minimum", 3, []string{"test. 30 IN SOA a. b. 1 2 3 4 4294967295"}, 0, ErrNotFound},
		{"denial without SOA", 3, nil, 0, ErrNotFound},
		{"denial without SOA", 0, nil, 0, ErrNoData},
		{"an alias ends it earlier", 0, []string{"x.test. 10 IN CNAME y.test.", "y.test. 300 IN MX 1 a.test."}, 10 * time.Second, nil},
	} {
		m := replyTo(query("x.test", dns.TypeMX), k.records...)
		m.Rcode = k.rcode
		if err := usable(m); err != nil {
			t.Error(k.why, err)
		}
		if r := readReply(m, "x.test", dns.TypeMX); r.ttl != k.want || !errors.Is(r.err, k.err) {
			t.Errorf("%s: %v, %v", k.why, r.ttl, r.err)
		}
	}
}

func TestUsable(t *testing.T) {
	referral := replyTo(query("x.test", dns.TypeMX), "test. 300 IN NS ns.test.")
	withSOA := replyTo(query("x.test", dns.TypeMX), "test. 300 IN NS ns.test.", "test. 300 IN SOA a. b. 1 2 3 4 5")
	noRecursion := replyTo(query("x.test", dns.TypeMX))
	noRecursion.RecursionAvailable = false
	owner := replyTo(query("x.test", dns.TypeMX))
	owner.RecursionAvailable, owner.Authoritative = false, true
	servfail := replyTo(query("x.test", dns.TypeMX))
	servfail.Rcode = dns.RcodeServerFailure
	odd := replyTo(query("x.test", dns.TypeMX))
	odd.Rcode = 14
	for name, k := range map[string]struct {
		m    *dns.Msg
		want bool
	}{"referral": {referral, false}, "denial with SOA": {withSOA, true}, "no recursion": {noRecursion, false}, "authoritative": {owner, true}, "SERVFAIL": {servfail, false}, "odd rcode": {odd, false}} {
		if err := usable(k.m); (err == nil) != k.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An IPv4 address in the dress of IPv6 is shown as what it is: checks for
// private addresses must see it.
func TestMappedAddress(t *testing.T) {
	aaaa := &dns.AAAA{Hdr: dns.RR_Header{Name: "x.test.", Rrtype: dns.TypeAAAA, Class: dns.ClassINET, Ttl: 1}, AAAA: netip.MustParseAddr("::ffff:10.0.0.1").AsSlice()}
	m := replyTo(query("x.test", dns.TypeAAAA))
	m.Answer = append(m.Answer, aaaa)
	r := readReply(m, "x.test", dns.TypeAAAA)
	if got := r.records.([]netip.Addr); len(got) != 1 || got[0] != netip.MustParseAddr("10.0.0.1") {
		t.Error(got)
	}
}

func TestCanonical(t *testing.T) {
	long := strings.Repeat("a", 63)
	for in, want := range map[string]string{
		"Example.TEST.": "example.test", "a": "a", "_25._tcp.x": "_25._tcp.x", "1/25.2.0.192.in-addr.arpa": "1/25.2.0.192.in-addr.arpa", long: long,
		"": "", ".": "", "a..b": "", ".a": "", "a b": "", "a\x00b": "", "a\x80": "", `a\.b`: "", long + "a": "", strings.Repeat("a.", 127) + "a": "", "a..": "",
	} {
		got, ok := canonical(in)
		if got != want || ok != (want != "") {
			t.Errorf("canonical(%q) is %q, %v", in, got, ok)
		}
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{`a\"b\\c`: `a"b\c`, `\200\000x`: "\xc8\x00x", `\`: `\`, `\12`: "12", `a\\034`: `a\034`, `\065\066`: "AB"} {
		if got := unescape(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// FuzzReply feeds octets to all that stands between a socket and a caller.
func FuzzReply(f *testing.F) {
	types := []uint16{dns.TypeMX, dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypePTR, dns.TypeTLSA}
	for i, qtype := range types {
		for _, records := range [][]string{
			{"x.test. 300 IN MX 10 a.test.", "x.test. 300 IN MX 0 ."},
			{"x.test. 300 IN A 192.0.2.1", "x.test. 300 IN AAAA ::1"},
			{`x.test. 300 IN TXT "a\"\200b" "c"`, "x.test. 300 IN PTR p.test.", "x.test. 300 IN TLSA 3 1 1 00ff"},
			{"x.test. 1 IN CNAME y.test.", "y.test. 1 IN CNAME x.test."},
			{"test. 300 IN SOA a. b. 1 2 3 4 5"},
		} {
			m := replyTo(query("x.test", qtype), records...)
			m.Id = 7
			f.Add(uint8(i), packed(m)[0])
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		q := question{id: 7, name: "x.test", qtype: types[int(which)%len(types)]}
		m, err := q.match(b)
		if err != nil || usable(m) != nil {
			return
		}
		r := readReply(m, q.name, q.qtype)
		if r.follow {
			if _, ok := canonical(r.canonical); !ok {
				t.Fatalf("follows %q", r.canonical)
			}
			return
		}
		if (r.err == nil) != (r.records != nil) {
			t.Fatalf("%v and %v", r.err, r.records)
		}
		if r.ttl < 0 || r.octets < 0 || r.octets > 2*maxText {
			t.Fatalf("TTL %v, %d octets", r.ttl, r.octets)
		}
		checkRecords(t, r.records)
	})
}

func checkRecords(t *testing.T, records any) {
	t.Helper()
	switch s := records.(type) {
	case []MX:
		for i, mx := range s {
			if _, ok := hostName(mx.Host); mx.Host != "" && !ok || strings.ToLower(mx.Host) != mx.Host {
				t.Fatalf("host %q", mx.Host)
			}
			if i > 0 && s[i-1].Pref > mx.Pref || len(s) > maxMX {
				t.Fatalf("%v", s)
			}
		}
	case []netip.Addr:
		for _, a := range s {
			if !a.IsValid() || a.Is4In6() || len(s) > maxAddrs {
				t.Fatalf("%v", s)
			}
		}
	case []string:
		if len(s) > maxTXT {
			t.Fatalf("%d texts", len(s))
		}
	case []TLSA:
		if len(s) > maxTLSA {
			t.Fatalf("%d TLSA records", len(s))
		}
	}
}

// A hit costs no allocation.
func TestHitAllocatesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRig(t, nil)
		lookups := map[string]func(){
			"MX":   func() { _, _ = c.LookupMX(t.Context(), "example.test") },
			"addr": func() { _, _ = c.LookupAddrs(t.Context(), "a.example.test") },
			"none": func() { _, _ = c.LookupMX(t.Context(), "no.test") },
		}
		for name, f := range lookups {
			if n := testing.AllocsPerRun(100, f); n != 0 {
				t.Errorf("%s: %v allocations", name, n)
			}
		}
	})
}

func BenchmarkHit(b *testing.B) {
	s := newScript(func(q *dns.Msg, _ string) [][]byte { return packed(replyTo(q, "x.test. 300 IN MX 1 a.test.")) })
	c, err := New(Config{Servers: []string{"127.0.0.1"}, Dial: s.Dial}, Deps{})
	if err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.LookupMX(ctx, "x.test"); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkMiss(b *testing.B) {
	s := newScript(func(q *dns.Msg, _ string) [][]byte {
		return packed(replyTo(q, q.Question[0].Name+" 300 IN MX 1 a.test."))
	})
	c, err := New(Config{Servers: []string{"127.0.0.1"}, Dial: s.Dial}, Deps{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := c.LookupMX(b.Context(), fmt.Sprintf("d%d.test", i)); err != nil {
			b.Fatal(err)
		}
	}
}
