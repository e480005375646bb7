package hosttls_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tenma/dnscache/dnstest"
	"tenma/metrics"
	"tenma/relay/policy/hosttls"
	"tenma/relay/wire/mtasts"
	"tenma/relay/wire/smtp"
	"tenma/relay/wire/tlsrpt"
)

const stsZone = `
_mta-sts.a.test. 300 TXT "v=STSv1; id=1;"
mta-sts.a.test.  300 A 198.51.100.80
`

// A policy is fetched once, holds for its time, and is fetched again when the
// record's id says so.
func TestPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, hosttls.Config{}, stsZone, "mta-sts.a.test")
		r.publish("mode: enforce", "mx: mx.a.test", "max_age: 86400")
		p, life := r.Policy(t.Context(), "a.test")
		if p == nil || p.Mode != mtasts.Enforce || !p.Allows("mx.a.test") || life <= 0 || life > time.Hour {
			t.Fatalf("%+v for %v", p, life)
		}
		r.wantAsked(1)
		for range 10 {
			if again, _ := r.Policy(t.Context(), "a.test"); again != p {
				t.Error("another policy")
			}
			time.Sleep(20 * time.Minute)
		}
		r.wantAsked(0)
		r.publish("mode: testing", "mx: mx.a.test", "max_age: 86400")
		if err := r.dns.SetZone(strings.Replace(stsZone, "id=1", "id=2", 1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if p, _ := r.Policy(t.Context(), "a.test"); p == nil || p.Mode != mtasts.Testing {
			t.Errorf("%+v", p)
		}
		r.wantAsked(1)
		if got := r.value("sts_policies"); got != 1 {
			t.Errorf("%v policies", got)
		}
	})
}

// Who asks for a domain without record waits for no web server.
func TestNoPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, hosttls.Config{}, stsZone+`
_mta-sts.twice.test. TXT "v=STSv1; id=1;"
_mta-sts.twice.test. TXT "v=STSv1; id=2;"
_mta-sts.other.test. TXT "hello"
`, "mta-sts.a.test")
		r.publish("mode: enforce", "mx: mx.a.test", "max_age: 86400")
		r.dns.Misbehave("_mta-sts.broken.test", dnstest.Manner{Fault: dnstest.ServFail})
		for d, least := range map[smtp.Domain]time.Duration{"none.test": time.Minute, "twice.test": time.Minute, "other.test": time.Minute, "broken.test": time.Minute} {
			if p, life := r.Policy(t.Context(), d); p != nil || life < least {
				t.Errorf("%s: %+v for %v", d, p, life)
			}
		}
		if p, _ := r.Policy(t.Context(), "[192.0.2.1]"); p != nil {
			t.Error("an address has a policy")
		}
		r.wantAsked(0)
		r.Apply(hosttls.Config{NoSTS: true})
		if p, _ := r.Policy(t.Context(), "a.test"); p != nil {
			t.Error("a policy though they are switched off")
		}
		r.wantAsked(0)
	})
}

