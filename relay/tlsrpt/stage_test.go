package tlsrpt

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/mtasts"
	"tenma/relay/wire/tlsrpt"
)

const byHTTPS = "v=TLSRPTv1; rua=https://r.test/"

// Each day is told by itself, within four hours of its end and not before; days on
// which nothing was seen are not told, nor domains that do not ask.
func TestDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // at 2000-01-01 00:00 UTC
		r := newRig(t)
		r.records["a.test"] = byHTTPS
		r.start()
		defer func() { r.stop() }()
		pass(23*time.Hour + 59*time.Minute)
		r.Count(session("a.test", tlsrpt.FaultNone))
		r.Count(session("b.test", tlsrpt.FaultNone))
		pass(90 * time.Second) // the next day has begun
		r.Count(session("a.test", tlsrpt.FaultExpired))
		pass(5 * time.Hour)
		if got := fmt.Sprint(r.totals()); got != "[2000-01-01 a.test 1 0]" {
			t.Error(got)
		}
		pass(24 * time.Hour)
		if got := fmt.Sprint(r.totals()); got != "[2000-01-01 a.test 1 0 2000-01-02 a.test 0 1]" {
			t.Error(got)
		}
		pass(72 * time.Hour)
		if len(r.seen().posted) != 2 {
			t.Errorf("%d reports", len(r.seen().posted))
		}
		if open, closed, octets := r.bookkeeping(); open+closed+octets != 0 {
			t.Errorf("%d open, %d closed, %d octets", open, closed, octets)
		}
	})
}

// Reports of many domains do not go out at one moment.
func TestSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		for i := range 40 {
			r.records[fmt.Sprintf("d%d.test", i)] = byHTTPS
		}
		r.start()
		defer func() { r.stop() }()
		for i := range 40 {
			r.Count(session(fmt.Sprintf("d%d.test", i), tlsrpt.FaultNone))
		}
		pass(24 * time.Hour)
		for hour := range 4 {
			before := len(r.seen().posted)
			pass(time.Hour)
			if n := len(r.seen().posted) - before; n == 0 || n > 25 {
				t.Errorf("%d reports in hour %d", n, hour)
			}
		}
		pass(2 * time.Minute)
		if len(r.seen().posted) != 40 {
			t.Errorf("%d reports", len(r.seen().posted))
		}
	})
}

// A domain that wants no reports is asked once a day and holds nothing; one whose
// name servers are silent is asked again, and at last when its report is due.
func TestAskOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.records["silent.test"] = "?"
		r.start()
		defer func() { r.stop() }()
		for range 6 {
			r.Count(session("no.test", tlsrpt.FaultNone))
			pass(time.Hour / 2)
		}
		if r.seen().asked != 1 {
			t.Errorf("asked %d times", r.seen().asked)
		}
		_, _, octets := r.bookkeeping()
		if a := r.account("no.test"); a == nil || a.policies != nil || a.octets != 0 || octets != 0 {
			t.Errorf("%+v, %d octets", a, octets)
		}
		r.Count(session("silent.test", tlsrpt.FaultNone))
		pass(3 * time.Hour)
		if r.seen().asked < 3 || r.seen().asked > 5 {
			t.Errorf("asked %d times", r.seen().asked)
		}
		pass(22 * time.Hour)
		r.set(func() { r.records["silent.test"] = byHTTPS })
		pass(6 * time.Hour)
		if got := fmt.Sprint(r.totals()); got != "[2000-01-01 silent.test 1 0]" {
			t.Error(got)
		}
	})
}

// What says nothing of a domain's hosts, and what is nobody's domain, is not
// counted; without a contact nothing is.
func TestNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.start()
		defer func() { r.stop() }()
		private := session("a.test", tlsrpt.FaultExpired)
		private.Private = true
		r.Count(private)
		r.Count(session("[192.0.2.1]", tlsrpt.FaultNone))
		r.Count(session("", tlsrpt.FaultNone))
		r.Apply(Config{})
		r.Count(session("a.test", tlsrpt.FaultNone))
		if n, _, _ := r.bookkeeping(); n != 0 {
			t.Errorf("%d domains", n)
		}
	})
}

