package dnscache

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"tenma/dnscache/dnstest"
)

func TestTruncatedGoesToTCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRig(t, nil)
		c.server.Misbehave("*", dnstest.Manner{Fault: dnstest.Truncate})
		if mx, err := c.LookupMX(t.Context(), "example.test"); err != nil || len(mx.Records) != 2 {
			t.Error(mx, err)
		}
		c.server.Misbehave("*", dnstest.Manner{})
		// So does an answer that does not fit.
		var zone strings.Builder
		for i := range 90 {
			fmt.Fprintf(&zone, "big.test. MX %d exchanger-with-a-long-name-%d.big.test.\n", i, i)
		}
		if err := c.server.SetZone(zone.String()); err != nil {
			t.Fatal(err)
		}
		if mx, err := c.LookupMX(t.Context(), "big.test"); err != nil || len(mx.Records) != 90 {
			t.Error(len(mx.Records), err)
		}
	})
}

// A cut in the middle of a record cannot be parsed, and is truncation too.
func TestCutReplyGoesToTCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(t, func(q *dns.Msg, network string) [][]byte {
			m := replyTo(q, "x.test. 300 IN MX 1 a.test.")
			m.Truncated = network == "udp"
			p := packed(m)
			if network == "udp" {
				p[0] = p[0][:len(p[0])-3]
			}
			return p
		})
		if mx, err := c.LookupMX(t.Context(), "x.test"); err != nil || len(mx.Records) != 1 || s.network["tcp"] != 1 {
			t.Error(mx, err, s.network)
		}
	})
}

func TestServerWithoutEDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRig(t, nil)
		c.server.Misbehave("*", dnstest.Manner{Fault: dnstest.NoEDNS})
		if mx, err := c.LookupMX(t.Context(), "example.test"); err != nil || len(mx.Records) != 2 {
			t.Error(mx, err)
		}
		if _, err := c.LookupMX(t.Context(), "null.test"); err != nil || c.server.Queries() != 3 {
			t.Errorf("%v; %d queries: that the server does not know EDNS was forgotten", err, c.server.Queries())
		}
		time.Sleep(plainFor)
		if _, err := c.LookupMX(t.Context(), "x.wild.test"); err != nil || c.server.Queries() != 5 {
			t.Errorf("%v; %d queries: EDNS was never tried again", err, c.server.Queries())
		}
	})
	// FORMERR without a question is how old servers say it.
	synctest.Test(t, func(t *testing.T) {
		c, _ := scripted(t, func(q *dns.Msg, _ string) [][]byte {
			if q.IsEdns0() == nil {
				return packed(replyTo(q, "x.test. 300 IN MX 1 a.test."))
			}
			m := new(dns.Msg).SetRcode(q, dns.RcodeFormatError)
			m.Question = nil
			return packed(m)
		})
		if mx, err := c.LookupMX(t.Context(), "x.test"); err != nil || len(mx.Records) != 1 {
			t.Error(mx, err)
		}
	})
}

// Queries say what they should: recursion, AD, EDNS with the safe size.
func TestQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(t, func(q *dns.Msg, _ string) [][]byte { return packed(replyTo(q, "x.test. 300 IN MX 1 a.test.")) })
		_, _ = c.LookupMX(t.Context(), "x.test")
		q := s.queries[0]
		if !q.RecursionDesired || !q.AuthenticatedData || q.CheckingDisabled || q.IsEdns0() == nil || q.IsEdns0().UDPSize() != 1232 {
			t.Error(q.String())
		}
	})
}

// Replies that do not fit the query are passed over; after a few, TCP decides.
func TestForgedReplies(t *testing.T) {
	for name, forge := range map[string]func(*dns.Msg){
		"id":           func(m *dns.Msg) { m.Id++ },
		"name":         func(m *dns.Msg) { m.Question[0].Name = "y.test." },
		"type":         func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeA },
		"class":        func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS },
		"no question":  func(m *dns.Msg) { m.Question = nil },
		"two":          func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) },
		"not a reply":  func(m *dns.Msg) { m.Response = false },
		"other opcode": func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify },
	} {
		for _, many := range []int{1, maxForged - 1, maxForged} {
			synctest.Test(t, func(t *testing.T) {
				c, s := scripted(t, func(q *dns.Msg, network string) [][]byte {
					good := replyTo(q, "x.test. 300 IN MX 1 good.test.")
					if network == "tcp" {
						return packed(good)
					}
					bad := replyTo(q, "x.test. 300 IN MX 1 evil.test.")
					forge(bad)
					return append(slices.Repeat(packed(bad), many), packed(good)...)
				})
				mx, err := c.LookupMX(t.Context(), "x.test")
				if err != nil || len(mx.Records) != 1 || mx.Records[0].Host != "good.test" {
					t.Errorf("%s: %v, %v", name, mx, err)
				}
				if wantTCP := many >= maxForged; (s.network["tcp"] == 1) != wantTCP {
					t.Errorf("%s: after %d forged replies: %v", name, many, s.network)
				}
				if s.open != 0 {
					t.Errorf("%s: a socket whose port somebody found is still open", name)
				}
			})
		}
	}
}

