package hosttls_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tenma/dnscache/dnstest"
	"tenma/relay/mail"
	"tenma/relay/policy/hosttls"
	"tenma/relay/wire/mtasts"
	"tenma/relay/wire/smtp"
	"tenma/relay/wire/tlsrpt"
)

var digest = strings.Repeat("0a", 32)

// zone has hosts of each kind.
var zone = strings.ReplaceAll(`
mx.a.test.            300 A    192.0.2.1
_25._tcp.mx.a.test.   300 TLSA 3 1 1 DIGEST
_26._tcp.mx.a.test.   300 TLSA 2 0 1 DIGEST
bare.a.test.          300 A    192.0.2.2
odd.a.test.           300 A    192.0.2.3
_25._tcp.odd.a.test.  300 TLSA 1 1 1 DIGEST
alias.a.test.         300 CNAME target.a.test.
target.a.test.        300 A    192.0.2.4
_25._tcp.target.a.test. 300 TLSA 3 1 1 DIGEST
half.a.test.          300 CNAME out.b.test.
out.b.test.           300 A    192.0.2.5
_25._tcp.half.a.test. 300 TLSA 3 0 1 DIGEST
plain.b.test.         300 A    192.0.2.6
_25._tcp.plain.b.test. 300 TLSA 3 1 1 DIGEST
sick.a.test.          300 A    192.0.2.7
loose.a.test.         300 A    192.0.2.8
_25._tcp.loose.a.test. 300 TLSA 3 1 1 DIGEST
deaf.b.test.          300 A    192.0.2.9
`, "DIGEST", digest)

// show writes a decision on one line: demand, policy, marks, TLSA records and
// the name that they stand at; or the reply of the error, and its fault.
func show(s mail.Safety, err error) string {
	var e *smtp.Error
	var fault tlsrpt.Fault
	if errors.As(err, &e) {
		errors.As(err, &fault)
		return strings.TrimSpace(fmt.Sprintf("%d %s %s", e.Reply.Code, e.Reply.Status, string(fault)))
	}
	text := fmt.Sprintf("%s %s", [...]string{"opportunistic", "none", "required", "verified", "implicit", "dane"}[s.TLS], s.Policy)
	if s.Testing {
		text += " testing"
	}
	if s.Unlisted {
		text += " unlisted"
	}
	if s.Unusable {
		text += " unusable"
	}
	if s.DANE != nil {
		text += " " + strings.ReplaceAll(strings.Join(s.DANE.Strings(), ","), strings.ToUpper(digest), "D") + " at " + s.DANE.Base()
	}
	return text
}