// A restart loses nothing that was saved, and repeats nothing that was told.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.records["a.test"] = "v=TLSRPTv1; rua=mailto:a@r.test,https://r.test/"
		r.start()
		r.Count(session("a.test", tlsrpt.FaultExpired))
		r.Count(session("a.test", tlsrpt.FaultNone))
		r.stop()
		pass(time.Hour)
		r.start()
		r.Count(session("a.test", tlsrpt.FaultExpired))
		pass(2 * time.Hour)
		r.stop()
		pass(36 * time.Hour) // it stands still over midnight
		r.set(func() { r.answer = func(bool) (int, error) { return 0, errDown } })
		r.start()
		pass(10 * time.Minute)
		if r.seen().mails != 1 || len(r.seen().posted) != 0 {
			t.Fatalf("%d mails, %d posted", r.seen().mails, len(r.seen().posted))
		}
		r.stop()
		before := r.kept
		r.set(func() { r.answer = func(bool) (int, error) { return 200, nil } })
		r.start()
		pass(10 * time.Minute)
		if got := fmt.Sprint(r.totals()); got != "[2000-01-01 a.test 1 2]" {
			t.Error(got)
		}
		// The power fails before that is saved: the place by HTTPS gets it again, the
		// same report under the same id; the mailbox does not.
		r.stop()
		r.kept = before
		r.start()
		pass(10 * time.Minute)
		if r.seen().mails != 1 || len(r.seen().posted) != 2 || r.seen().posted[0] != r.seen().posted[1] {
			t.Errorf("%d mails, %q", r.seen().mails, r.seen().posted)
		}
		pass(48 * time.Hour)
		r.stop()
		if len(r.kept) != 0 || r.seen().mails != 1 {
			t.Errorf("%d mails, kept %q", r.seen().mails, r.kept)
		}
	})
}

// A report is tried for a day (RFC 8460 section 5.5).
func TestRetries(t *testing.T) {
	for _, c := range []struct {
		why     string
		record  string
		answer  func(r *rig, verified bool) (int, error)
		posted  int
		least   int // questions to the receiver
		most    int
		refused bool
	}{
		{"down", byHTTPS, func(*rig, bool) (int, error) { return 0, errDown }, 0, 8, 20, false},
		{"ill", byHTTPS, func(*rig, bool) (int, error) { return 500, nil }, 0, 8, 20, false},
		{"busy", byHTTPS, func(*rig, bool) (int, error) { return 429, nil }, 0, 8, 20, false},
		{"not wanted", byHTTPS, func(*rig, bool) (int, error) { return 404, nil }, 0, 1, 1, false},
		{"moved", byHTTPS, func(*rig, bool) (int, error) { return 301, nil }, 0, 1, 1, false},
		{"a certificate that does not fit", byHTTPS, func(_ *rig, verified bool) (int, error) {
			if verified {
				return 0, errCert
			}
			return 201, nil
		}, 1, 2, 2, false},
		{"spool full", "v=TLSRPTv1; rua=mailto:a@r.test,https://r.test/", func(*rig, bool) (int, error) { return 200, nil }, 1, 1, 1, true},
	} {
		t.Run(c.why, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.records["a.test"] = c.record
				asked, first, last := 0, time.Time{}, time.Time{}
				r.answer = func(verified bool) (int, error) {
					if asked++; asked == 1 {
						first = time.Now()
					}
					last = time.Now()
					return c.answer(r, verified)
				}
				if c.refused {
					r.refuse = errDown
				}
				r.start()
				defer func() { r.stop() }()
				r.Count(session("a.test", tlsrpt.FaultNone))
				pass(4 * 24 * time.Hour)
				if len(r.seen().posted) != c.posted || asked < c.least || asked > c.most {
					t.Errorf("%d posted, asked %d times", len(r.seen().posted), asked)
				}
				if span := last.Sub(first); c.least > 2 && (span < 16*time.Hour || span > 29*time.Hour) {
					t.Errorf("tried for %v", span)
				}
				if _, closed, octets := r.bookkeeping(); closed+octets != 0 {
					t.Errorf("%d left, %d octets", closed, octets)
				}
			})
		})
	}
}

