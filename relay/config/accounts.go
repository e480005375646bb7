package config

import (
	"time"

	"tenma/relay/policy/auth/external"
)

// accounts reads [auth]: where accounts are known besides the accounts file.
func (r *reader) accounts(s *section, c *Config) {
	e := &external.Config{}
	kind := s.choice("kind", &e.Kind, external.LDAP, external.Command)
	keys := map[string]string{} // of one kind only
	of := func(kind, key string) string { keys[key] = kind; return key }

	s.strings("domains", false, func(v *value) {
		if d, ok := s.domainOf("domains", v); ok {
			e.Domains = append(e.Domains, d)
		}
	})
	s.duration("timeout", &e.Timeout, 100*time.Millisecond, time.Minute)
	s.integer("workers", &e.Workers, 1, 1000)
	s.duration("remember", &e.Known, time.Second, 24*time.Hour)

	s.str(of(external.LDAP, "url"), &e.URL)
	s.boolean(of(external.LDAP, "no_tls"), &e.NoTLS)
	if v := s.str(of(external.LDAP, "ca"), &e.CA); v != nil {
		e.CA = r.path(e.CA, true)
	}
	s.str(of(external.LDAP, "user_dn"), &e.UserDN)
	s.str(of(external.LDAP, "base"), &e.Base)
	s.str(of(external.LDAP, "filter"), &e.Filter)
	s.str(of(external.LDAP, "bind_dn"), &e.BindDN)
	r.secret(s, of(external.LDAP, "password"), &e.Password)

	s.strings(of(external.Command, "command"), false, func(v *value) { e.Command = append(e.Command, v.text) })
	s.close()

	failed := len(r.errs)
	for _, key := range s.keys {
		if want := keys[key]; want != "" && e.Kind != "" && want != e.Kind {
			s.errorf(s.keyAt[key], "%s is for kind = %q, not %q", key, want, e.Kind)
		}
	}
	switch {
	case kind == nil && len(s.keys) > 0 && s.values["kind"] == nil:
		s.errorf(s.at, `[auth] has no kind; write kind = "ldap" or "command"`)
	case kind == nil, len(r.errs) > failed, r.peek:
	default:
		if _, err := external.New(*e); err != nil {
			s.errorf(s.at, "[auth] cannot work: %v", err)
		}
	}
	if kind != nil {
		c.Auth.External = e
	}
}
