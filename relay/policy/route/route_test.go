package route_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tenma/dnscache"
	"tenma/dnscache/dnstest"
	"tenma/relay/mail"
	"tenma/relay/policy/route"
	"tenma/relay/wire/mtasts"
	"tenma/relay/wire/smtp"
)

const zoneText = `
example.test.    300 SOA ns.example.test. root.example.test. 1 3600 600 86400 60
two.test.        300 MX 20 b.example.test.
two.test.        300 MX 10 z.example.test.
two.test.        300 MX 10 a.example.test.
same.test.       300 MX 1 b.example.test.
same.test.       300 MX 2 a.example.test.
same.test.       300 MX 2 z.example.test.
alias.test.      300 CNAME two.test.
bare.test.       300 A 192.0.2.7
bareown.test.    300 A 192.0.2.25
text.test.       300 TXT "no mail here"
null.test.       300 MX 0 .
nullplus.test.   300 MX 0 .
nullplus.test.   300 MX 10 a.example.test.
backup.test.     300 MX 10 a.example.test.
backup.test.     300 MX 20 relay.test.
backup.test.     300 MX 20 c.example.test.
backup.test.     300 MX 30 d.example.test.
front.test.      300 MX 10 a.example.test.
front.test.      300 MX 20 mx.front.test.
mine.test.       300 MX 10 RELAY.test.
mine.test.       300 MX 20 a.example.test.
ownaddr.test.    300 MX 10 192.0.2.25.
ownaddr.test.    300 MX 20 a.example.test.
ip.test.         300 MX 10 10.0.0.1.
iplus.test.      300 MX 10 10.0.0.1.
iplus.test.      300 MX 20 a.example.test.
localhost.test.  300 MX 10 localhost.
relay.test.      300 A 192.0.2.99
bad.test.        300 MX 10 a.test.
bad.test.        300 A 192.0.2.8
x.corp.test.     300 MX 10 a.example.test.
`

// rig is an adviser above a real cache above a server in memory.
type rig struct {
	*route.Adviser
	server *dnstest.Server
	cache  *dnscache.Cache
}

func base() route.Config {
	return route.Config{
		Hostname: "Relay.test",
		OwnNames: []string{"MX.Front.test."},
		Own:      []netip.Addr{netip.MustParseAddr("192.0.2.25")},
		Local:    []smtp.Domain{"here.test"},
	}
}

