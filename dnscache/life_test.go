package dnscache

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tenma/dnscache/dnstest"
)

func TestAnswersLiveTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRig(t, nil)
		for _, step := range []struct {
			wait time.Duration
			ttl  time.Duration
			asks int
		}{{0, 300 * time.Second, 1}, {299 * time.Second, time.Second, 1}, {time.Second, 300 * time.Second, 2}} {
			time.Sleep(step.wait)
			mx, err := c.LookupMX(t.Context(), "example.test")
			if err != nil || mx.TTL != step.ttl || c.server.Count("example.test", "MX") != step.asks {
				t.Errorf("after %v: %v, TTL %v, asked %d times", step.wait, err, mx.TTL, c.server.Count("example.test", "MX"))
			}
		}
	})
}

func TestLimitsOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRig(t, func(cfg *Config) { cfg.Negative = 20 * time.Second })
		if a, err := c.LookupAddrs(t.Context(), "no.test"); !errors.Is(err, ErrNotFound) || a.TTL != 20*time.Second {
			t.Error("a denial is kept for longer than Negative:", err, a.TTL)
		}
		if err := c.server.SetZone("m.test. 9000000 MX 1 a.test.\ns.test. 0 MX 1 a.test."); err != nil {
			t.Fatal(err)
		}
		if mx, err := c.LookupMX(t.Context(), "m.test"); err != nil || mx.TTL != 24*time.Hour {
			t.Error(err, mx.TTL)
		}
		if mx, err := c.LookupMX(t.Context(), "s.test"); err != nil || mx.TTL != 5*time.Second {
			t.Error(err, mx.TTL)
		}
	})
}

func TestDenials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRig(t, nil)
		mx, err := c.LookupMX(t.Context(), "no.example.test")
		if !errors.Is(err, ErrNotFound) || errors.Is(err, ErrTemporary) || mx.TTL != 60*time.Second {
			t.Error(err, mx.TTL)
		}
		mx, err = c.LookupMX(t.Context(), "a.example.test")
		if !errors.Is(err, ErrNoData) || mx.TTL != 60*time.Second {
			t.Error(err, mx.TTL)
		}
		time.Sleep(59 * time.Second)
		_, err = c.LookupMX(t.Context(), "a.example.test")
		if !errors.Is(err, ErrNoData) || c.server.Count("a.example.test", "MX") != 1 {
			t.Error("a denial was not kept", err)
		}
		time.Sleep(2 * time.Second)
		_, _ = c.LookupMX(t.Context(), "a.example.test")
		if c.server.Count("a.example.test", "MX") != 2 {
			t.Error("a denial was kept too long")
		}
		if _, err := c.LookupMX(t.Context(), "not a name"); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	})
}

// Whatever goes wrong with a server is temporary, kept for a few seconds only,
// and never a denial.
func TestFailuresAreTemporary(t *testing.T) {
	for _, f := range []dnstest.Fault{dnstest.ServFail, dnstest.Refuse, dnstest.Silence, dnstest.Lame, dnstest.WrongID, dnstest.WrongName, dnstest.Garbage} {
		synctest.Test(t, func(t *testing.T) {
			c := newRig(t, nil)
			c.server.Misbehave("*", dnstest.Manner{Fault: f})
			begin := time.Now()
			_, err := c.LookupMX(t.Context(), "example.test")
			if !errors.Is(err, ErrTemporary) || errors.Is(err, ErrNoData) || errors.Is(err, ErrNotFound) {
				t.Errorf("fault %d: %v", f, err)
			}
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("fault %d: took %v", f, took)
			}
			asked := c.server.Queries()
			if _, err = c.LookupMX(t.Context(), "example.test"); !errors.Is(err, ErrTemporary) || c.server.Queries() != asked {
				t.Errorf("fault %d: %v; the server was asked again at once", f, err)
			}
			c.server.Misbehave("*", dnstest.Manner{})
			time.Sleep(5 * time.Second)
			if _, err = c.LookupMX(t.Context(), "example.test"); err != nil {
				t.Errorf("fault %d: not healed: %v", f, err)
			}
		})
	}
}

func TestOneQuestionForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRig(t, nil)
		c.server.Misbehave("*", dnstest.Manner{Delay: 300 * time.Millisecond})
		hasty, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := c.LookupMX(hasty, "example.test"); !errors.Is(err, context.Canceled) || !errors.Is(err, ErrTemporary) {
				t.Error(err)
			}
		})
		synctest.Wait() // the hasty one leads
		for range 100 {
			all.Go(func() {
				if mx, err := c.LookupMX(t.Context(), "example.test"); err != nil || len(mx.Records) != 2 {
					t.Error(err)
				}
			})
		}
		all.Go(func() { // one who cannot wait does not
			short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if _, err := c.LookupMX(short, "example.test"); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
		synctest.Wait()
		time.Sleep(10 * time.Millisecond)
		cancel()
		all.Wait()
		// The hasty leader's question, and one for the others.
		if n := c.server.Count("example.test", "MX"); n != 2 {
			t.Errorf("the server was asked %d times", n)
		}
	})
}

func TestStaleAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRig(t, nil)
		ctx := t.Context()
		lookup := func() (Answer[string], error) {
			a, err := c.LookupAddrs(ctx, "a.example.test")
			return Answer[string]{Records: []string{fmt.Sprint(a.Records)}, Stale: a.Stale}, err
		}
		good, _ := lookup()
		_, _ = c.LookupMX(ctx, "example.test")
		_, _ = c.LookupTLSA(ctx, "_25._tcp.a.example.test")
		_, _ = c.LookupTXT(ctx, "example.test")
		c.server.Misbehave("*", dnstest.Manner{Fault: dnstest.Silence})
		time.Sleep(301 * time.Second)

		begin := time.Now()
		old, err := lookup()
		if err != nil || !old.Stale || old.Records[0] != good.Records[0] {
			t.Error(old, err)
		}
		if took := time.Since(begin); took > staleWait {
			t.Errorf("a stale answer took %v", took)
		}
		asked := c.server.Queries()
		if old, err = lookup(); err != nil || !old.Stale || c.server.Queries() != asked {
			t.Error("the servers are bothered again at once", err)
		}
		if _, err := c.LookupMX(ctx, "example.test"); !errors.Is(err, ErrTemporary) {
			t.Error("stale MX", err)
		}
		if _, err := c.LookupTLSA(ctx, "_25._tcp.a.example.test"); !errors.Is(err, ErrTemporary) {
			t.Error("stale TLSA", err)
		}
		if _, err := c.LookupTXT(ctx, "example.test"); !errors.Is(err, ErrTemporary) {
			t.Error("stale TXT", err)
		}

		c.server.Misbehave("*", dnstest.Manner{})
		time.Sleep(staleRecheck)
		if now, err := lookup(); err != nil || now.Stale {
			t.Error("stale though the server answers", err)
		}
		c.server.Misbehave("*", dnstest.Manner{Fault: dnstest.ServFail})
		time.Sleep(24 * time.Hour)
		if old, err = lookup(); err != nil || !old.Stale {
			t.Error("not stale for long enough", err)
		}
		time.Sleep(10 * time.Minute)
		if _, err = lookup(); !errors.Is(err, ErrTemporary) {
			t.Error("stale for too long", err)
		}
	})
}

// A denial is no failure: it ends an address even if a stale one is at hand.
func TestDenialBeatsStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRig(t, nil)
		_, _ = c.LookupAddrs(t.Context(), "a.example.test")
		if err := c.server.SetZone("other.test. A 192.0.2.1"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(301 * time.Second)
		if _, err := c.LookupAddrs(t.Context(), "a.example.test"); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	})
}

