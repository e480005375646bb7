package dnscache

import (
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var comparable = cmp.Options{cmpopts.EquateComparable(netip.Addr{})}

func TestLookups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRig(t, nil)
		ctx := t.Context()
		mx, err := c.LookupMX(ctx, "Example.TEST.")
		if d := cmp.Diff([]MX{{"a.example.test", 10}, {"b.example.test", 20}}, mx.Records); err != nil || d != "" {
			t.Error(err, d)
		}
		if mx.TTL != 300*time.Second || mx.Secure || mx.Stale || mx.Canonical != "" {
			t.Errorf("%+v", mx)
		}
		mx, err = c.LookupMX(ctx, "null.test")
		if d := cmp.Diff([]MX{{"", 0}}, mx.Records); err != nil || d != "" {
			t.Error(err, d)
		}
		mx, err = c.LookupMX(ctx, "any.thing.wild.test")
		if d := cmp.Diff([]MX{{"mx.wild.test", 0}}, mx.Records); err != nil || d != "" {
			t.Error(err, d)
		}
		a, err := c.LookupAddrs(ctx, "a.example.test")
		if d := cmp.Diff(addrs(t, "2001:db8::1", "192.0.2.1"), a.Records, comparable); err != nil || d != "" {
			t.Error(err, d)
		}
		a, err = c.LookupAddrs(ctx, "b.example.test")
		if d := cmp.Diff(addrs(t, "192.0.2.2"), a.Records, comparable); err != nil || d != "" || a.TTL != 60*time.Second {
			t.Error(err, d, a.TTL)
		}
		txt, err := c.LookupTXT(ctx, "example.test")
		if d := cmp.Diff([]string{"v=spf1 -all"}, txt.Records); err != nil || d != "" {
			t.Error(err, d)
		}
		txt, err = c.LookupTXT(ctx, "bytes.test")
		if d := cmp.Diff([]string{"a\"b\\c\xc8d"}, txt.Records); err != nil || d != "" {
			t.Error(err, d)
		}
		ptr, err := c.LookupPTR(ctx, netip.MustParseAddr("::ffff:192.0.2.1"))
		if d := cmp.Diff([]string{"a.example.test"}, ptr.Records); err != nil || d != "" {
			t.Error(err, d)
		}
		tlsa, err := c.LookupTLSA(ctx, "_25._tcp.a.example.test")
		if err != nil || len(tlsa.Records) != 1 || tlsa.Records[0].Usage != 3 || len(tlsa.Records[0].Data) != 32 {
			t.Error(err, tlsa)
		}
	})
}

func TestAliases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRig(t, nil)
		a, err := c.LookupAddrs(t.Context(), "chain.example.test")
		if d := cmp.Diff(addrs(t, "2001:db8::1", "192.0.2.1"), a.Records, comparable); err != nil || d != "" {
			t.Error(err, d)
		}
		if a.Canonical != "a.example.test" || a.TTL != 100*time.Second {
			t.Errorf("%+v", a)
		}
		if _, err := c.LookupAddrs(t.Context(), "dangle.example.test"); !errors.Is(err, ErrNotFound) {
			t.Errorf("dangling alias: %v", err)
		}
		if _, err := c.LookupAddrs(t.Context(), "loop.example.test"); !errors.Is(err, ErrTemporary) {
			t.Errorf("loop of aliases: %v", err)
		}
	})
}

// What a caller appends to an answer must not reach another caller.
func TestAnswersHaveNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRig(t, nil)
		if err := c.server.SetZone(`
x.test. MX 1 a.test.
x.test. MX 2 b.test.
x.test. MX 3 c.test.
x.test. TXT "a"
x.test. TXT "b"
x.test. TXT "c"
x.test. A 192.0.2.1
x.test. A 192.0.2.2
x.test. A 192.0.2.3`); err != nil {
			t.Fatal(err)
		}
		mx, _ := c.LookupMX(t.Context(), "x.test")
		txt, _ := c.LookupTXT(t.Context(), "x.test")
		a, _ := c.LookupAddrs(t.Context(), "x.test")
		for _, n := range [][2]int{{len(mx.Records), cap(mx.Records)}, {len(txt.Records), cap(txt.Records)}, {len(a.Records), cap(a.Records)}} {
			if n != [2]int{3, 3} {
				t.Errorf("length and capacity %v", n)
			}
		}
	})
}