func newRig(t *testing.T, cfg route.Config) rig {
	t.Helper()
	server := dnstest.New(zoneText)
	cache, err := dnscache.New(dnscache.Config{Servers: []string{"127.0.0.1:53"}, Dial: server.Dial}, dnscache.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	return rig{route.New(cfg, cache, nil), server, cache}
}

// show writes what came of a domain on one line: "lane kind host/pref ..." or
// "code status text".
func show(r mail.Route, o *mail.Outcome) string {
	if o != nil {
		if o.Command != "DNS" || o.Host != "" {
			return fmt.Sprintf("not an outcome of the DNS: %+v", o)
		}
		return fmt.Sprintf("%v %d %s", o.Fate(), o.Reply.Code, o.Reply.Status)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d", r.Lane, r.Kind)
	for _, h := range r.Hosts {
		fmt.Fprintf(&b, " %s:%d/%d", h.Name, h.Port, h.Pref)
		if h.Addr.IsValid() {
			fmt.Fprintf(&b, "=%s", h.Addr)
		}
	}
	return b.String()
}

func failed(text string) string { return fmt.Sprintf("%v %s", mail.Failed, text) }

func deferred(text string) string { return fmt.Sprintf("%v %s", mail.Deferred, text) }

func TestByDNS(t *testing.T) {
	for _, c := range []struct {
		why    string
		domain smtp.Domain
		want   string
	}{
		{"lowest preference first, equal ones by name; the site is the sorted set", "two.test", "default->a.example.test,b.example.test,z.example.test 0 a.example.test:25/10 z.example.test:25/10 b.example.test:25/20"},
		{"another domain of the same hosts shares the lane", "same.test", "default->a.example.test,b.example.test,z.example.test 0 b.example.test:25/1 a.example.test:25/2 z.example.test:25/2"},
		{"a domain that is an alias", "alias.test", "default->a.example.test,b.example.test,z.example.test 0 a.example.test:25/10 z.example.test:25/10 b.example.test:25/20"},
		{"no MX but an address: the domain itself", "bare.test", "default->bare.test 0 bare.test:25/0"},
		{"no MX and our own address", "bareown.test", failed("554 5.4.6")},
		{"no MX and our own name", "relay.test", failed("554 5.4.6")},
		{"neither MX nor address", "text.test", failed("550 5.1.2")},
		{"no such domain", "nowhere.test", failed("550 5.1.2")},
		{"null MX", "null.test", failed("556 5.1.10")},
		{"a null MX beside others is void", "nullplus.test", "default->a.example.test 0 a.example.test:25/10"},
		{"we are a backup: only better ones than us", "backup.test", "default->a.example.test 0 a.example.test:25/10"},
		{"we are the best: a loop", "mine.test", failed("554 5.4.6")},
		{"a further name of ours is us too", "front.test", "default->a.example.test 0 a.example.test:25/10"},
		{"our address as MX is us too", "ownaddr.test", failed("554 5.4.6")},
		{"MX that is an address", "ip.test", failed("550 5.4.4")},
		{"MX that is an address, beside a good one", "iplus.test", "default->a.example.test 0 a.example.test:25/20"},
		{"MX that is this machine by name", "localhost.test", failed("550 5.4.4")},
		{"mailboxes here", "here.test", "default->(local) 2"},
		{"no domain: our postmaster", "", "default->(local) 2"},
		{"literal", "[192.0.2.1]", "default->[192.0.2.1] 0 [192.0.2.1]:25/0=192.0.2.1"},
		{"literal in a form of its own", "[IPv6:2001:DB8:0::1]", "default->[IPv6:2001:db8::1] 0 [IPv6:2001:db8::1]:25/0=2001:db8::1"},
		{"mapped literal", "[IPv6:::ffff:192.0.2.1]", "default->[192.0.2.1] 0 [192.0.2.1]:25/0=192.0.2.1"},
		{"our own literal", "[192.0.2.25]", failed("554 5.4.6")},
		{"our own literal, mapped", "[IPv6:::ffff:192.0.2.25]", failed("554 5.4.6")},
		{"loopback", "[127.0.0.1]", failed("550 5.4.4")},
		{"loopback", "[IPv6:::1]", failed("550 5.4.4")},
		{"loopback, mapped", "[IPv6:::ffff:127.0.0.1]", failed("550 5.4.4")},
		{"private", "[10.1.2.3]", failed("550 5.4.4")},
		{"private", "[IPv6:fd00::1]", failed("550 5.4.4")},
		{"shared", "[100.64.0.1]", failed("550 5.4.4")},
		{"link-local", "[169.254.169.254]", failed("550 5.4.4")},
		{"multicast", "[224.0.0.1]", failed("550 5.4.4")},
		{"this network", "[0.1.2.3]", failed("550 5.4.4")},
		{"reserved", "[255.255.255.255]", failed("550 5.4.4")},
		{"no literal at all", "[300.1.2.3]", failed("550 5.1.3")},
	} {
		t.Run(c.why, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newRig(t, base())
				r, o := a.Route(t.Context(), c.domain, nil)
				if got := show(r, o); got != c.want {
					t.Errorf("Route(%s)\n got %s\nwant %s", c.domain, got, c.want)
				}
				if r.Domain != c.domain {
					t.Errorf("the route is for %q", r.Domain)
				}
				again, o, ok := a.Cached(c.domain, nil)
				if got := show(again, o); !ok || got != c.want || again.Domain != c.domain {
					t.Errorf("Cached(%s) %v\n got %s\nwant %s", c.domain, ok, got, c.want)
				}
			})
		})
	}
}

