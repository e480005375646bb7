package external

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-ldap/ldap/v3"

	"tenma/relay/wire/smtp"
)

var (
	ann    = smtp.Address{Local: "ann", Domain: "example.test"}
	nobody = smtp.Address{Local: "nobody", Domain: "example.test"}
)

const annDN = "uid=ann,ou=people,dc=example,dc=test"

// byDN binds as a name made from the address, without TLS.
func byDN(s *server) Config {
	return Config{
		Kind: LDAP, URL: "ldap://127.0.0.1", NoTLS: true, UserDN: "uid={local},ou=people,dc=example,dc=test",
		Dial: s.dial, Log: slog.New(slog.DiscardHandler),
	}
}

// bySearch looks the name up as a service account first.
func bySearch(s *server) Config {
	c := byDN(s)
	c.UserDN, c.Base, c.BindDN, c.Password = "", "dc=example,dc=test", "cn=relay", "service"
	return c
}

func people(t testing.TB) *server {
	return &server{
		t: t, passwords: map[string]string{annDN: "right", "cn=relay": "service", "uid=locked": "right"},
		entries: map[string][]string{
			annDN + " (objectClass=*)":                           {annDN},
			"dc=example,dc=test (mail=ann@example.test)":         {annDN},
			"dc=example,dc=test (mail=two@example.test)":         {annDN, "uid=two"},
			"dc=example,dc=test (mail=stranger@example.test)":    {"uid=nobody-can-bind"},
			`dc=example,dc=test (mail=a\2a\28b\29@example.test)`: {"uid=star"},
		},
	}
}

func source(t testing.TB, c Config) *Source {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVerifyByLDAP(t *testing.T) {
	for name, config := range map[string]func(*server) Config{"by name": byDN, "by search": bySearch} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := people(t)
				s := source(t, config(srv))
				if err := s.Verify(t.Context(), ann, "right"); err != nil {
					t.Error(err)
				}
				for _, bad := range []struct {
					a        smtp.Address
					password string
				}{{ann, "wrong"}, {ann, "Right"}, {nobody, "right"}} {
					if err := s.Verify(t.Context(), bad.a, bad.password); !errors.Is(err, ErrRefused) {
						t.Errorf("%v: %v", bad, err)
					}
				}
				synctest.Wait()
			})
		})
	}
}

// A bind without a password succeeds and means nobody: the server is never asked
// to (RFC 4513 section 5.1.2).
func TestEmptyPasswordIsNotAsked(t *testing.T) {
	srv := people(t)
	for _, c := range []Config{byDN(srv), bySearch(srv)} {
		for _, password := range []string{"", "a\x00b", "a\nb", strings.Repeat("x", 2000), "\xff"} {
			if err := source(t, c).Verify(t.Context(), ann, password); !errors.Is(err, ErrRefused) {
				t.Errorf("%q: %v", password, err)
			}
		}
	}
	if asked := srv.heard(); len(asked) > 0 {
		t.Errorf("asked: %v", asked)
	}
	c := bySearch(srv)
	c.Password = ""
	if _, err := New(c); err == nil {
		t.Error("a service account without a password was taken")
	}
}

// What people are called cannot change what is asked.
func TestNamesAreEscaped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := people(t)
		star := smtp.Address{Local: "a*(b)", Domain: "example.test"}
		if there, err := source(t, bySearch(srv)).Exists(star); err != nil || !there {
			t.Errorf("%v, %v", there, err)
		}
		if there, err := source(t, bySearch(srv)).Exists(smtp.Address{Local: "*", Domain: "example.test"}); err != nil || there {
			t.Errorf("everybody is there: %v, %v", there, err)
		}
		srv.heard()
		evil := smtp.Address{Local: `ann,ou=people,dc=example,dc=test+x="#`, Domain: "example.test"}
		if err := source(t, byDN(srv)).Verify(t.Context(), evil, "right"); !errors.Is(err, ErrRefused) {
			t.Error(err)
		}
		for _, asked := range srv.heard() {
			dn, err := ldap.ParseDN(strings.TrimPrefix(asked, "bind "))
			if err != nil || len(dn.RDNs) != 4 || dn.RDNs[0].Attributes[0].Value != evil.Local {
				t.Errorf("%s: %v", asked, err)
			}
		}
	})
}