// A socket serves a few dozen queries, one at a time, and ids look random.
func TestSocketsAndIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(t, func(q *dns.Msg, _ string) [][]byte {
			return packed(replyTo(q, q.Question[0].Name+" 300 IN MX 1 a.test."))
		})
		for i := range 320 {
			if _, err := c.LookupMX(t.Context(), fmt.Sprintf("d%d.test", i)); err != nil {
				t.Fatal(err)
			}
		}
		if s.dials != 320/socketUses {
			t.Errorf("%d sockets for 320 queries", s.dials)
		}
		ids := map[uint16]bool{}
		steps := map[uint16]int{}
		for i, q := range s.queries {
			ids[q.Id] = true
			if i > 0 {
				steps[q.Id-s.queries[i-1].Id]++
			}
		}
		if len(ids) < 300 || len(steps) < 300 {
			t.Errorf("%d ids and %d steps between them in 320 queries", len(ids), len(steps))
		}
		// An idle socket does not stay open for ever.
		_, _ = c.LookupMX(t.Context(), "one.test")
		dials := s.dials
		time.Sleep(socketIdle + time.Second)
		if _, _ = c.LookupMX(t.Context(), "two.test"); s.dials != dials+1 {
			t.Error("an old socket was used again")
		}
	})
}

// After silence the socket goes: a late reply must find no one.
func TestSilenceClosesTheSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(t, func(*dns.Msg, string) [][]byte { return nil })
		begin := time.Now()
		if _, err := c.LookupMX(t.Context(), "x.test"); !errors.Is(err, ErrTemporary) {
			t.Error(err)
		}
		if s.open != 0 || s.dials != tries {
			t.Errorf("%d sockets open of %d", s.open, s.dials)
		}
		within(t, "the time of a lookup", time.Since(begin), 4900*time.Millisecond, 5*time.Second)
	})
}

// The number of idle sockets is bounded, and no two queries share one.
func TestPoolIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRig(t, func(cfg *Config) { cfg.Sockets = 3 })
		c.server.Misbehave("*", dnstest.Manner{Delay: 100 * time.Millisecond})
		var all sync.WaitGroup
		for i := range 2 * maxInFlight {
			all.Go(func() {
				if _, err := c.LookupMX(t.Context(), fmt.Sprintf("d%d.wild.test", i)); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if n := c.server.Queries(); n != maxInFlight {
			t.Errorf("%d queries at a time, want %d", n, maxInFlight)
		}
		all.Wait()
		if n := len(c.settings.Load().servers[0].idle); n != 3 {
			t.Errorf("%d idle sockets", n)
		}
	})
}

func TestFailOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		zone := "*.test. 300 MX 1 a.test."
		one, two := dnstest.New(zone), dnstest.New(zone)
		c, err := New(Config{
			Servers: []string{"127.0.0.1:53", "127.0.0.2:53"},
			Dial:    several(map[string]*dnstest.Server{"127.0.0.1:53": one, "127.0.0.2:53": two}),
		}, Deps{})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		lookup := func() time.Duration {
			n++
			begin := time.Now()
			if _, err := c.LookupMX(t.Context(), fmt.Sprintf("d%d.test", n)); err != nil {
				t.Error(err)
			}
			return time.Since(begin)
		}
		lookup()
		if one.Queries() != 1 || two.Queries() != 0 {
			t.Error("the order of servers is not kept")
		}
		for _, f := range []dnstest.Fault{dnstest.ServFail, dnstest.Refuse, dnstest.Lame} {
			one.Misbehave("*", dnstest.Manner{Fault: f})
			if took := lookup(); took > 0 {
				t.Errorf("fault %d: took %v", f, took)
			}
		}
		one.Misbehave("*", dnstest.Manner{Fault: dnstest.Silence})
		for range deadAfter {
			if took := lookup(); took == 0 || took > time.Second {
				t.Errorf("took %v to pass over a silent server", took)
			}
		}
		asked := one.Queries()
		for range 50 {
			if took := lookup(); took > 0 {
				t.Errorf("a dead server cost %v", took)
			}
		}
		if one.Queries() != asked {
			t.Error("a dead server was asked")
		}
		// Now and then it is tried, by one lookup, ever more seldom.
		time.Sleep(deadFirst)
		asked = one.Queries()
		var crowd sync.WaitGroup
		for i := range 20 {
			crowd.Go(func() { _, _ = c.LookupMX(t.Context(), fmt.Sprintf("crowd%d.test", i)) })
		}
		crowd.Wait()
		if n := one.Queries() - asked; n != 1 {
			t.Errorf("%d of a crowd tried it again", n)
		}
		time.Sleep(deadFirst + time.Second)
		if took := lookup(); took > 0 {
			t.Errorf("tried too early, took %v", took)
		}
		// It comes back.
		one.Misbehave("*", dnstest.Manner{})
		time.Sleep(deadLongest)
		asked = one.Queries()
		lookup()
		lookup()
		if one.Queries() != asked+2 {
			t.Error("it did not come back")
		}
		// All dead is no reason not to ask.
		one.Misbehave("*", dnstest.Manner{Fault: dnstest.Silence})
		two.Misbehave("*", dnstest.Manner{Fault: dnstest.Silence})
		for i := range 3 {
			_, _ = c.LookupMX(t.Context(), fmt.Sprintf("x%d.test", i))
		}
		two.Misbehave("*", dnstest.Manner{})
		if took := lookup(); took > time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// A caller in a hurry does not make a server dead.
func TestHasteKillsNoServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRig(t, nil)
		c.server.Misbehave("*", dnstest.Manner{Delay: 50 * time.Millisecond})
		for range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			_, _ = c.LookupMX(ctx, "example.test")
			cancel()
		}
		for range 10 {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Millisecond, cancel)
			_, _ = c.LookupMX(ctx, "example.test")
		}
		if c.settings.Load().servers[0].dead {
			t.Error("dead")
		}
	})
}

func TestWhoseADBitCounts(t *testing.T) {
	for _, k := range []struct {
		server string
		trust  bool
		want   bool
	}{{"127.0.0.1:53", false, true}, {"[::1]:5353", false, true}, {"192.0.2.53:53", false, false}, {"192.0.2.53:53", true, true}, {"localhost:53", false, false}} {
		synctest.Test(t, func(t *testing.T) {
			c := newRig(t, func(cfg *Config) { cfg.Servers, cfg.TrustAD = []string{k.server}, k.trust })
			c.server.Secure(true)
			mx, err := c.LookupMX(t.Context(), "example.test")
			if err != nil || mx.Secure != k.want {
				t.Errorf("%s, trusted %v: secure %v, %v", k.server, k.trust, mx.Secure, err)
			}
			tlsa, err := c.LookupTLSA(t.Context(), "_25._tcp.none.test")
			if !errors.Is(err, ErrNotFound) || tlsa.Secure != k.want {
				t.Errorf("%s, trusted %v: denial secure %v, %v", k.server, k.trust, tlsa.Secure, err)
			}
			c.server.Secure(false)
			if mx, _ := c.LookupMX(t.Context(), "null.test"); mx.Secure {
				t.Error("secure without the bit")
			}
		})
	}
}