func TestPrivateDestinations(t *testing.T) {
	cfg := base()
	cfg.PrivateDestinations, cfg.Port = true, 2525
	for domain, want := range map[smtp.Domain]string{
		"ip.test":        "default->10.0.0.1 0 10.0.0.1:2525/10=10.0.0.1",
		"localhost.test": "default->localhost 0 localhost:2525/10",
		"[127.0.0.1]":    "default->[127.0.0.1] 0 [127.0.0.1]:2525/0=127.0.0.1",
		"[192.0.2.25]":   failed("554 5.4.6"), // ours is ours even so
	} {
		synctest.Test(t, func(t *testing.T) {
			if got := show(newRig(t, cfg).Route(t.Context(), domain, nil)); got != want {
				t.Errorf("%s\n got %s\nwant %s", domain, got, want)
			}
		})
	}
}

// A DNS that does not answer keeps the mail, whatever the way in which it does
// not. bad.test has an address record that must not be tried instead.
func TestSilentDNSDefers(t *testing.T) {
	for _, f := range []dnstest.Fault{dnstest.ServFail, dnstest.Refuse, dnstest.Silence, dnstest.Lame, dnstest.WrongID, dnstest.Garbage} {
		synctest.Test(t, func(t *testing.T) {
			a := newRig(t, base())
			a.server.Misbehave("MX bad.test", dnstest.Manner{Fault: f})
			r, o := a.Route(t.Context(), "bad.test", nil)
			if got := show(r, o); got != deferred("451 4.4.3") || o.Untried {
				t.Errorf("fault %d: %s, untried %v", f, got, o.Untried)
			}
			if a.server.Count("bad.test", "A") != 0 {
				t.Errorf("fault %d: the address record was asked for", f)
			}
			// The same holds for the address of a domain without MX.
			a.server.Misbehave("A bare.test", dnstest.Manner{Fault: f})
			a.server.Misbehave("AAAA bare.test", dnstest.Manner{Fault: f})
			if got := show(a.Route(t.Context(), "bare.test", nil)); got != deferred("451 4.4.3") {
				t.Errorf("fault %d: address: %s", f, got)
			}
			// It heals by itself.
			a.server.Misbehave("MX bad.test", dnstest.Manner{})
			time.Sleep(time.Minute)
			if got := show(a.Route(t.Context(), "bad.test", nil)); got != "default->a.test 0 a.test:25/10" {
				t.Errorf("fault %d: after healing: %s", f, got)
			}
		})
	}
}

// Cancelling is our shutdown: it costs the message no attempt and is not
// remembered.
func TestCancelledIsUntried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newRig(t, base())
		a.server.Misbehave("*", dnstest.Manner{Delay: time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		r, o := a.Route(ctx, "two.test", nil)
		if got := show(r, o); got != deferred("451 4.4.3") || !o.Untried {
			t.Errorf("%s, untried %v", got, o.Untried)
		}
		if _, _, ok := a.Cached("two.test", nil); ok {
			t.Error("remembered")
		}
		hasty, stop := context.WithTimeout(t.Context(), time.Millisecond)
		defer stop()
		if _, o := a.Route(hasty, "two.test", nil); o == nil || o.Untried {
			t.Error("a lookup that took too long counts as an attempt")
		}
	})
}