// With Run, nobody waits for an answer that is in use; without use, or without
// Run, nothing is asked ahead.
func TestPrefetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRig(t, nil)
		stop := c.run(t)
		c.server.Misbehave("*", dnstest.Manner{Delay: 500 * time.Millisecond})
		_, _ = c.LookupMX(t.Context(), "example.test")
		_, _ = c.LookupMX(t.Context(), "seldom.wild.test")
		for i := range 3000 {
			time.Sleep(time.Second)
			if i == 280 {
				_, _ = c.LookupMX(t.Context(), "seldom.wild.test")
			}
			begin := time.Now()
			if _, err := c.LookupMX(t.Context(), "example.test"); err != nil || time.Since(begin) > 0 {
				t.Fatalf("waited %v: %v", time.Since(begin), err)
			}
		}
		if n := c.server.Count("example.test", "MX"); n < 10 || n > 13 {
			t.Errorf("asked %d times in ten lives", n)
		}
		if n := c.server.Count("seldom.wild.test", "MX"); n != 1 {
			t.Errorf("asked %d times for what nobody uses", n)
		}
		// Servers that fail just then do not take the answer away, and are not
		// asked at every use.
		c.server.Misbehave("*", dnstest.Manner{Fault: dnstest.ServFail})
		before := c.server.Queries()
		mx, _ := c.LookupMX(t.Context(), "example.test")
		for left := mx.TTL; left > time.Second; left -= time.Second {
			time.Sleep(time.Second)
			if _, err := c.LookupMX(t.Context(), "example.test"); err != nil {
				t.Errorf("%v before its end an answer is gone: %v", left, err)
			}
		}
		if n := c.server.Queries() - before; n != 1 {
			t.Errorf("failing servers were asked %d times ahead", n)
		}
		stop()
	})
	synctest.Test(t, func(t *testing.T) {
		c := newRig(t, nil)
		for range 299 {
			_, _ = c.LookupMX(t.Context(), "example.test")
			time.Sleep(time.Second)
		}
		if n := c.server.Count("example.test", "MX"); n != 1 {
			t.Errorf("asked %d times without Run", n)
		}
		if n := len(c.refresh); n != 0 {
			t.Errorf("%d answers wait for a refresher that is not there", n)
		}
	})
}

// Run's end leaves no goroutine, though refreshers are in the middle of a
// question: otherwise the bubble would not end.
func TestRunEndsInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRig(t, nil)
		stop := c.run(t)
		for range 5 {
			_, _ = c.LookupMX(t.Context(), "example.test")
		}
		c.server.Misbehave("*", dnstest.Manner{Fault: dnstest.Silence})
		time.Sleep(280 * time.Second)
		_, _ = c.LookupMX(t.Context(), "example.test")
		synctest.Wait()
		begin := time.Now()
		stop()
		if took := time.Since(begin); took > 0 {
			t.Errorf("Run took %v to end", took)
		}
		if n := len(c.store.shard(key{"example.test", kindMX}).flights); n != 0 {
			t.Error("a refresher outlives Run")
		}
		if mx, err := c.LookupMX(t.Context(), "example.test"); err != nil || len(mx.Records) == 0 {
			t.Error("lookups after Run", err)
		}
	})
}

func TestApply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := dnstest.New("x.test. MX 1 one.test."), dnstest.New("x.test. MX 1 two.test.")
		dial := several(map[string]*dnstest.Server{"127.0.0.1:53": one, "127.0.0.2:53": two})
		cfg := Config{Servers: []string{"127.0.0.1"}, Dial: dial}
		c, err := New(cfg, Deps{})
		if err != nil {
			t.Fatal(err)
		}
		host := func() string {
			mx, err := c.LookupMX(t.Context(), "x.test")
			if err != nil {
				return err.Error()
			}
			return mx.Records[0].Host
		}
		if got := host(); got != "one.test" {
			t.Error(got)
		}
		bad := cfg
		bad.Servers = []string{"nonsense"}
		if err := c.Apply(bad); err == nil {
			t.Error("nonsense was taken")
		}
		cfg.MinTTL = time.Second
		if err := c.Apply(cfg); err != nil {
			t.Error(err)
		}
		if got := host(); got != "one.test" || one.Queries() != 1 {
			t.Error("the memory went with a harmless change", got)
		}
		// A question that is under way while the servers change belongs to the
		// old ones.
		one.Misbehave("*", dnstest.Manner{Delay: 500 * time.Millisecond})
		var slow sync.WaitGroup
		slow.Go(func() { _, _ = c.LookupMX(t.Context(), "y.x.test") })
		synctest.Wait()
		cfg.Servers = []string{"127.0.0.2:53"}
		if err := c.Apply(cfg); err != nil {
			t.Error(err)
		}
		slow.Wait()
		if got := host(); got != "two.test" {
			t.Error("the old server's answer lives on", got)
		}
		_, _ = c.LookupMX(t.Context(), "y.x.test")
		if two.Count("y.x.test", "MX") != 1 {
			t.Error("an answer of the old server came in late")
		}
	})
}