func TestDemand(t *testing.T) {
	enforce := &mtasts.Policy{Mode: mtasts.Enforce, MaxAge: time.Hour, MX: []string{"*.a.test"}}
	testing1 := &mtasts.Policy{Mode: mtasts.Testing, MaxAge: time.Hour, MX: []string{"*.a.test"}}
	none := &mtasts.Policy{Mode: mtasts.None, MaxAge: time.Hour}
	secure := func(r mail.Route) mail.Route { r.Secure = true; return r }
	sts := func(p *mtasts.Policy) mail.Route { return mail.Route{STS: p} }
	demands := func(d mail.TLSDemand) mail.Route { return mail.Route{TLS: d, Secure: true} }
	for _, c := range []struct {
		why      string
		r        mail.Route
		host     string
		wish     mail.TLSWish
		want     string
		unproven string // where the resolver does not validate; "": the same
	}{
		{"nothing is known", mail.Route{}, "mx.a.test", mail.WishNone, "opportunistic no-policy-found", ""},
		{"TLSA records", secure(mail.Route{}), "mx.a.test", mail.WishNone, "dane tlsa 3 1 1 D at mx.a.test", "opportunistic no-policy-found"},
		{"none there", secure(mail.Route{}), "bare.a.test", mail.WishNone, "opportunistic no-policy-found", ""},
		{"none usable", secure(mail.Route{}), "odd.a.test", mail.WishNone, "required tlsa unusable", "opportunistic no-policy-found"},
		{"at what the name is an alias of", secure(mail.Route{}), "alias.a.test", mail.WishNone, "dane tlsa 3 1 1 D at target.a.test", "opportunistic no-policy-found"},
		{"at the alias", secure(mail.Route{}), "half.a.test", mail.WishNone, "dane tlsa 3 0 1 D at half.a.test", "opportunistic no-policy-found"},
		{"in an unsigned zone they do not count", secure(mail.Route{}), "plain.b.test", mail.WishNone, "opportunistic no-policy-found", ""},
		{"they themselves are unsigned", secure(mail.Route{}), "loose.a.test", mail.WishNone, "opportunistic no-policy-found", ""},
		{"nobody asks a name server of an unsigned zone, which may not know the type", secure(mail.Route{}), "deaf.b.test", mail.WishNone, "opportunistic no-policy-found", ""},
		{"they cannot be had", secure(mail.Route{}), "sick.a.test", mail.WishNone, "451 4.7.0 dnssec-invalid", "opportunistic no-policy-found"},
		{"the host does not exist", secure(mail.Route{}), "gone.a.test", mail.WishNone, "opportunistic no-policy-found", ""},
		{"an address", secure(mail.Route{}), "[192.0.2.1]", mail.WishNone, "opportunistic no-policy-found", ""},
		{"LMTP", mail.Route{Secure: true, LMTP: true}, "mx.a.test", mail.WishNone, "opportunistic no-policy-found", ""},
		{"the MX records are not signed", mail.Route{}, "sick.a.test", mail.WishNone, "opportunistic no-policy-found", ""},

		{"a policy", sts(enforce), "mx.a.test", mail.WishNone, "verified sts", ""},
		{"a policy without the host", sts(enforce), "plain.b.test", mail.WishNone, "451 4.7.0 mx-not-in-policy", ""},
		{"a policy on trial", sts(testing1), "mx.a.test", mail.WishNone, "opportunistic sts testing", ""},
		{"a policy on trial without the host", sts(testing1), "plain.b.test", mail.WishNone, "opportunistic sts testing unlisted", ""},
		{"a policy that says nothing", sts(none), "plain.b.test", mail.WishNone, "opportunistic no-policy-found", ""},
		{"TLSA records decide over a policy", secure(sts(enforce)), "mx.a.test", mail.WishNone, "dane tlsa 3 1 1 D at mx.a.test", "verified sts"},
		{"none there, so the policy decides", secure(sts(enforce)), "bare.a.test", mail.WishNone, "verified sts", ""},
		{"none usable, so the policy decides", secure(sts(enforce)), "odd.a.test", mail.WishNone, "verified sts", ""},
		{"a policy does not help where they cannot be had", secure(sts(enforce)), "sick.a.test", mail.WishNone, "451 4.7.0 dnssec-invalid", "verified sts"},

		{"no TLS, by configuration", demands(mail.TLSNone), "mx.a.test", mail.WishNone, "none no-policy-found", ""},
		{"no TLS, by configuration, over a policy", mail.Route{TLS: mail.TLSNone, STS: enforce}, "plain.b.test", mail.WishNone, "none no-policy-found", ""},
		{"any TLS", demands(mail.TLSRequired), "bare.a.test", mail.WishNone, "required no-policy-found", ""},
		{"any TLS, and TLSA records", demands(mail.TLSRequired), "mx.a.test", mail.WishNone, "dane tlsa 3 1 1 D at mx.a.test", "required no-policy-found"},
		{"authorities, whatever TLSA records say", demands(mail.TLSVerified), "mx.a.test", mail.WishNone, "verified no-policy-found", ""},
		{"TLS at once", demands(mail.TLSImplicit), "mx.a.test", mail.WishNone, "implicit no-policy-found", ""},
		{"TLSA records or nothing", demands(mail.TLSDANE), "mx.a.test", mail.WishNone, "dane tlsa 3 1 1 D at mx.a.test", "451 4.7.0 dane-required"},
		{"TLSA records or nothing: nothing", demands(mail.TLSDANE), "bare.a.test", mail.WishNone, "451 4.7.0 dane-required", ""},
		{"TLSA records or nothing: none usable", demands(mail.TLSDANE), "odd.a.test", mail.WishNone, "451 4.7.0 dane-required", ""},

		{"REQUIRETLS", mail.Route{}, "mx.a.test", mail.WishRequired, "550 5.7.30", ""},
		{"REQUIRETLS, MX records signed", secure(mail.Route{}), "bare.a.test", mail.WishRequired, "verified no-policy-found", ""},
		{"REQUIRETLS, TLSA records", secure(mail.Route{}), "mx.a.test", mail.WishRequired, "dane tlsa 3 1 1 D at mx.a.test", "verified no-policy-found"},
		{"REQUIRETLS, none usable", secure(mail.Route{}), "odd.a.test", mail.WishRequired, "verified tlsa unusable", "verified no-policy-found"},
		{"REQUIRETLS, a policy", sts(enforce), "mx.a.test", mail.WishRequired, "verified sts", ""},
		{"REQUIRETLS, a policy on trial", sts(testing1), "mx.a.test", mail.WishRequired, "verified sts testing", ""},
		{"REQUIRETLS, a policy on trial without the host", sts(testing1), "plain.b.test", mail.WishRequired, "550 5.7.30", ""},
		{"REQUIRETLS, a policy without the host", sts(enforce), "plain.b.test", mail.WishRequired, "451 4.7.0 mx-not-in-policy", ""},
		{"REQUIRETLS, a policy that says nothing", sts(none), "mx.a.test", mail.WishRequired, "550 5.7.30", ""},
		{"REQUIRETLS, no TLS by configuration", demands(mail.TLSNone), "mx.a.test", mail.WishRequired, "550 5.7.30", ""},
		{"REQUIRETLS, TLS at once", demands(mail.TLSImplicit), "mx.a.test", mail.WishRequired, "implicit no-policy-found", ""},

		{"TLS-Required: No, nothing is known", mail.Route{}, "mx.a.test", mail.WishOptional, "opportunistic no-policy-found", ""},
		{"TLS-Required: No, TLSA records", secure(mail.Route{}), "mx.a.test", mail.WishOptional, "opportunistic no-policy-found", ""},
		{"TLS-Required: No, TLSA records that cannot be had", secure(mail.Route{}), "sick.a.test", mail.WishOptional, "opportunistic no-policy-found", ""},
		{"TLS-Required: No, none usable", secure(mail.Route{}), "odd.a.test", mail.WishOptional, "opportunistic no-policy-found", ""},
		{"TLS-Required: No, a policy", sts(enforce), "mx.a.test", mail.WishOptional, "opportunistic no-policy-found", ""},
		{"TLS-Required: No, a policy without the host", sts(enforce), "plain.b.test", mail.WishOptional, "opportunistic no-policy-found", ""},
		{"TLS-Required: No, a policy on trial", sts(testing1), "plain.b.test", mail.WishOptional, "opportunistic no-policy-found", ""},
		{"TLS-Required: No, but by configuration", demands(mail.TLSRequired), "mx.a.test", mail.WishOptional, "required no-policy-found", ""},
		{"TLS-Required: No, a certificate by configuration", demands(mail.TLSVerified), "mx.a.test", mail.WishOptional, "verified no-policy-found", ""},
		{"TLS-Required: No, DANE by configuration", demands(mail.TLSDANE), "mx.a.test", mail.WishOptional, "dane tlsa 3 1 1 D at mx.a.test", "451 4.7.0 dane-required"},
		{"TLS-Required: No, DANE by configuration, none there", demands(mail.TLSDANE), "bare.a.test", mail.WishOptional, "451 4.7.0 dane-required", ""},
		{"TLS-Required: No, no TLS by configuration", demands(mail.TLSNone), "mx.a.test", mail.WishOptional, "none no-policy-found", ""},
	} {
		for _, validating := range []bool{true, false} {
			want := c.want
			if !validating && c.unproven != "" {
				want = c.unproven
			}
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, hosttls.Config{}, zone, "x.test")
				if !validating {
					r.dns.Misbehave("NS .", dnstest.Manner{Insecure: true})
				}
				for _, name := range []string{"plain.b.test", "out.b.test", "deaf.b.test", "_25._tcp.plain.b.test", "_25._tcp.loose.a.test"} {
					r.dns.Misbehave(name, dnstest.Manner{Insecure: true})
				}
				r.dns.Misbehave("A half.a.test", dnstest.Manner{Insecure: true})
				r.dns.Misbehave("AAAA half.a.test", dnstest.Manner{Insecure: true})
				for _, name := range []string{"_25._tcp.sick.a.test", "_25._tcp.deaf.b.test", "_25._tcp.out.b.test"} {
					r.dns.Misbehave("TLSA "+name, dnstest.Manner{Fault: dnstest.ServFail})
				}
				route, h := c.r, mail.Host{Name: c.host, Port: 25}
				route.Domain = "a.test"
				if a, ok := smtp.Domain(c.host).Literal(); ok {
					h.Addr = a
				}
				got := show(r.Demand(t.Context(), &route, &h, c.wish))
				if got != want {
					t.Errorf("%s (validating: %v):\n got %s\nwant %s", c.why, validating, got, want)
				}
				s, ok := r.Cached(&route, &h, c.wish)
				if refused := got[0] >= '0' && got[0] <= '9'; ok == refused || ok && show(s, nil) != want {
					t.Errorf("%s (validating: %v): from memory: %v %s", c.why, validating, ok, show(s, nil))
				}
			})
		}
	}
}