func TestRules(t *testing.T) {
	smart := []mail.Host{{Name: "smart.test", Port: 587}}
	auth := &mail.Credentials{User: "u", Password: "p"}
	cfg := base()
	cfg.Local = append(cfg.Local, "held.corp.test", "corp.test")
	cfg.Source.Name = "out1"
	cfg.Rules = []route.Rule{
		{Domain: "x.corp.test", Kind: mail.ByMX, TLS: mail.TLSVerified},
		{Domain: "*.Corp.test", Kind: mail.ByHost, Hosts: []mail.Host{{Name: "10.0.0.9", Port: 26, Pref: 2}, {Name: "in.test", Pref: 1}}},
		{Domain: "y.corp.test", Kind: mail.Discard}, // too late
		{Domain: "drop.test", Kind: mail.Discard},
		{Domain: "box.test", Kind: mail.Local},
		{Domain: "lmtp.test", Kind: mail.ByHost, Hosts: smart, LMTP: true},
		{Domain: "empty.test", Kind: mail.ByHost},
		{Domain: "*", Kind: mail.ByHost, Hosts: smart, Auth: auth, TLS: mail.TLSVerified},
		{Domain: "late.test", Kind: mail.Discard},
		{Domain: "drop.test", Kind: mail.Local},
		{Domain: "*.corp.test", Kind: mail.Local},
		{Domain: "*", Kind: mail.Discard},
	}
	for _, c := range []struct {
		why    string
		domain smtp.Domain
		want   string
	}{
		{"exact, by MX with a TLS demand", "x.corp.test", "out1->a.example.test+tls3 0 a.example.test:25/10"},
		{"below a name, by hosts", "y.corp.test", "out1->10.0.0.9:26,in.test:25 1 in.test:25/1 10.0.0.9:26/2=10.0.0.9"},
		{"far below a name", "a.b.corp.test", "out1->10.0.0.9:26,in.test:25 1 in.test:25/1 10.0.0.9:26/2=10.0.0.9"},
		{"a rule goes before local mailboxes", "held.corp.test", "out1->10.0.0.9:26,in.test:25 1 in.test:25/1 10.0.0.9:26/2=10.0.0.9"},
		{"the name itself is not below it", "corp.test", "out1->(local) 2"},
		{"discard", "drop.test", "out1->(discard) 3"},
		{"local by rule", "box.test", "out1->(local) 2"},
		{"LMTP is another lane", "lmtp.test", "out1->smart.test:587+lmtp 1 smart.test:587/0"},
		{"no host: our mistake, the mail waits", "empty.test", deferred("451 4.3.5")},
		{"all others", "two.test", "out1->smart.test:587+tls3+user=u 1 smart.test:587/0"},
		{"all others, a literal too", "[192.0.2.1]", "out1->smart.test:587+tls3+user=u 1 smart.test:587/0"},
		{"mailboxes here stay out of *", "here.test", "out1->(local) 2"},
		{"postmaster stays out of *", "", "out1->(local) 2"},
		{"first match wins", "late.test", "out1->smart.test:587+tls3+user=u 1 smart.test:587/0"},
	} {
		t.Run(c.why, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newRig(t, cfg)
				r, o := a.Route(t.Context(), c.domain, nil)
				if got := show(r, o); got != c.want {
					t.Errorf("%s\n got %s\nwant %s", c.domain, got, c.want)
				}
				if o == nil && (r.Domain != c.domain || r.Source.Name != "out1") {
					t.Errorf("%+v", r)
				}
				if strings.Contains(c.want, "user=") && (r.Auth != auth || r.TLS != mail.TLSVerified) {
					t.Errorf("%+v", r)
				}
				if strings.Contains(c.want, "+lmtp") != r.LMTP {
					t.Errorf("LMTP %v", r.LMTP)
				}
			})
		})
	}
}

// Without rule "*", an unrelated rule leaves the rest to the MX.
func TestNoRuleMatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := base()
		cfg.Rules = []route.Rule{{Domain: "other.test", Kind: mail.Discard}, {Domain: "*.other.test", Kind: mail.Discard}}
		if got := show(newRig(t, cfg).Route(t.Context(), "bare.test", nil)); got != "default->bare.test 0 bare.test:25/0" {
			t.Error(got)
		}
	})
}

