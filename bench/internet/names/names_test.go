package names

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func hosts(n int) []netip.Addr {
	var all []netip.Addr
	for i := range n {
		all = append(all, netip.AddrFrom4([4]byte{127, 1, 0, byte(i + 1)}))
	}
	return all
}

func server(t testing.TB, cfg Config) *Server {
	t.Helper()
	if cfg.Hosts == nil {
		cfg.Hosts = hosts(50)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask gives the reply, read by another implementation; nil is silence.
func (s *Server) ask(t testing.TB, name string, qtype uint16) *dns.Msg {
	t.Helper()
	q := new(dns.Msg).SetQuestion(name, qtype)
	q.SetEdns0(1232, true)
	wire, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	b := s.Answer(nil, wire, true)
	if len(b) == 0 {
		return nil
	}
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		t.Fatalf("%s: %v: %x", name, err, b)
	}
	if m.Id != q.Id || !m.Response || !m.RecursionAvailable || !m.RecursionDesired || len(m.Question) != 1 || m.Question[0] != q.Question[0] || m.IsEdns0() == nil || m.AuthenticatedData {
		t.Errorf("%s: head of the reply: %v", name, m)
	}
	return m
}

func data(m *dns.Msg) string {
	var all []string
	for _, rr := range m.Answer {
		f := strings.Fields(rr.String())
		all = append(all, strings.Join(append([]string{f[0], f[3]}, f[4:]...), " "))
	}
	return dns.RcodeToString[m.Rcode] + " " + strings.Join(all, ", ")
}

func TestAnswers(t *testing.T) {
	shared := server(t, Config{MX: 2, TXT: map[string]string{"s1._domainkey.src.example": strings.Repeat("k", 300)}})
	own := server(t, Config{MX: 2, Own: true, Zones: []string{"test", "b.example."}})
	six := server(t, Config{Hosts: []netip.Addr{netip.MustParseAddr("2001:db8::1")}})
	for _, c := range []struct {
		s          *Server
		name       string
		qtype      uint16
		want, more string
	}{
		{shared, "d7.test.", dns.TypeMX, "NOERROR d7.test. MX 10 mx17.hosts.test., d7.test. MX 20 mx18.hosts.test.", ""},
		{shared, "D7.tesT.", dns.TypeMX, "NOERROR D7.tesT. MX 10 mx17.hosts.test., D7.tesT. MX 20 mx18.hosts.test.", ""},
		{shared, "d7.test.", dns.TypeA, "NOERROR ", "test."},
		{shared, "d7.test.", dns.TypeTXT, `NOERROR d7.test. TXT "v=spf1 ip4:127.0.0.0/8 -all"`, ""},
		{shared, "_dmarc.d7.test.", dns.TypeTXT, "NOERROR ", "test."},
		{shared, "_25._tcp.mx1.hosts.test.", dns.TypeTLSA, "NXDOMAIN ", "test."},
		{shared, "mx50.hosts.test.", dns.TypeA, "NOERROR mx50.hosts.test. A 127.1.0.50", ""},
		{shared, "mx50.hosts.test.", dns.TypeAAAA, "NOERROR ", "test."},
		{shared, "mx51.hosts.test.", dns.TypeA, "NXDOMAIN ", "test."},
		{shared, "mx05.hosts.test.", dns.TypeA, "NXDOMAIN ", "test."},
		{shared, "ip-127-0-0-9.hosts.test.", dns.TypeA, "NOERROR ip-127-0-0-9.hosts.test. A 127.0.0.9", ""},
		{shared, "hosts.test.", dns.TypeA, "NOERROR ", "test."},
		{shared, "test.", dns.TypeMX, "NOERROR ", "test."},
		{shared, "d7.example.", dns.TypeMX, "NXDOMAIN ", "example."},
		{shared, "localhost.", dns.TypeA, "NOERROR localhost. A 127.0.0.1", ""},
		{shared, "localhost.", dns.TypeAAAA, "NOERROR localhost. AAAA ::1", ""},
		{shared, "3.0.1.127.in-addr.arpa.", dns.TypePTR, "NOERROR 3.0.1.127.in-addr.arpa. PTR mx3.hosts.test.", ""},
		{shared, "1.0.0.127.in-addr.arpa.", dns.TypePTR, "NOERROR 1.0.0.127.in-addr.arpa. PTR ip-127-0-0-1.hosts.test.", ""},
		{shared, "1.0.127.in-addr.arpa.", dns.TypePTR, "NXDOMAIN ", "arpa."},
		{shared, "s1._domainkey.src.example.", dns.TypeTXT, `NOERROR s1._domainkey.src.example. TXT "` + strings.Repeat("k", 255) + `" "` + strings.Repeat("k", 45) + `"`, ""},
		{shared, ".", dns.TypeNS, "NXDOMAIN ", "-"},
		{own, "d7.test.", dns.TypeMX, "NOERROR d7.test. MX 10 mx1.d7.test., d7.test. MX 20 mx2.d7.test.", ""},
		{own, "mx1.d7.test.", dns.TypeA, "NOERROR mx1.d7.test. A 127.1.0.17", ""},
		{own, "mx2.d7.test.", dns.TypeA, "NOERROR mx2.d7.test. A 127.1.0.18", ""},
		{own, "mx3.d7.test.", dns.TypeA, "NOERROR ", "test."},
		{own, "x.b.example.", dns.TypeMX, "NOERROR x.b.example. MX 10 mx1.x.b.example., x.b.example. MX 20 mx2.x.b.example.", ""},
		{own, "b.example.", dns.TypeMX, "NOERROR ", "example."},
		{six, "mx1.hosts.test.", dns.TypeAAAA, "NOERROR mx1.hosts.test. AAAA 2001:db8::1", ""},
	} {
		m := c.s.ask(t, c.name, c.qtype)
		if got := data(m); got != c.want {
			t.Errorf("%s: %s\nwant %s", c.name, got, c.want)
		}
		switch {
		case c.more == "-" || c.more == "":
			if len(m.Ns) > 0 {
				t.Errorf("%s: authority %v", c.name, m.Ns)
			}
		case len(m.Ns) != 1 || m.Ns[0].Header().Name != c.more || m.Ns[0].(*dns.SOA).Minttl != 300:
			t.Errorf("%s: authority %v, want SOA of %s", c.name, m.Ns, c.more)
		}
	}
}

// The parts of the domains are what was asked for, and the hosts get equal
// shares; the same domains each time.
func TestParts(t *testing.T) {
	s := server(t, Config{NXDomain: 0.1, ServFail: 0.2, Silent: 0.05})
	const n = 8_000
	seen := map[string]int{}
	for i := range n {
		name := fmt.Sprintf("d%d.test.", i)
		m := s.ask(t, name, dns.TypeMX)
		switch again := s.ask(t, name, dns.TypeA); {
		case m == nil:
			if again != nil {
				t.Fatalf("%s is silent about MX only", name)
			}
			seen["silent"]++
		case m.Rcode != again.Rcode:
			t.Fatalf("%s: %d for MX, %d for A", name, m.Rcode, again.Rcode)
		case m.Rcode != 0:
			seen[dns.RcodeToString[m.Rcode]]++
		default:
			seen[m.Answer[0].(*dns.MX).Mx]++
		}
	}
	for what, part := range map[string]float64{"NXDOMAIN": 0.1, "SERVFAIL": 0.2, "silent": 0.05} {
		if got := float64(seen[what]) / n; math.Abs(got-part) > 0.015 {
			t.Errorf("%s: %.3f of the domains, want %.2f", what, got, part)
		}
		delete(seen, what)
	}
	if len(seen) != 50 {
		t.Errorf("%d hosts", len(seen))
	}
	for host, got := range seen {
		if want := 0.65 * n / 50; math.Abs(float64(got)-want) > want/2 {
			t.Errorf("%s has %d domains of %.0f", host, got, want)
		}
	}
	if st := s.Stats(); st.Queries != 2*n || st.MX != n || st.Address != n || st.Silent == 0 {
		t.Errorf("%+v", st)
	}
}

func TestOverSockets(t *testing.T) {
	s := server(t, Config{TXT: map[string]string{"long.test": strings.Repeat("x", 2000)}})
	ctx, cancel := context.WithCancel(t.Context())
	ended, at := make(chan error, 1), make(chan string, 1)
	go func() { ended <- s.Run(ctx, "127.0.0.1:0", func(a string) { at <- a }) }()
	address := <-at
	for _, network := range []string{"udp", "tcp"} {
		c := &dns.Client{Net: network}
		m, _, err := c.Exchange(new(dns.Msg).SetQuestion("a.test.", dns.TypeMX), address)
		if err != nil || len(m.Answer) != 1 {
			t.Errorf("%s: %v, %v", network, m, err)
		}
		m, _, err = c.Exchange(new(dns.Msg).SetQuestion("long.test.", dns.TypeTXT), address)
		if err != nil || m.Truncated != (network == "udp") || len(m.Answer) != map[string]int{"tcp": 1}[network] {
			t.Errorf("%s: %v, %v", network, m, err)
		}
	}
	c, err := net.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte("no query")) // and the server goes on
	if m, err := dns.Exchange(new(dns.Msg).SetQuestion("a.test.", dns.TypeMX), address); err != nil || len(m.Answer) != 1 {
		t.Error(m, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// What is no query gets no answer.
func TestBadQueries(t *testing.T) {
	s := server(t, Config{})
	good, err := new(dns.Msg).SetQuestion("a.b.test.", dns.TypeMX).Pack()
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(b []byte) []byte) []byte { return change(slices.Clone(good)) }
	bad := [][]byte{
		with(func(b []byte) []byte { b[2] |= 0x80; return b }),                                                   // a reply
		with(func(b []byte) []byte { b[5] = 2; return b }),                                                       // two questions
		with(func(b []byte) []byte { b[12] = 0xC0; return b }),                                                   // a pointer
		with(func(b []byte) []byte { b[12] = 63; return b }),                                                     // a label that ends behind the message
		append(append(slices.Clone(good[:12]), []byte(strings.Repeat("\x01a", 127)+"\x01a\x00")...), 0, 1, 0, 1), // 257 octets
	}
	for n := range good {
		bad = append(bad, good[:n:n])
	}
	for _, b := range bad {
		if got := s.Answer(nil, b, true); len(got) > 0 {
			t.Errorf("%x is answered by %x", b, got)
		}
	}
	longest := append(append(slices.Clone(good[:12]), []byte(strings.Repeat("\x01a", 127)+"\x00")...), 0, 1, 0, 1)
	if got := s.Answer(nil, longest, true); len(got) == 0 || s.Stats().Bad != int64(len(bad)) {
		t.Errorf("the longest name is not answered; %+v", s.Stats())
	}
}

func TestConfigErrors(t *testing.T) {
	for _, cfg := range []Config{
		{},
		{Hosts: hosts(1), MX: 17},
		{Hosts: hosts(1), NXDomain: 0.6, ServFail: 0.6},
		{Hosts: hosts(1), Silent: math.NaN()},
		{Hosts: hosts(1), Latency: -1},
		{Hosts: hosts(1), Zones: []string{"a..b"}},
		{Hosts: hosts(1), Parent: strings.Repeat("a.", 200) + "b"},
		{Hosts: hosts(1), TXT: map[string]string{"x": strings.Repeat("x", 5000)}},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
}

// Whatever comes, the server lives, and what it answers can be read and has
// the question that was asked.
func FuzzAnswer(f *testing.F) {
	s := server(f, Config{MX: 3, Own: true, NXDomain: 0.1, ServFail: 0.1, Silent: 0.1, TXT: map[string]string{"t.test": strings.Repeat("x", 1000)}})
	for i, name := range []string{"d1.test.", ".", "localhost.", "t.test.", "1.0.0.127.in-addr.arpa.", "mx1.d1.test.", strings.Repeat("a.", 126) + "a."} {
		q := new(dns.Msg).SetQuestion(name, []uint16{dns.TypeMX, dns.TypeA, dns.TypeTXT, dns.TypePTR, dns.TypeANY}[i%5])
		if i%2 == 0 {
			q.SetEdns0(4096, true)
		}
		if b, err := q.Pack(); err == nil {
			f.Add(b, i%2 == 0)
		}
	}
	f.Fuzz(func(t *testing.T, msg []byte, udp bool) {
		b := s.Answer([]byte("prefix"), msg, udp)
		if string(b[:6]) != "prefix" {
			t.Fatal("what stood before is gone")
		}
		if b = b[6:]; len(b) == 0 {
			return
		}
		reply := new(dns.Msg)
		if err := reply.Unpack(b); err != nil {
			t.Fatalf("%v in %x, for %x", err, b, msg)
		}
		if udp && len(b) > 65535 || reply.Opcode == 0 && !slices.Equal(b[12:12+3], msg[12:12+3]) {
			t.Errorf("%x for %x", b, msg)
		}
	})
}

// One query over loopback costs two system calls; the rules should be small
// beside them.
func BenchmarkAnswer(b *testing.B) {
	s := server(b, Config{})
	wire, err := new(dns.Msg).SetQuestion("d123456.test.", dns.TypeMX).Pack()
	if err != nil {
		b.Fatal(err)
	}
	out := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		out = s.Answer(out[:0], wire, true)
	}
}