// Cached asks nobody, and answers for other ports and domains as they are.
func TestCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, hosttls.Config{}, zone, "x.test")
		route, h := mail.Route{Secure: true, Domain: "a.test"}, mail.Host{Name: "mx.a.test", Port: 25}
		if _, ok := r.Cached(&route, &h, mail.WishNone); ok {
			t.Error("an answer from nowhere")
		}
		if r.dns.Queries() != 0 {
			t.Error("it asked the DNS")
		}
		one, err := r.Demand(t.Context(), &route, &h, mail.WishNone)
		if err != nil {
			t.Fatal(err)
		}
		other := h
		other.Port = 26
		if _, ok := r.Cached(&route, &other, mail.WishNone); ok {
			t.Error("one port for another")
		}
		n := r.dns.Queries()
		two, ok := r.Cached(&route, &h, mail.WishNone)
		if !ok || !two.Serves(&one) || r.dns.Queries() != n {
			t.Errorf("%v %+v", ok, two)
		}
		// Under DANE-TA a certificate may bear the domain's name, so that each
		// domain has a demand of its own.
		ta, err := r.Demand(t.Context(), &route, &other, mail.WishNone)
		if err != nil {
			t.Fatal(err)
		}
		route.Domain = "b.test"
		if again, ok := r.Cached(&route, &other, mail.WishNone); !ok || again.Serves(&ta) {
			t.Errorf("%v: another domain has the same demand", ok)
		}
		time.Sleep(301 * time.Second)
		if _, ok := r.Cached(&route, &h, mail.WishNone); ok {
			t.Error("it outlives the records")
		}
	})
}