func TestTwoFamilies(t *testing.T) {
	both, v4, v6 := []string{"2001:db8::1", "192.0.2.1"}, []string{"192.0.2.1"}, []string{"2001:db8::1"}
	ok, silent, fails := dnstest.None, dnstest.Silence, dnstest.ServFail
	for _, k := range []struct {
		why    string
		a, aa  dnstest.Fault
		host   string
		want   []string
		err    error
		most   time.Duration
		secure bool
	}{
		{"both", ok, ok, "a.example.test", both, nil, 300 * time.Second, true},
		{"no AAAA", ok, ok, "b.example.test", []string{"192.0.2.2"}, nil, 60 * time.Second, true},
		{"AAAA fails", ok, fails, "a.example.test", v4, nil, halfAnswerLife, true},
		{"AAAA silent", ok, silent, "a.example.test", v4, nil, halfAnswerLife, true},
		{"A silent", silent, ok, "a.example.test", v6, nil, halfAnswerLife, true},
		{"both fail", fails, silent, "a.example.test", nil, ErrTemporary, 5 * time.Second, false},
		{"A fails, no AAAA", fails, ok, "b.example.test", nil, ErrTemporary, 5 * time.Second, false},
		{"AAAA fails, no A", ok, fails, "example.test", nil, ErrTemporary, 5 * time.Second, false},
		{"neither", ok, ok, "example.test", nil, ErrNoData, 60 * time.Second, true},
		{"no such name", ok, ok, "no.example.test", nil, ErrNotFound, 60 * time.Second, true},
	} {
		t.Run(k.why, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newRig(t, nil)
				c.server.Secure(true)
				c.server.Misbehave("A "+k.host, dnstest.Manner{Fault: k.a})
				c.server.Misbehave("AAAA "+k.host, dnstest.Manner{Fault: k.aa})
				a, err := c.LookupAddrs(t.Context(), k.host)
				if d := cmp.Diff(addrs(t, k.want...), a.Records, comparable); d != "" || !errors.Is(err, k.err) || a.TTL != k.most || a.Secure != k.secure {
					t.Errorf("%v, TTL %v, secure %v, %s", err, a.TTL, a.Secure, d)
				}
			})
		})
	}
	t.Run("at the same time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newRig(t, nil)
			c.server.Misbehave("*", dnstest.Manner{Delay: 400 * time.Millisecond})
			begin := time.Now()
			if _, err := c.LookupAddrs(t.Context(), "a.example.test"); err != nil || time.Since(begin) != 400*time.Millisecond {
				t.Error(err, time.Since(begin))
			}
		})
	})
	t.Run("one insecure", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newRig(t, nil)
			c.server.Secure(true)
			c.server.Misbehave("A a.example.test", dnstest.Manner{Insecure: true})
			if a, err := c.LookupAddrs(t.Context(), "a.example.test"); err != nil || a.Secure {
				t.Error(a, err)
			}
		})
	})
}

// A server may leave a chain of aliases to us.
func TestAliasesAcrossReplies(t *testing.T) {
	chain := map[string]string{"a.test.": "b.test.", "b.test.": "c.test."}
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(t, func(q *dns.Msg, _ string) [][]byte {
			name := q.Question[0].Name
			if to := chain[name]; to != "" {
				return packed(replyTo(q, name+" 50 IN CNAME "+to))
			}
			return packed(replyTo(q, name+" 300 IN MX 1 mx.test."))
		})
		mx, err := c.LookupMX(t.Context(), "a.test")
		if err != nil || len(mx.Records) != 1 || mx.Canonical != "c.test" || mx.TTL != 50*time.Second || len(s.queries) != 3 {
			t.Error(mx, err, len(s.queries))
		}
		chain["c.test."] = "a.test."
		time.Sleep(time.Minute)
		before := len(s.queries)
		if _, err := c.LookupMX(t.Context(), "a.test"); !errors.Is(err, ErrTemporary) || len(s.queries)-before > maxAliases+1 {
			t.Errorf("a loop across replies: %v after %d queries", err, len(s.queries)-before)
		}
	})
}

// Only the server's own reply counts, on real sockets: a stranger who knows
// everything but sits elsewhere is not heard.
func TestStrangerIsNotHeard(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	stranger, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	var done sync.WaitGroup
	done.Go(func() {
		buf := make([]byte, 4096)
		n, from, err := pc.ReadFrom(buf)
		if err != nil {
			return
		}
		q := new(dns.Msg)
		if err := q.Unpack(buf[:n]); err != nil {
			t.Error(err)
			return
		}
		_, _ = stranger.WriteTo(packed(replyTo(q, "x.test. 300 IN MX 1 evil.test."))[0], from)
		_, _ = pc.WriteTo(packed(replyTo(q, "x.test. 300 IN MX 1 good.test."))[0], from)
	})
	c, err := New(Config{Servers: []string{pc.LocalAddr().String()}, Timeout: time.Minute}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	mx, err := c.LookupMX(t.Context(), "x.test")
	if err != nil || len(mx.Records) != 1 || mx.Records[0].Host != "good.test" {
		t.Error(mx, err)
	}
	_ = pc.Close()
	done.Wait()
	for _, s := range c.settings.Load().servers {
		s.closeIdle()
	}
}

func TestReverseName(t *testing.T) {
	for a, want := range map[string]string{
		"192.0.2.1": "1.2.0.192.in-addr.arpa.", "::ffff:192.0.2.1": "1.2.0.192.in-addr.arpa.",
		"fe80::1%eth0": "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.e.f.ip6.arpa.",
	} {
		if got := reverseName(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s: %s", a, got)
		}
	}
	if got := reverseName(netip.Addr{}); got != "" {
		t.Error(got)
	}
}