func TestConfig(t *testing.T) {
	dial := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no") }
	for _, bad := range []Config{
		{Servers: []string{"host"}},
		{Servers: []string{"127.0.0.1:0"}},
		{Servers: []string{"127.0.0.1:x"}},
		{Servers: []string{":53"}},
		{Timeout: -1},
		{MinTTL: 2 * time.Hour, MaxTTL: time.Hour},
		{MaxMemory: -1},
		{Servers: make([]string, 9)},
	} {
		bad.Dial = dial
		if _, err := New(bad, Deps{ResolvConf: "/nonexistent"}); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	for text, want := range map[string][]string{
		"":                 {"127.0.0.1:53"},
		"search x\n":       {"127.0.0.1:53"},
		"nameserver ::1\n": {"[::1]:53"},
		"nameserver 9.9.9.9\nnameserver 8.8.8.8\nnameserver 9.9.9.9\n": {"9.9.9.9:53", "8.8.8.8:53"},
	} {
		path := filepath.Join(t.TempDir(), "resolv.conf")
		if text != "" {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		c, err := New(Config{Dial: dial}, Deps{ResolvConf: path})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, c.settings.Load().addresses()); d != "" {
			t.Errorf("%q: %s", text, d)
		}
	}
}

func TestResolvConfChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	write := func(t *testing.T, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(t, "nameserver 127.0.0.1\n")
	synctest.Test(t, func(t *testing.T) {
		one, two := dnstest.New("x.test. MX 1 one.test."), dnstest.New("x.test. MX 1 two.test.")
		c, err := New(Config{Dial: several(map[string]*dnstest.Server{"127.0.0.1:53": one, "127.0.0.22:53": two})}, Deps{ResolvConf: path})
		if err != nil {
			t.Fatal(err)
		}
		stop := rig{Cache: c}.run(t)
		_, _ = c.LookupMX(t.Context(), "x.test")
		write(t, "nameserver 127.0.0.22\n")
		time.Sleep(reloadEvery + time.Second)
		mx, err := c.LookupMX(t.Context(), "x.test")
		if err != nil || mx.Records[0].Host != "two.test" {
			t.Error(mx, err)
		}
		stop()
	})
}

// The bound of memory holds, and what is used survives what is not.
func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 256 << 10
		c := newRig(t, func(cfg *Config) { cfg.MaxMemory = limit })
		_, _ = c.LookupMX(t.Context(), "example.test")
		for i := range 5000 {
			if _, err := c.LookupMX(t.Context(), fmt.Sprintf("d%d.wild.test", i)); err != nil {
				t.Fatal(err)
			}
			_, _ = c.LookupMX(t.Context(), "example.test")
		}
		var bytes int64
		entries := 0
		for i := range c.store.shards {
			h := &c.store.shards[i]
			bytes += h.bytes
			entries += len(h.entries)
			if len(h.ring) != len(h.entries) {
				t.Errorf("ring of %d, map of %d", len(h.ring), len(h.entries))
			}
			var sum int64
			for slot, e := range h.ring {
				sum += e.size
				if e.slot != slot || h.entries[e.key] != e {
					t.Error("ring and map disagree")
				}
			}
			if sum != h.bytes {
				t.Errorf("counted %d octets, there are %d", h.bytes, sum)
			}
		}
		if bytes > limit || entries < 200 {
			t.Errorf("%d octets in %d entries", bytes, entries)
		}
		if n := c.server.Count("example.test", "MX"); n > 3 {
			t.Errorf("an answer in constant use was forgotten %d times", n-1)
		}
		// A smaller bound is met as answers come in.
		if err := c.Apply(Config{Servers: []string{"127.0.0.1:53"}, Dial: c.server.Dial, MaxMemory: limit / 2}); err != nil {
			t.Fatal(err)
		}
		bytes = 0
		for i := range 500 {
			_, _ = c.LookupMX(t.Context(), fmt.Sprintf("e%d.wild.test", i))
		}
		for i := range c.store.shards {
			bytes += c.store.shards[i].bytes
		}
		if bytes > limit/2 {
			t.Errorf("%d octets after the bound was halved", bytes)
		}
	})
}

// What nobody can use any more goes, though memory is plenty.
func TestUselessEntriesGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRig(t, nil)
		for i := range 2000 {
			_, _ = c.LookupMX(t.Context(), fmt.Sprintf("d%d.wild.test", i))
		}
		time.Sleep(time.Hour)
		for i := range 2000 {
			_, _ = c.LookupMX(t.Context(), fmt.Sprintf("n%d.wild.test", i))
		}
		n := 0
		for i := range c.store.shards {
			n += len(c.store.shards[i].entries)
		}
		if n > 2500 {
			t.Errorf("%d entries, 2000 can be used", n)
		}
	})
}
