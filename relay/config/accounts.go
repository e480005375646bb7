package config

import (
	"slices"
	"time"

	"tenma/relay/config/tenants"
	"tenma/relay/ingress"
	"tenma/relay/policy/auth/external"
)

// accounts reads [auth]: where accounts are known besides the accounts file.
func (r *reader) accounts(s *section, c *Config) {
	e := &external.Config{}
	kind := s.Choice("kind", &e.Kind, external.LDAP, external.Command)
	keys := map[string]string{} // of one kind only
	of := func(kind, key string) string { keys[key] = kind; return key }

	s.Strings("domains", false, func(v *value) {
		if d, ok := s.DomainOf("domains", v); ok {
			e.Domains = append(e.Domains, d)
		}
	})
	s.Duration("timeout", &e.Timeout, 100*time.Millisecond, time.Minute)
	s.Integer("workers", &e.Workers, 1, 1000)
	s.Duration("remember", &e.Known, time.Second, 24*time.Hour)

	s.String(of(external.LDAP, "url"), &e.URL)
	s.Bool(of(external.LDAP, "no_tls"), &e.NoTLS)
	if v := s.String(of(external.LDAP, "ca"), &e.CA); v != nil {
		e.CA = r.path(e.CA, true)
	}
	s.String(of(external.LDAP, "user_dn"), &e.UserDN)
	s.String(of(external.LDAP, "base"), &e.Base)
	s.String(of(external.LDAP, "filter"), &e.Filter)
	s.String(of(external.LDAP, "bind_dn"), &e.BindDN)
	r.secret(s, of(external.LDAP, "password"), &e.Password)

	s.Strings(of(external.Command, "command"), false, func(v *value) { e.Command = append(e.Command, v.Text) })
	s.Close()

	failed := len(r.Errs)
	for _, key := range s.Keys {
		if want := keys[key]; want != "" && e.Kind != "" && want != e.Kind {
			s.Errorf(s.KeyAt[key], "%s is for kind = %q, not %q", key, want, e.Kind)
		}
	}
	switch {
	case kind == nil && len(s.Keys) > 0 && s.Values["kind"] == nil:
		s.Errorf(s.At, `[auth] has no kind; write kind = "ldap" or "command"`)
	case kind == nil, len(r.Errs) > failed, r.peek:
	default:
		if _, err := external.New(*e); err != nil {
			s.Errorf(s.At, "[auth] cannot work: %v", err)
		}
	}
	if kind != nil {
		c.Auth.External = e
	}
}

// tenants reads every [[tenant]], whose domains are signed for it alone.
func (r *reader) tenants(s *section, c *Config) {
	context := tenants.Context{Returns: c.Returns.Domain != "", Links: c.Returns.Links != "", Trusted: slices.ContainsFunc(c.Ingress.Listeners, func(l ingress.Listener) bool { return l.TrustTenantHeader })}
	for _, k := range c.DKIM.Keys {
		context.Keys = append(context.Keys, k.Domain)
	}
	for _, d := range c.Rotation.Domains {
		context.Keys = append(context.Keys, d.Name)
	}
	c.Tenants = tenants.Read(s, context)
	c.DKIM.Granted = c.Tenants.Granted()
	for _, t := range c.Tenants.Tenants {
		c.Returns.Tenants = append(c.Returns.Tenants, t.Name)
	}
}