// What is no policy is none; nobody asks again for five minutes, and nobody
// waits longer than the time limit.
func TestBadFetch(t *testing.T) {
	const good = "version: STSv1\nmode: enforce\nmx: mx.a.test\nmax_age: 86400\n"
	text := func(kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = io.WriteString(w, body)
		}
	}
	for _, c := range []struct {
		why, cert, address string
		does               http.HandlerFunc
		asked              int32
		told               tlsrpt.Fault
	}{
		{"not there", "mta-sts.a.test", "", http.NotFound, 1, tlsrpt.FaultFetch},
		{"moved", "mta-sts.a.test", "", func(w http.ResponseWriter, q *http.Request) {
			http.Redirect(w, q, "https://mta-sts.a.test/.well-known/mta-sts.txt", http.StatusMovedPermanently)
		}, 1, tlsrpt.FaultFetch},
		{"a web page", "mta-sts.a.test", "", text("text/html", good), 1, tlsrpt.FaultPolicy},
		{"without media type", "mta-sts.a.test", "", text("", good), 1, tlsrpt.FaultPolicy},
		{"no policy", "mta-sts.a.test", "", text("text/plain", "hello"), 1, tlsrpt.FaultPolicy},
		{"too large", "mta-sts.a.test", "", text("text/plain", good+strings.Repeat("x:y\n", 20000)), 1, tlsrpt.FaultPolicy},
		{"cut off", "mta-sts.a.test", "", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, good)
		}, 1, tlsrpt.FaultFetch},
		{"another's certificate", "mta-sts.b.test", "", text("text/plain", good), 0, tlsrpt.FaultFetchWebPKI},
		{"private address", "mta-sts.a.test", "10.0.0.1", text("text/plain", good), 0, tlsrpt.FaultFetch},
		{"nobody there", "mta-sts.a.test", "198.51.100.81", text("text/plain", good), 0, tlsrpt.FaultFetch},
		{"never ends", "mta-sts.a.test", "", func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			for q.Context().Err() == nil {
				_, _ = io.WriteString(w, "x: y\n")
				_ = http.NewResponseController(w).Flush()
				time.Sleep(time.Second)
			}
		}, 1, tlsrpt.FaultFetch},
	} {
		t.Run(c.why, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				zone := stsZone
				if c.address != "" {
					zone = strings.Replace(zone, "198.51.100.80", c.address, 1)
				}
				r := newRig(t, hosttls.Config{}, zone, c.cert)
				r.does(c.does)
				start := time.Now()
				if p, _ := r.Policy(t.Context(), "a.test"); p != nil {
					t.Fatalf("%+v", p)
				}
				if took := time.Since(start); took > 21*time.Second {
					t.Errorf("took %v", took)
				}
				r.wantAsked(c.asked)
				if got := r.value("sts_fetches_total invalid"); (got == 1) != (c.told == tlsrpt.FaultPolicy) {
					t.Errorf("%v invalid policies", got)
				}
				if len(r.told) != 1 || r.told[0].Domain != "a.test" || r.told[0].Policy != tlsrpt.PolicySTS || r.told[0].Fault != c.told || r.told[0].Detail == "" {
					t.Errorf("told %+v, want %s", r.told, c.told)
				}
				r.publish("mode: enforce", "mx: mx.a.test", "max_age: 86400")
				if p, life := r.Policy(t.Context(), "a.test"); p != nil || life > 5*time.Minute {
					t.Errorf("%+v for %v", p, life)
				}
				r.wantAsked(0)
				if c.cert != "mta-sts.a.test" || c.address != "" {
					return
				}
				time.Sleep(6 * time.Minute)
				if p, _ := r.Policy(t.Context(), "a.test"); p == nil {
					t.Error("it is not tried again")
				}
			})
		})
	}
}

// A policy outlives its record and its host, but not its time: what an attacker
// can suppress changes nothing (RFC 8461 section 5.1).
func TestPolicyOutlives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, hosttls.Config{}, stsZone, "mta-sts.a.test")
		r.publish("mode: enforce", "mx: mx.a.test", "max_age: 86400")
		r.Policy(t.Context(), "a.test")
		for what, change := range map[string]func(){
			"the record is gone":        func() { _ = r.dns.SetZone("b.test. A 192.0.2.1") },
			"the DNS does not answer":   func() { r.dns.Misbehave("*", dnstest.Manner{Fault: dnstest.ServFail}) },
			"the new one cannot be had": func() { _ = r.dns.SetZone(strings.Replace(stsZone, "id=1", "id=9", 1)); r.does(http.NotFound) },
		} {
			r.dns.Misbehave("*", dnstest.Manner{})
			change()
			time.Sleep(2 * time.Hour)
			if p, _ := r.Policy(t.Context(), "a.test"); p == nil {
				t.Errorf("%s, and the policy with it", what)
			}
		}
		_ = r.dns.SetZone("b.test. A 192.0.2.1")
		r.dns.Misbehave("*", dnstest.Manner{})
		time.Sleep(24 * time.Hour)
		if p, _ := r.Policy(t.Context(), "a.test"); p != nil {
			t.Error("it outlives its time")
		}
	})
}

// A policy that is in use is fetched again before it ends; one that nobody uses
// is not, and goes.
func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, hosttls.Config{}, stsZone, "mta-sts.a.test")
		r.publish("mode: enforce", "mx: mx.a.test", "max_age: 86400")
		r.Policy(t.Context(), "a.test")
		r.Policy(t.Context(), "a.test")
		r.run()
		time.Sleep(13 * time.Hour) // more than half its time
		r.wantAsked(2)
		r.does(http.NotFound)
		time.Sleep(13 * time.Hour) // more than all of the first
		if p, _ := r.Policy(t.Context(), "a.test"); p == nil {
			t.Error("the second fetch did not make it live longer")
		}
		r.publish("mode: enforce", "mx: mx.b.test", "max_age: 86400")
		time.Sleep(11 * time.Minute)
		if p, _ := r.Policy(t.Context(), "a.test"); p == nil || !p.Allows("mx.b.test") {
			t.Errorf("%+v: the new policy is not in force", p)
		}
		time.Sleep(72 * time.Hour)
		if got := r.value("sts_policies"); got != 0 {
			t.Errorf("%v policies that nobody uses", got)
		}
	})
}