// A route lives for a quarter of its records' time; then the DNS cache is asked
// again, which sees that way that the records are in use.
func TestLifeOfRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newRig(t, base())
		if _, _, ok := a.Cached("two.test", nil); ok {
			t.Fatal("an answer from nowhere")
		}
		a.Route(t.Context(), "two.test", nil)
		time.Sleep(74 * time.Second)
		if _, _, ok := a.Cached("two.test", nil); !ok {
			t.Error("forgotten too early")
		}
		time.Sleep(2 * time.Second)
		if _, _, ok := a.Cached("two.test", nil); ok {
			t.Error("kept too long")
		}
		a.Route(t.Context(), "two.test", nil)
		if n := a.server.Count("two.test", "MX"); n != 1 {
			t.Errorf("the server was asked %d times", n)
		}
		// A denial is kept for the SOA's minimum, 60 s, and found out afterwards.
		if got := show(a.Route(t.Context(), "new.example.test", nil)); got != failed("550 5.1.2") {
			t.Error(got)
		}
		if err := a.server.SetZone("new.example.test. MX 0 a.example.test."); err != nil {
			t.Fatal(err)
		}
		time.Sleep(61 * time.Second)
		if got := show(a.Route(t.Context(), "new.example.test", nil)); got != "default->a.example.test 0 a.example.test:25/0" {
			t.Error(got)
		}
	})
}

// An outcome belongs to who got it: the queue writes into it.
func TestOutcomesAreNotShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newRig(t, base())
		_, one := a.Route(t.Context(), "null.test", nil)
		one.Detail = "scribble"
		_, two, _ := a.Cached("null.test", nil)
		if two.Detail == "scribble" {
			t.Error("Route gave its own memory away")
		}
		two.Detail = "scribble"
		if _, three, _ := a.Cached("null.test", nil); three.Detail == "scribble" {
			t.Error("Cached gave its own memory away")
		}
	})
}

func TestApply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newRig(t, base())
		a.Route(t.Context(), "two.test", nil)
		cfg := base()
		cfg.Rules = []route.Rule{{Domain: "two.test", Kind: mail.Discard}}
		a.Apply(cfg)
		if r, o, ok := a.Cached("two.test", nil); !ok || o != nil || r.Kind != mail.Discard {
			t.Errorf("the old route lives on: %s %v", show(r, o), ok)
		}
	})
}

// The text says to the sender which domain is meant, and nothing of ours.
func TestTexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newRig(t, base())
		a.server.Misbehave("MX bad.test", dnstest.Manner{Fault: dnstest.ServFail})
		for _, d := range []smtp.Domain{"nowhere.test", "null.test", "mine.test", "bad.test", "ip.test", "text.test", "[127.0.0.1]"} {
			_, o := a.Route(t.Context(), d, nil)
			if !strings.Contains(o.Reply.Text, string(d)) || strings.Contains(o.Reply.Text, "127.0.0.1:53") {
				t.Errorf("%s: %s", d, o.Reply)
			}
		}
		_, o := a.Route(t.Context(), "bad.test", nil)
		if !strings.Contains(o.Detail, "127.0.0.1:53: SERVFAIL") {
			t.Errorf("the log does not learn who failed: %q", o.Detail)
		}
	})
}

func TestRouteOrderIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRig(t, base()).Route(t.Context(), "two.test", nil)
		want := []mail.Host{
			{Name: "a.example.test", Port: 25, Pref: 10},
			{Name: "z.example.test", Port: 25, Pref: 10},
			{Name: "b.example.test", Port: 25, Pref: 20},
		}
		if d := cmp.Diff(want, r.Hosts, cmpopts.EquateComparable(netip.Addr{})); d != "" {
			t.Error(d)
		}
		if !slices.IsSortedFunc(r.Hosts, func(a, b mail.Host) int { return int(a.Pref) - int(b.Pref) }) {
			t.Error("not in order")
		}
	})
}

// policies has a policy for some domains.
type policies map[smtp.Domain]*mtasts.Policy

func (p policies) Policy(_ context.Context, d smtp.Domain) (*mtasts.Policy, time.Duration) {
	return p[d], time.Minute
}

// giveUp knows nothing, and has the caller cancelled while it is asked.
type giveUp context.CancelFunc

func (g giveUp) Policy(context.Context, smtp.Domain) (*mtasts.Policy, time.Duration) {
	g()
	return nil, time.Minute
}

