package dnscache

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// bothFor answers A and AAAA of any name.
func bothFor(q *dns.Msg) *dns.Msg {
	if q.Question[0].Qtype == dns.TypeA {
		return replyTo(q, q.Question[0].Name+" 300 A 192.0.2.1")
	}
	return replyTo(q, q.Question[0].Name+" 300 AAAA 2001:db8::1")
}

var bothAddrs = []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1")}

func wantBoth(t *testing.T, c *Cache, host string) {
	t.Helper()
	got, err := c.LookupAddrs(context.Background(), host)
	if err != nil || !slices.Equal(got.Records, bothAddrs) {
		t.Errorf("%s: %v, %v", host, got.Records, err)
	}
}

// Both questions about a host's addresses go over one socket, which is thrown
// away after as many questions as any other.
func TestPairSocket(t *testing.T) {
	c, s := scripted(t, func(q *dns.Msg, _ string) [][]byte { return packed(bothFor(q)) })
	for _, host := range []string{"a.test", "b.test", "c.test"} {
		wantBoth(t, c, host)
	}
	if s.dials != 1 || s.uses[1] != 6 {
		t.Errorf("%d sockets, %v questions", s.dials, s.uses)
	}
	for i := range socketUses {
		wantBoth(t, c, string(rune('a'+i%26))+string(rune('a'+i/26))+".test")
	}
	for n, uses := range s.uses {
		if uses > socketUses {
			t.Errorf("socket %d carried %d questions", n, uses)
		}
	}
}

// Replies may come in any order, among them some of a stranger, who has then
// seen the port: nothing else is asked from it.
func TestPairOrder(t *testing.T) {
	var first []byte
	c, s := scripted(t, func(q *dns.Msg, _ string) [][]byte {
		if q.Question[0].Qtype == dns.TypeAAAA {
			first = packed(bothFor(q))[0]
			return nil
		}
		forged := bothFor(q)
		forged.Id++
		crossed := bothFor(q)
		crossed.Question[0].Qtype = dns.TypeMX
		second := replyTo(q, "a.test. 300 A 192.0.2.66") // of two that fit the first counts
		return append(packed(forged, crossed, bothFor(q), second), first)
	})
	wantBoth(t, c, "a.test")
	if s.open != 0 || s.dials != 1 {
		t.Errorf("%d of %d sockets left open", s.open, s.dials)
	}
}

// A box on the way that lets one reply of two pass costs some waits, no answer,
// and then nothing for an hour. A reply that is lost now and then changes
// nothing.
func TestPairLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := map[string]bool{}
		loses := true
		c, s := scripted(t, func(q *dns.Msg, _ string) [][]byte {
			if name := q.Question[0].Name; loses && q.Question[0].Qtype == dns.TypeA && !lost[name] {
				lost[name] = true
				return nil
			}
			return packed(bothFor(q))
		})
		srv, patience, hosts := c.settings.Load().servers[0], c.settings.Load().patience(), 0
		host := func(want time.Duration) {
			t.Helper()
			begin := time.Now()
			hosts++
			wantBoth(t, c, "h"+strconv.Itoa(hosts)+".test")
			if took := time.Since(begin); took != want {
				t.Errorf("host %d took %v", hosts, took)
			}
		}
		for range 3 {
			for range singleAfter - 1 {
				host(patience)
			}
			loses = false
			host(0)
			loses = true
		}
		if !srv.pairs(time.Now()) {
			t.Error("one at a time, though replies are lost now and then only")
		}
		for range singleAfter {
			host(patience)
		}
		loses = false
		asked := len(s.queries)
		host(0)
		if srv.pairs(time.Now()) || len(s.queries) != asked+2 {
			t.Errorf("two at a time again, or %d questions", len(s.queries)-asked)
		}
		time.Sleep(singleFor)
		if !srv.pairs(time.Now()) {
			t.Error("one at a time for ever")
		}
	})
}

// A reply that does not do is asked for again, alone and by the usual rules.
func TestPairOdd(t *testing.T) {
	for name, odd := range map[string]func(q *dns.Msg, network string) *dns.Msg{
		"cut": func(q *dns.Msg, network string) *dns.Msg {
			m := bothFor(q)
			m.Truncated = network == "udp"
			return m
		},
		"forged": func(q *dns.Msg, network string) *dns.Msg {
			m := bothFor(q)
			if network == "udp" {
				m.Id++
			}
			return m
		},
		"no EDNS": func(q *dns.Msg, _ string) *dns.Msg {
			if q.IsEdns0() != nil {
				return new(dns.Msg).SetRcode(q, dns.RcodeFormatError)
			}
			return bothFor(q)
		},
	} {
		for _, types := range [][]uint16{{dns.TypeA}, {dns.TypeAAAA}, {dns.TypeA, dns.TypeAAAA}} {
			c, _ := scripted(t, func(q *dns.Msg, network string) [][]byte {
				if slices.Contains(types, q.Question[0].Qtype) {
					return slices.Repeat(packed(odd(q, network)), maxForged) // the last are not read, but where they are forged
				}
				return packed(bothFor(q))
			})
			t.Run(name, func(t *testing.T) { wantBoth(t, c, "a.test") })
		}
	}
}

// What a server says to the two questions is its first word in the turn of
// exchange, and tells of its health.
func TestPairCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := true
		c, s := scripted(t, func(q *dns.Msg, _ string) [][]byte {
			if silent {
				return nil
			}
			return packed(new(dns.Msg).SetRcode(q, dns.RcodeServerFailure))
		})
		begin, patience := time.Now(), c.settings.Load().patience()
		if _, err := c.LookupAddrs(context.Background(), "a.test"); err == nil || len(s.queries) != 2*tries || time.Since(begin) < patience*(1<<tries-1) {
			t.Errorf("silent: %v, %d questions in %v", err, len(s.queries), time.Since(begin))
		}
		time.Sleep(deadLongest)
		silent, s.queries = false, nil
		srv := c.settings.Load().servers[0]
		srv.silences, srv.dead = 1, false
		if _, err := c.LookupAddrs(context.Background(), "b.test"); err == nil || len(s.queries) != 2 || srv.silences != 0 {
			t.Errorf("failing: %v, %d questions, %d silences", err, len(s.queries), srv.silences)
		}
	})
}

func TestIDs(t *testing.T) {
	r, seen := ids{}, map[uint16]bool{}
	for range 1000 {
		seen[r.next()] = true
	}
	if len(seen) < 900 { // by chance some 8 are drawn twice
		t.Errorf("%d different ids", len(seen))
	}
}