// Changed records change the demand.
func TestRollover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, hosttls.Config{}, zone, "x.test")
		route, h := mail.Route{Secure: true}, mail.Host{Name: "mx.a.test", Port: 25}
		one, _ := r.Demand(t.Context(), &route, &h, mail.WishNone)
		if err := r.dns.SetZone(strings.Replace(zone, digest, hex.EncodeToString(make([]byte, 32)), 1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(301 * time.Second)
		two, err := r.Demand(t.Context(), &route, &h, mail.WishNone)
		if err != nil || one.Serves(&two) {
			t.Errorf("%v, the same as before", err)
		}
	})
}

// DANE follows what the resolver is shown to be; silence changes nothing.
func TestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, hosttls.Config{Probe: "a.test"}, zone, "x.test")
		route, h := mail.Route{Secure: true}, mail.Host{Name: "mx.a.test", Port: 25}
		policy := func() tlsrpt.Policy {
			s, _ := r.Demand(t.Context(), &route, &h, mail.WishNone)
			return s.Policy
		}
		r.dns.Misbehave("NS a.test", dnstest.Manner{Fault: dnstest.Silence})
		if policy() != tlsrpt.PolicyNone || r.value("resolver_validates") != 0 {
			t.Error("DANE though the resolver was not shown to validate")
		}
		r.run()
		synctest.Wait()
		time.Sleep(10 * time.Second)
		r.dns.Misbehave("NS a.test", dnstest.Manner{})
		time.Sleep(time.Minute)
		if policy() != tlsrpt.PolicyDANE || r.value("resolver_validates") != 1 {
			t.Error("no DANE though the resolver validates")
		}
		r.dns.Misbehave("NS a.test", dnstest.Manner{Fault: dnstest.Silence})
		time.Sleep(time.Hour)
		if policy() != tlsrpt.PolicyDANE || r.value("resolver_probes_total silent") == 0 {
			t.Error("silence switched DANE off")
		}
		r.dns.Misbehave("NS a.test", dnstest.Manner{Insecure: true})
		time.Sleep(time.Hour)
		if policy() != tlsrpt.PolicyNone || r.value("resolver_validates") != 0 {
			t.Error("DANE though the resolver does not validate any more")
		}
		r.dns.Misbehave("NS a.test", dnstest.Manner{})
		r.Apply(hosttls.Config{Probe: "a.test"})
		synctest.Wait()
		if policy() != tlsrpt.PolicyDANE {
			t.Error("a new configuration does not probe at once")
		}
		r.Apply(hosttls.Config{NoDANE: true})
		if policy() != tlsrpt.PolicyNone {
			t.Error("DANE though it is switched off")
		}
	})
}

// Who is cancelled hears so.
func TestDemandCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, hosttls.Config{}, zone, "x.test")
		route, h := mail.Route{Secure: true}, mail.Host{Name: "mx.a.test", Port: 25}
		if _, err := r.Demand(t.Context(), &route, &mail.Host{Name: "bare.a.test"}, mail.WishNone); err != nil {
			t.Fatal(err) // the resolver is shown to validate
		}
		r.dns.Misbehave("*", dnstest.Manner{Fault: dnstest.Silence})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if s, err := r.Demand(ctx, &route, &h, mail.WishNone); err == nil || time.Since(start) > time.Second {
			t.Errorf("%+v after %v", s, time.Since(start))
		}
	})
}