// A policy is the domain's: the lane, which is the whole MX set's, and the
// domains beside it do not see it.
func TestPolicies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, base())
		sts := &mtasts.Policy{Mode: mtasts.Enforce, MX: []string{"elsewhere.test"}}
		cfg := base()
		cfg.Rules = []route.Rule{
			{Domain: "x.corp.test", Kind: mail.ByMX, TLS: mail.TLSNone},
			{Domain: "fixed.test", Kind: mail.ByHost, Hosts: []mail.Host{{Name: "h.test"}}},
		}
		a := route.New(cfg, r.cache, policies{"two.test": sts, "x.corp.test": sts, "fixed.test": sts, "nowhere.test": sts})
		two, _ := a.Route(t.Context(), "two.test", nil)
		same, _ := a.Route(t.Context(), "same.test", nil)
		if two.STS != sts || same.STS != nil || two.Lane != same.Lane || len(two.Hosts) != 3 {
			t.Errorf("%+v\n%+v", two, same)
		}
		for _, d := range []smtp.Domain{"x.corp.test", "fixed.test"} {
			if got, o := a.Route(t.Context(), d, nil); got.STS != nil || o != nil {
				t.Errorf("%s: a policy where the configuration decides: %+v", d, got)
			}
		}
		// Who gives up while it is asked for learns nothing, nor does anybody else.
		gone, cancel := context.WithCancel(t.Context())
		hasty := route.New(cfg, r.cache, giveUp(cancel))
		if _, o := hasty.Route(gone, "two.test", nil); o == nil || !o.Untried {
			t.Errorf("%+v: a route without its policy", o)
		}
		if _, _, ok := hasty.Cached("two.test", nil); ok {
			t.Error("a route without its policy is remembered")
		}
		// It is asked for again while the MX records still hold.
		time.Sleep(14 * time.Second)
		if _, _, ok := a.Cached("two.test", nil); !ok {
			t.Error("forgotten too early")
		}
		time.Sleep(2 * time.Second)
		if _, _, ok := a.Cached("two.test", nil); ok {
			t.Error("kept longer than the policy holds")
		}
	})
}

// Who named the hosts is believed only if the answer was validated, or is the
// operator.
func TestSecure(t *testing.T) {
	for _, ad := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			cfg := base()
			cfg.Rules = []route.Rule{{Domain: "fixed.test", Kind: mail.ByHost, Hosts: []mail.Host{{Name: "h.test"}}}}
			r := newRig(t, cfg)
			r.server.Secure(ad)
			for d, want := range map[smtp.Domain]bool{"two.test": ad, "bare.test": ad, "fixed.test": true} {
				if got, _ := r.Route(t.Context(), d, nil); got.Secure != want {
					t.Errorf("%s, validated %v: %v", d, ad, got.Secure)
				}
			}
		})
	}
}

// Mail about our mail stays here, in a lane of its own, whatever a smarthost is told
// to take; what lies below that domain is nobody's.
func TestReturns(t *testing.T) {
	world := route.Rule{Domain: "*", Kind: mail.ByHost, Hosts: []mail.Host{{Name: "smart.test"}}}
	below := route.Rule{Domain: "*.here.test", Kind: mail.Discard}
	a := route.New(route.Config{Local: []smtp.Domain{"here.test"}, Returns: "r.here.test", Rules: []route.Rule{below, world}}, nil, nil)
	for d, want := range map[smtp.Domain]string{"r.here.test": "default->(returns)", "here.test": "default->(local)", "x.here.test": "default->(discard)", "x.r.here.test": "default->(discard)"} {
		r, o := a.Route(t.Context(), d, nil)
		if o != nil || string(r.Lane) != want || (r.Kind == mail.Local) != (d == "r.here.test" || d == "here.test") {
			t.Errorf("%s: %+v, %+v", d, r, o)
		}
	}
	if r, _ := route.New(route.Config{Rules: []route.Rule{world}}, nil, nil).Route(t.Context(), "", nil); r.Lane == "default->(returns)" {
		t.Error("without a domain for it, nothing is")
	}
}