func TestExistsByLDAP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, config := range map[string]func(*server) Config{"by name": byDN, "by search": bySearch} {
			srv := people(t)
			s := source(t, config(srv))
			ask := func(a smtp.Address) bool {
				t.Helper()
				there, err := s.Exists(a)
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				return there
			}
			if !ask(ann) || ask(nobody) {
				t.Errorf("%s: wrong", name)
			}
			srv.heard()
			if !ask(ann) || ask(nobody) || len(srv.heard()) > 0 {
				t.Errorf("%s: not remembered", name)
			}
			time.Sleep(s.cfg.Known/negativeOf + 1)
			if ask(nobody); len(srv.heard()) == 0 {
				t.Errorf("%s: a no is remembered too long", name)
			}
			if ask(ann); len(srv.heard()) > 0 {
				t.Errorf("%s: a yes is not remembered as long", name)
			}
			time.Sleep(s.cfg.Known)
			if ask(ann); len(srv.heard()) == 0 {
				t.Errorf("%s: a yes is remembered too long", name)
			}
		}
	})
}

// An outage is neither a wrong password nor an unknown address, costs the silent
// server one question in a while, and takes away nobody that was there.
func TestOutage(t *testing.T) {
	for name, bad := range map[string]mood{
		"refused": {refuse: true}, "mute": {mute: true}, "busy": {code: ldap.LDAPResultBusy}, "down": {code: ldap.LDAPResultUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := people(t)
				s := source(t, bySearch(srv))
				if there, err := s.Exists(ann); err != nil || !there {
					t.Fatal(there, err)
				}
				srv.become(bad)
				start := time.Now()
				if err := s.Verify(t.Context(), ann, "right"); err == nil || errors.Is(err, ErrRefused) || time.Since(start) > s.cfg.Timeout {
					t.Errorf("%v after %v", err, time.Since(start))
				}
				start = time.Now()
				srv.heard()
				if _, err := s.Exists(nobody); err == nil || time.Since(start) > 0 || len(srv.heard()) > 0 {
					t.Errorf("asked again at once: %v after %v", err, time.Since(start))
				}
				time.Sleep(s.cfg.Known)
				if there, err := s.Exists(ann); err != nil || !there {
					t.Errorf("someone is gone: %v, %v", there, err)
				}
				time.Sleep(staleFor)
				if there, err := s.Exists(ann); err == nil {
					t.Errorf("known for ever: %v", there)
				}
				srv.become(mood{})
				time.Sleep(coolDown)
				if err := s.Verify(t.Context(), ann, "right"); err != nil {
					t.Errorf("after it is over: %v", err)
				}
			})
		})
	}
}

// What is wrong with one address is no outage.
func TestAmbiguousAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := people(t)
		s := source(t, bySearch(srv))
		two := smtp.Address{Local: "two", Domain: "example.test"}
		if _, err := s.Exists(two); err == nil {
			t.Error("one of two was taken")
		}
		if err := s.Verify(t.Context(), two, "right"); err == nil || errors.Is(err, ErrRefused) {
			t.Error(err)
		}
		if err := s.Verify(t.Context(), ann, "right"); err != nil {
			t.Error(err)
		}
		c := bySearch(srv)
		c.Password = "former"
		s = source(t, c)
		if err := s.Verify(t.Context(), ann, "right"); err == nil || errors.Is(err, ErrRefused) {
			t.Errorf("a service account that is locked out is somebody's wrong password: %v", err)
		}
	})
}

func TestLDAPOverTLS(t *testing.T) {
	srv := people(t)
	ca := srv.certify("ldap.example.test")
	config := func(url, ca string) Config {
		c := byDN(srv)
		c.URL, c.CA, c.NoTLS = url, ca, false
		return c
	}
	if err := source(t, config("ldap://ldap.example.test", ca)).Verify(t.Context(), ann, "right"); err != nil {
		t.Error(err)
	}
	if got := srv.heard(); !slices.Equal(got, []string{"tls", "bind " + annDN}) {
		t.Errorf("%q", got)
	}
	for _, bad := range []Config{config("ldap://other.example.test", ca), config("ldap://ldap.example.test", "")} {
		if err := source(t, bad).Verify(t.Context(), ann, "right"); err == nil || errors.Is(err, ErrRefused) {
			t.Errorf("%s, %s: %v", bad.URL, bad.CA, err)
		}
	}
	if got := srv.heard(); slices.Contains(got, "bind "+annDN) {
		t.Error("a password went to a stranger")
	}
	srv.tls = nil // a server, or somebody between, that will not
	if err := source(t, config("ldap://ldap.example.test", ca)).Verify(t.Context(), ann, "right"); err == nil || errors.Is(err, ErrRefused) {
		t.Error(err)
	}
	if got := srv.heard(); slices.Contains(got, "bind "+annDN) {
		t.Error("a password went over plaintext")
	}
}