// Whatever strangers do, what is held stays within its bounds, and every session is
// counted.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.records["a.test"] = byHTTPS
		r.start()
		defer func() { r.stop() }()
		const n = 3000
		for i := range n {
			s := session("a.test", tlsrpt.FaultUntrusted)
			s.Detail = fmt.Sprint("x509: serial ", i)
			s.Peer = netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}), 25)
			s.Policy, s.STS = tlsrpt.PolicySTS, &mtasts.Policy{Mode: mtasts.Enforce, MaxAge: time.Hour, MX: []string{fmt.Sprintf("mx%d.a.test", i%100)}}
			for j := range 300 * (i % 2) {
				s.STS.MX = append(s.STS.MX, fmt.Sprintf("%s%d.a.test", strings.Repeat("x", 50), j))
			}
			r.Count(s)
		}
		a := r.account("a.test")
		if len(a.policies) > maxPolicies+3 {
			t.Errorf("%d policies", len(a.policies))
		}
		for k, p := range a.policies {
			if len(p.failures) > maxFailures+12 || len(k.Text) > maxText {
				t.Errorf("%d failures, a text of %d octets", len(p.failures), len(k.Text))
			}
		}
		if a.octets > 1<<20 {
			t.Errorf("%d octets", a.octets)
		}
		pass(30 * time.Hour)
		if got, want := fmt.Sprint(r.totals()), fmt.Sprintf("[2000-01-01 a.test 0 %d]", n); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

// Domains beyond the bound are not counted; nor are particulars when the memory for
// them is used up.
func TestRoom(t *testing.T) {
	b := newBook(1)
	now := time.Now()
	for i := range maxDomains + 10 {
		if got, want := b.count(session(fmt.Sprintf("d%d.test", i), tlsrpt.FaultExpired), now), i < maxDomains; got != want {
			t.Fatalf("domain %d: %v", i, got)
		}
	}
	if b.octets > maxOctets {
		t.Errorf("%d octets", b.octets)
	}
	last := b.open[session(fmt.Sprintf("d%d.test", maxDomains-1), "").Domain]
	if got := last.report(); len(got) != 1 || got[0].Summary.Bad != 1 || len(got[0].Failures) != 1 || got[0].Failures[0].Host != "" {
		t.Errorf("%+v", got)
	}
}

// Nothing of our own network is told.
func TestParticulars(t *testing.T) {
	for _, c := range []struct {
		fault        tlsrpt.Fault
		detail, want string
	}{
		{tlsrpt.FaultExpired, "x509: certificate has expired", "x509: certificate has expired"},
		{tlsrpt.FaultOther, "TLS handshake: remote error: tls: handshake failure", "tls: handshake failure"},
		{tlsrpt.FaultOther, "TLS handshake: read tcp 10.0.0.1:4711->203.0.113.2:25: connection reset", ""},
		{tlsrpt.FaultDNSSEC, "dns: no answer: 10.0.0.53:53: i/o timeout", ""},
		{tlsrpt.FaultFetch, "Get \"https://mta-sts.a.test\": 10.0.0.53:53: i/o timeout", ""},
		{tlsrpt.FaultNoSTARTTLS, "starttls-not-supported", ""},
		{tlsrpt.FaultUnlisted, "something", "mx-not-in-policy"},
		{tlsrpt.FaultExpired, strings.Repeat("ü", 200), strings.Repeat("ü", 100)},
	} {
		if got := failureOf(&mail.TLSResult{Fault: c.fault, Detail: c.detail}).Reason; got != c.want {
			t.Errorf("%s, %s: %q", c.fault, c.detail, got)
		}
	}
}
