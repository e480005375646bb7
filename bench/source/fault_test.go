package source

import (
	"strings"
	"testing"
	"time"

	"tenma/bench/load"
)

// What a server does wrong is counted, and the load goes on.
func TestFaults(t *testing.T) {
	type counts struct{ accepted, soft, hard, conns, broken int64 }
	for name, x := range map[string]struct {
		manner, words string
		want          counts
		first         string // in the first error
	}{
		"soft at MAIL":      {"say:mail=451_4.3.0_later", "", counts{soft: 20}, "451 4.3.0 later"},
		"hard at DATA":      {"say:data=554_5.7.1_no", "", counts{hard: 20}, "554 5.7.1 no"},
		"soft at the dot":   {"say:dot=452_4.3.1_full", "", counts{soft: 20}, "452 4.3.1 full"},
		"hard at the dot":   {"say:dot=554_5.6.0_no", "", counts{hard: 20}, "554 5.6.0 no"},
		"421 at the dot":    {"say:dot=421_4.3.2_bye", "", counts{soft: 20}, "421 4.3.2 bye"},
		"421 at MAIL":       {"say:mail=421_4.3.2_bye", "", counts{soft: 20}, "421 4.3.2 bye"},
		"half the users":    {"user:u0=550_5.1.1_who user:u1=451_4.2.1_later", "users=4", counts{accepted: 10, soft: 5, hard: 5}, ""},
		"one of recipients": {"user:u0=550_5.1.1_who", "users=4 recipients=2", counts{accepted: 20}, ""},
		"drop at the dot":   {"say:dot=drop", "", counts{conns: 20, broken: 20}, "EOF"},
		"drop at MAIL":      {"say:mail=drop", "", counts{conns: 20, broken: 20}, "EOF"},
		"a long reply":      {"say:dot=250_one|250_two", "", counts{accepted: 20}, ""},
	} {
		for _, way := range []string{"", "pipeline=on", "pipeline=across", "bdat", "bdat pipeline=on"} {
			if strings.Contains(way, "bdat") && strings.Contains(x.manner, "say:data") {
				continue
			}
			t.Run(name+" "+way, func(t *testing.T) {
				run(t, x.manner, "sessions=1 count=20 "+x.words+" "+way, func(sv *server, _ *Source, r load.Result, err error) {
					got := counts{r.Accepted, r.SoftErrors, r.HardErrors, r.ConnErrors, int64(r.Extra["broken"])}
					if err != nil || got != x.want || !strings.Contains(r.FirstError, x.first) {
						t.Errorf("%+v, want %+v; first error %q; %v", got, x.want, r.FirstError, err)
					}
					if int64(len(sv.got)) != x.want.accepted {
						t.Errorf("%d arrived", len(sv.got))
					}
				})
			})
		}
	}
}

// A window full of messages that a refusal makes void is counted whole.
func TestWindowAfterRefusal(t *testing.T) {
	run(t, "user:u0=550_5.1.1_who", "sessions=1 users=10 count=30 bdat pipeline=across window=3", func(sv *server, _ *Source, r load.Result, err error) {
		if err != nil || r.Accepted+r.HardErrors != 30 || r.Accepted < 20 || r.ConnErrors != 0 || int64(len(sv.got)) != r.Accepted {
			t.Errorf("accepted %d, hard %d, connections %d, arrived %d: %v", r.Accepted, r.HardErrors, r.ConnErrors, len(sv.got), err)
		}
	})
}

// Without a server, or with one that every session must fail with, the load
// gives up and says why.
func TestGivesUp(t *testing.T) {
	for words, x := range map[string]struct{ manner, why string }{
		"patience=3s":                         {"say:connect=554_5.3.2_no", "no connection to 192.0.2.25:25 for 3s: the greeting: 554 5.3.2 no"},
		"patience=3s rate=1":                  {"say:connect=drop", "no connection to 192.0.2.25:25 for 3s: the greeting: EOF"},
		"patience=3s pipeline=on":             {"say:ehlo=550_go", "EHLO: 550 go"},
		"pipeline=on":                         {"without=PIPELINING", "does not offer PIPELINING"},
		"bdat":                                {"without=CHUNKING", "does not offer CHUNKING"},
		"tls=starttls":                        {"", "does not offer STARTTLS"},
		"tls=starttls verify":                 {"tls", "TLS: tls: failed to verify certificate"},
		"tls=starttls patience=2s":            {"tls-broken", "TLS: tls: first record does not look like a TLS handshake"},
		"tls=implicit patience=2s timeout=1s": {"", "TLS: "},
		"user=a password=b":                   {"", "AUTH: 504"},
		"user=a password=b tls=starttls":      {"tls login=a:c", "AUTH: 535"},
	} {
		t.Run(words, func(t *testing.T) {
			run(t, x.manner, "sessions=3 count=10 "+words, func(_ *server, _ *Source, r load.Result, err error) {
				if err == nil || !strings.Contains(err.Error(), x.why) || r.Accepted != 0 || r.ConnErrors == 0 || r.FirstError == "" {
					t.Errorf("%v, want %q; %d connection errors, first %q", err, x.why, r.ConnErrors, r.FirstError)
				}
			})
		})
	}
}

// A server that comes back within the patience gets the load after all.
func TestPatience(t *testing.T) {
	run(t, "max-connections=1", "sessions=2 per-session=5 count=40 patience=1s", func(_ *server, _ *Source, r load.Result, err error) {
		if err != nil || r.Accepted != 40 {
			t.Errorf("accepted %d, connection errors %d (%s): %v", r.Accepted, r.ConnErrors, r.FirstError, err)
		}
	})
}

// A server that turns every message away at the door is asked ever less often:
// after 50 ms, 100 ms, ... and every second.
func TestPauses(t *testing.T) {
	run(t, "say:mail=421_4.3.2_bye", "sessions=1 count=20", func(_ *server, s *Source, r load.Result, err error) {
		if took := time.Since(s.start); err != nil || r.SoftErrors != 20 || took < 15*time.Second || took > 18*time.Second {
			t.Errorf("%d refused within %v: %v", r.SoftErrors, took, err)
		}
	})
}