func TestConfig(t *testing.T) {
	good := Config{Kind: LDAP, URL: "ldaps://ldap.example.test", UserDN: "uid={local},dc=test"}
	for name, breaks := range map[string]func(*Config){
		"kind":          func(c *Config) { c.Kind = "oracle" },
		"no url":        func(c *Config) { c.URL = "" },
		"scheme":        func(c *Config) { c.URL = "https://x.test" },
		"path":          func(c *Config) { c.URL = "ldap://x.test/dc=test" },
		"user":          func(c *Config) { c.URL = "ldap://u:p@x.test" },
		"no tls":        func(c *Config) { c.URL, c.NoTLS = "ldap://x.test", true },
		"ldaps no tls":  func(c *Config) { c.URL, c.NoTLS = "ldaps://127.0.0.1", true },
		"nowhere":       func(c *Config) { c.UserDN = "" },
		"everybody":     func(c *Config) { c.UserDN = "uid=relay,dc={domain}" },
		"no name":       func(c *Config) { c.UserDN = "{local}" },
		"unknown part":  func(c *Config) { c.UserDN = "uid={user},dc=test" },
		"open brace":    func(c *Config) { c.UserDN = "uid={local,dc=test" },
		"filter":        func(c *Config) { c.Filter = "mail={address}" },
		"base":          func(c *Config) { c.Base = "nowhere" },
		"bind alone":    func(c *Config) { c.BindDN = "cn=relay" },
		"no ca":         func(c *Config) { c.CA = "/nowhere" },
		"no command":    func(c *Config) { c.Kind = Command },
		"no such thing": func(c *Config) { c.Kind, c.Command = Command, []string{"/nowhere/checker"} },
	} {
		c := good
		if breaks(&c); name != "" {
			if _, err := New(c); err == nil {
				t.Errorf("%s: taken", name)
			}
		}
	}
	s := source(t, good)
	if d := s.ask.(*directory); d.host != "ldap.example.test:636" || !d.implicit {
		t.Errorf("%+v", d)
	}
	if !s.Covers("a.test", true) || s.Covers("a.test", false) {
		t.Error("covers")
	}
	good.Domains = []smtp.Domain{"b.test"}
	if s := source(t, good); s.Covers("a.test", true) || !s.Covers("b.test", false) {
		t.Error("covers")
	}
}

func TestCacheIsBounded(t *testing.T) {
	s := source(t, byDN(people(t)))
	for i := range cacheSize + 100 {
		s.learn(smtp.Address{Local: string(rune('a' + i)), Domain: "example.test"}, true)
	}
	if len(s.known) > cacheSize {
		t.Errorf("%d", len(s.known))
	}
}

func FuzzTemplate(f *testing.F) {
	f.Add("uid={local},ou=people,dc=example,dc=test", `a,"+#;<>=\ `, "example.test")
	f.Add("(&(objectClass=person)(mail={address}))", "*)(uid=*", "x")
	f.Add("{local}{domain}{address}", " ", "")
	f.Fuzz(func(t *testing.T, text, local, domain string) {
		tpl, err := parseTemplate(text)
		if err != nil {
			return
		}
		same := func(s string) string { return s }
		if got := tpl.fill(smtp.Address{Local: "{local}", Domain: "{domain}"}, same); strings.ReplaceAll(text, "{address}", "{local}@{domain}") != got {
			t.Fatalf("%q became %q", text, got)
		}
		if !askable(local) || !askable(domain) {
			return
		}
		// Whatever someone is called, a name has as many parts and a filter says
		// what it says.
		a := smtp.Address{Local: local, Domain: smtp.Domain(domain)}
		dn := template{{text: "uid="}, {text: "local", part: true}, {text: ",ou=people"}}
		if d, err := ldap.ParseDN(dn.fill(a, ldap.EscapeDN)); err == nil && len(d.RDNs) != 2 {
			t.Fatalf("%q makes %s", local, dn.fill(a, ldap.EscapeDN))
		}
		filter := template{{text: "(mail="}, {text: "address", part: true}, {text: ")"}}
		p, err := ldap.CompileFilter(filter.fill(a, ldap.EscapeFilter))
		if err != nil || p.Tag != ldap.FilterEqualityMatch || p.Children[1].Data.String() != local+"@"+domain {
			t.Fatalf("%q makes %s: %v", local, filter.fill(a, ldap.EscapeFilter), err)
		}
	})
}
