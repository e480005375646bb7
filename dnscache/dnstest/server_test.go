package dnstest

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

const text = `
$TTL 600
example.test.       SOA  ns.example.test. root.example.test. 1 3600 600 86400 77
example.test.       MX   10 mx.example.test.
mx.example.test.    A    192.0.2.1
deep.a.b.example.test. A 192.0.2.2
*.wild.example.test. MX  5 mx
*.wild.example.test. TXT "w"
there.wild.example.test. A 192.0.2.3
www.example.test.   CNAME mx.example.test.
out.example.test.   CNAME gone.example.test.
ring.example.test.  CNAME ring.example.test.
`

// ask sends one query to s in memory and shows the reply: rcode, then the
// records of the answer, then "SOA name" of a denial.
func ask(t *testing.T, s *Server, network, name, qtype string) string {
	t.Helper()
	m, err := exchange(t, s, network, query(name, qtype))
	if err != nil {
		return err.Error()
	}
	return show(m)
}

func query(name, qtype string) *dns.Msg {
	q := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.StringToType[qtype])
	q.Id = 1000
	return q
}

func exchange(t *testing.T, s *Server, network string, q *dns.Msg) (*dns.Msg, error) {
	t.Helper()
	conn, err := s.Dial(t.Context(), network, "127.0.0.1:53")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return over(conn, network, q)
}

// over is one exchange over a connection; by TCP the query comes in two pieces.
func over(conn net.Conn, network string, q *dns.Msg) (*dns.Msg, error) {
	b, err := q.Pack()
	if err != nil {
		return nil, err
	}
	if network == "tcp" {
		b = append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
		if _, err := conn.Write(b[:5]); err != nil {
			return nil, err
		}
		b = b[5:]
	}
	if _, err := conn.Write(b); err != nil {
		return nil, err
	}
	reply := make([]byte, 64<<10)
	var n int
	if network == "tcp" {
		if _, err := io.ReadFull(conn, reply[:2]); err != nil {
			return nil, err
		}
		n = int(binary.BigEndian.Uint16(reply))
		_, err = io.ReadFull(conn, reply[:n])
	} else {
		n, err = conn.Read(reply)
	}
	if err != nil {
		return nil, err
	}
	m := new(dns.Msg)
	return m, m.Unpack(reply[:n])
}

func show(m *dns.Msg) string {
	parts := []string{dns.RcodeToString[m.Rcode]}
	if m.Truncated {
		parts = append(parts, "truncated")
	}
	for _, rr := range m.Answer {
		parts = append(parts, strings.Join(strings.Fields(rr.String()), " "))
	}
	for _, rr := range m.Ns {
		parts = append(parts, dns.TypeToString[rr.Header().Rrtype]+" "+rr.Header().Name)
	}
	return strings.Join(parts, "; ")
}