// Many who wait cause one fetch; one who gives up gets nothing, and breaks
// nothing.
func TestOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, hosttls.Config{}, stsZone, "mta-sts.a.test")
		r.publish("mode: enforce", "mx: mx.a.test", "max_age: 86400")
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if p, life := r.Policy(gone, "a.test"); p != nil || life > time.Minute {
			t.Errorf("%+v for %v", p, life)
		}
		r.net.SetLatency(time.Second)
		brief, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		go r.Policy(brief, "a.test") // begins, and is gone before there is an answer
		synctest.Wait()
		got := make(chan *mtasts.Policy)
		for range 50 {
			go func() {
				p, _ := r.Policy(t.Context(), "a.test")
				got <- p
			}()
		}
		for range 50 {
			if <-got == nil {
				t.Error("no policy")
			}
		}
		r.wantAsked(1)
	})
}

// shelf is a Keeper in memory.
type shelf struct {
	mu    sync.Mutex
	text  []byte
	err   error
	saves int
}

func (s *shelf) Load() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text, s.err
}

func (s *shelf) Save(text []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saves++
	if s.err == nil {
		s.text = bytes.Clone(text)
	}
	return s.err
}

// fail has everything fail with err from now on.
func (s *shelf) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// saved tells how often it was tried, and what is there.
func (s *shelf) saved() (times int, text []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saves, bytes.Clone(s.text)
}

// Policies outlive a restart, to their own end, with nobody there to fetch them
// from.
func TestPoliciesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		r := newRig(t, hosttls.Config{}, stsZone, "mta-sts.a.test", s)
		r.publish("mode: enforce", "mx: mx.a.test", "max_age: 86400")
		r.Policy(t.Context(), "a.test")
		r.run()
		time.Sleep(11 * time.Minute)
		if n, _ := s.saved(); n != 1 {
			t.Fatalf("saved %d times", n)
		}
		time.Sleep(time.Hour)
		n, text := s.saved()
		if n != 1 {
			t.Errorf("saved %d times, with nothing new", n)
		}
		s = &shelf{} // the first goes on with its own
		s.text = append(text, "nonsense\n{}\n"+`{"domain":"../x","id":"1","fetched":"2000-01-01T00:00:00Z","policy":"version: STSv1\nmode: none\nmax_age: 86400\n"}`+"\n"...)
		next := newRig(t, hosttls.Config{}, "b.test. A 192.0.2.1", "mta-sts.a.test", s)
		next.does(http.NotFound)
		if p, _ := next.Policy(t.Context(), "a.test"); p == nil || p.Mode != mtasts.Enforce || next.value("sts_policies") != 1 {
			t.Errorf("%+v: forgotten", p)
		}
		time.Sleep(24 * time.Hour)
		if p, _ := next.Policy(t.Context(), "a.test"); p != nil {
			t.Error("it outlives its time")
		}
		late := newRig(t, hosttls.Config{}, stsZone, "mta-sts.a.test", s)
		if late.value("sts_policies") != 0 {
			t.Error("one that is over is taken back")
		}
		newRig(t, hosttls.Config{}, stsZone, "mta-sts.a.test", &shelf{err: errors.New("no disk")}) // no reason not to start
	})
}

// The end of Run keeps what is new; a disk that fails is asked again.
func TestPoliciesAreKeptAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		r := newRig(t, hosttls.Config{}, stsZone, "mta-sts.a.test", s)
		r.publish("mode: enforce", "mx: mx.a.test", "max_age: 86400")
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.Run(ctx) }()
		r.Policy(t.Context(), "a.test")
		s.fail(errors.New("full"))
		time.Sleep(21 * time.Minute)
		if n, text := s.saved(); n != 2 || text != nil {
			t.Errorf("tried %d times, kept %q", n, text)
		}
		s.fail(nil)
		stop()
		err := <-ended
		if _, text := s.saved(); err != nil || !bytes.Contains(text, []byte("a.test")) {
			t.Errorf("%v, kept %q", err, text)
		}
	})
}

// Whatever was kept, reading it back does no harm.
func FuzzTakeBack(f *testing.F) {
	f.Add([]byte(`{"domain":"a.test","id":"1","fetched":"2000-01-01T00:00:00Z","policy":"version: STSv1\nmode: enforce\nmx: a\nmax_age: 86400\n"}` + "\n"))
	f.Add([]byte("{}\n\n[]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		hosttls.New(hosttls.Config{}, hosttls.Deps{Keeper: &shelf{text: text}, Metrics: metrics.New(prometheus.NewRegistry()).HostTLS})
	})
}