func TestAnswers(t *testing.T) {
	for _, k := range []struct{ name, qtype, want string }{
		{"example.test", "MX", "NOERROR; example.test. 600 IN MX 10 mx.example.test."},
		{"EXAMPLE.test", "mx", "NOERROR; EXAMPLE.test. 600 IN MX 10 mx.example.test."},
		{"mx.example.test", "AAAA", "NOERROR; SOA example.test."},
		{"no.example.test", "A", "NXDOMAIN; SOA example.test."},
		{"b.example.test", "A", "NOERROR; SOA example.test."}, // exists for what is below it
		{"x.wild.example.test", "TXT", `NOERROR; x.wild.example.test. 600 IN TXT "w"`},
		{"y.x.wild.example.test", "TXT", `NOERROR; y.x.wild.example.test. 600 IN TXT "w"`},
		{"x.wild.example.test", "A", "NOERROR; SOA example.test."},
		{"there.wild.example.test", "TXT", "NOERROR; SOA example.test."}, // what exists is not wild
		{"below.there.wild.example.test", "TXT", "NXDOMAIN; SOA example.test."},
		{"wild.example.test", "TXT", "NOERROR; SOA example.test."},
		{"www.example.test", "A", "NOERROR; www.example.test. 600 IN CNAME mx.example.test.; mx.example.test. 600 IN A 192.0.2.1"},
		{"www.example.test", "CNAME", "NOERROR; www.example.test. 600 IN CNAME mx.example.test."},
		{"out.example.test", "A", "NXDOMAIN; out.example.test. 600 IN CNAME gone.example.test.; SOA example.test."},
		{"other.test", "A", "NXDOMAIN; SOA ."},
	} {
		s := New(text)
		for _, network := range []string{"udp", "tcp"} {
			if got := ask(t, s, network, k.name, strings.ToUpper(k.qtype)); got != k.want {
				t.Errorf("%s %s by %s\n got %s\nwant %s", k.name, k.qtype, network, got, k.want)
			}
		}
		if n := s.Count(k.name, k.qtype); n != 2 || s.Queries() != 2 {
			t.Errorf("%s %s: counted %d of %d", k.name, k.qtype, n, s.Queries())
		}
	}
	if got := ask(t, New(text), "udp", "ring.example.test", "A"); !strings.HasPrefix(got, "SERVFAIL") {
		t.Error(got)
	}
}

func TestManners(t *testing.T) {
	good := "NOERROR; example.test. 600 IN MX 10 mx.example.test."
	for f, want := range map[Fault]string{
		None: good, ServFail: "SERVFAIL", Refuse: "REFUSED", Truncate: "NOERROR; truncated", Lame: "NOERROR; NS .", NoEDNS: good,
		Silence: os.ErrDeadlineExceeded.Error(),
	} {
		synctest.Test(t, func(t *testing.T) {
			s := New(text)
			s.Misbehave("example.test", Manner{Fault: f})
			if got := ask(t, s, "udp", "example.test", "MX"); got != want {
				t.Errorf("fault %d: %s", f, got)
			}
			if got := ask(t, s, "udp", "mx.example.test", "A"); !strings.HasSuffix(got, "192.0.2.1") {
				t.Errorf("fault %d spreads: %s", f, got)
			}
			s.Misbehave("Example.test.", Manner{})
			if got := ask(t, s, "udp", "example.test", "MX"); got != good {
				t.Errorf("fault %d stays: %s", f, got)
			}
		})
	}
	s := New(text)
	s.Misbehave("*", Manner{Fault: Refuse})
	s.Misbehave("mx.example.test", Manner{Fault: ServFail})
	s.Misbehave("AAAA mx.example.test", Manner{Fault: Truncate})
	for _, k := range []struct{ network, name, qtype, want string }{
		{"udp", "example.test", "MX", "REFUSED"},
		{"udp", "mx.example.test", "A", "SERVFAIL"},
		{"udp", "mx.example.test", "AAAA", "NOERROR; truncated"},
		{"tcp", "mx.example.test", "AAAA", "NOERROR; SOA example.test."},
	} {
		if got := ask(t, s, k.network, k.name, k.qtype); got != k.want {
			t.Errorf("%+v: %s", k, got)
		}
	}
}

func TestWrongReplies(t *testing.T) {
	s := New(text)
	edns := query("example.test", "MX").SetEdns0(1232, false)
	s.Misbehave("*", Manner{Fault: WrongID})
	if m, err := exchange(t, s, "udp", query("example.test", "MX")); err != nil || m.Id == 1000 {
		t.Error(m, err)
	}
	s.Misbehave("*", Manner{Fault: WrongName})
	if m, err := exchange(t, s, "udp", query("example.test", "MX")); err != nil || m.Question[0].Name == "example.test." {
		t.Error(m, err)
	}
	s.Misbehave("*", Manner{Fault: Garbage})
	if m, err := exchange(t, s, "udp", query("example.test", "MX")); err == nil {
		t.Error("garbage can be parsed:", m)
	}
	s.Misbehave("*", Manner{Fault: NoEDNS})
	if m, err := exchange(t, s, "udp", edns); err != nil || m.Rcode != dns.RcodeFormatError {
		t.Error(m, err)
	}
}

func TestDelayAndZoneChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(text)
		s.Misbehave("*", Manner{Delay: 700 * time.Millisecond})
		begin := time.Now()
		if got := ask(t, s, "udp", "mx.example.test", "A"); !strings.HasSuffix(got, "192.0.2.1") || time.Since(begin) != 700*time.Millisecond {
			t.Error(got, time.Since(begin))
		}
		if err := s.SetZone("this is no zone"); err == nil {
			t.Error("taken")
		}
		if err := s.SetZone("mx.example.test. A 192.0.2.99"); err != nil {
			t.Error(err)
		}
		if got := ask(t, s, "udp", "mx.example.test", "A"); !strings.HasSuffix(got, "192.0.2.99") {
			t.Error(got)
		}
	})
}

func TestSecure(t *testing.T) {
	s := New(text)
	q := query("example.test", "MX")
	q.AuthenticatedData = true
	ad := func(q *dns.Msg) bool {
		m, err := exchange(t, s, "udp", q)
		if err != nil {
			t.Fatal(err)
		}
		return m.AuthenticatedData
	}
	if ad(q) {
		t.Error("AD from a server that does not validate")
	}
	s.Secure(true)
	if !ad(q) || !ad(query("example.test", "MX").SetEdns0(1232, true)) || ad(query("example.test", "MX")) {
		t.Error("AD goes to those who ask for it, with AD or DO")
	}
	s.Misbehave("example.test", Manner{Insecure: true})
	if ad(q) {
		t.Error("AD for an insecure name")
	}
}

func TestTruncation(t *testing.T) {
	s := New("big.test. TXT " + strings.Repeat(`"`+strings.Repeat("x", 200)+`" `, 4))
	if got := ask(t, s, "udp", "big.test", "TXT"); got != "NOERROR; truncated" {
		t.Error(got)
	}
	if m, err := exchange(t, s, "udp", query("big.test", "TXT").SetEdns0(1232, false)); err != nil || len(m.Answer) != 1 {
		t.Error(m, err)
	}
	if m, err := exchange(t, s, "tcp", query("big.test", "TXT")); err != nil || len(m.Answer) != 1 {
		t.Error(m, err)
	}
}

// A server that is no server fails at once, where the mistake is.
func TestBadZonePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	New("nonsense")
}

func TestClosedConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, err := New(text).Dial(t.Context(), "udp", "127.0.0.1:53")
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, func() { _ = conn.Close() })
		if _, err := conn.Read(make([]byte, 10)); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if _, err := conn.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if _, err := New(text).Dial(t.Context(), "unix", ""); err == nil {
			t.Error("a network that does not exist")
		}
	})
}

func TestRealSockets(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	pc, ln, err := Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if pc.LocalAddr().String() != ln.Addr().String() {
		t.Error("two ports")
	}
	s := New(text)
	var done sync.WaitGroup
	done.Go(func() {
		if err := s.Serve(ctx, pc, ln); err != nil {
			t.Error(err)
		}
	})
	for _, network := range []string{"udp", "tcp"} {
		client := dns.Client{Net: network, Timeout: time.Minute}
		m, _, err := client.Exchange(query("www.example.test", "A"), ln.Addr().String())
		if err != nil || !slices.ContainsFunc(m.Answer, func(rr dns.RR) bool { return strings.HasSuffix(rr.String(), "192.0.2.1") }) {
			t.Error(network, m, err)
		}
	}
	idle, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Error(err)
	} else {
		defer idle.Close()
	}
	cancel()
	done.Wait() // though a client is still connected
}

func FuzzQuery(f *testing.F) {
	b, err := query("www.example.test", "A").Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b, true)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, query []byte, udp bool) {
		reply, _ := New(text).reply(query, udp)
		if udp && len(reply) > 1<<16 {
			t.Error(len(reply))
		}
	})
}
