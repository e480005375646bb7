package config

import (
	"net"
	"slices"
	"strconv"
	"time"

	"tenma/relay/admin/setup"
	"tenma/relay/config/document"
	"tenma/relay/door"
	"tenma/relay/ingress"
	"tenma/relay/intake"
	"tenma/relay/mailbox"
	"tenma/relay/mailbox/imap"
	"tenma/relay/mailbox/pop3"
)

// mailbox reads [mailbox].
func (r *reader) mailbox(s *section, c *Config) {
	m := &c.Mailbox
	*m = mailbox.DefaultConfig()
	dir := BoxesDir
	s.String("directory", &dir)
	m.Dir, m.SRSKeyPath = r.path(dir, false), c.InData(SRSKeyFile)
	s.SizeOr("quota", "none", &m.Quota, 1<<20, tera)
	s.PercentOr("quota_warning", "never", &m.QuotaWarn)
	s.Size("max_message_size", &m.MessageSize, 1<<10, 1<<40)
	s.Integer("max_folders", &m.Folders, 10, 100000)
	s.DaysOr("trash", "forever", &m.TrashDays)
	s.DaysOr("junk", "forever", &m.JunkDays)
	s.DaysOr("pop3_keep", "forever", &m.POP3Days)
	c.POP3.Expire, c.IMAP.MessageSize = m.POP3Days, m.MessageSize
	var domain string
	if v := s.String("srs_domain", &domain); v != nil {
		var ok bool
		if m.SRSDomain, ok = s.DomainOf("srs_domain", v); ok && !slices.Contains(c.Route.Local, m.SRSDomain) {
			c.Route.Local = append(c.Route.Local, m.SRSDomain) // what comes back is for us to turn round
		}
	}
	s.Close()
}

// submission reads [submission].
func (r *reader) submission(s *section, c *Config) {
	rule := string(intake.SenderAccount)
	v := s.Choice("sender", &rule, string(intake.SenderAccount), string(intake.SenderDomain), string(intake.SenderAny))
	if v != nil && rule == string(intake.SenderAny) {
		s.Warnf(v.At, "sender = \"any\": whoever has one password here can send in anybody's name")
	}
	c.Intake.SubmissionSender = intake.SenderRule(rule)
	s.Integer("messages_per_hour", &c.Ingress.Accounts.Messages, 1, 1e9)
	s.Integer("recipients_per_hour", &c.Ingress.Accounts.Recipients, 1, 1e9)
	s.Close()
	if len(s.Keys) == 0 || rule == string(intake.SenderAny) && c.Ingress.Accounts == (ingress.AccountLimits{}) {
		return
	}
	for _, l := range c.Ingress.Listeners {
		if l.Auth != ingress.AuthOff && !l.Submission {
			s.Warnf(s.At, `[submission] does not bind who logs in at %s, which is no submission listener; write auth = "off" or submission = true there`, l.Address)
		}
	}
}

// people takes a listener for mail programs, of which in has what was read.
func (l *listenReader) people(s *section, in ingress.Listener, protocol string) {
	l.only(s, protocol, "protocol", "address", "tls", "proxy_protocol_from", "idle_timeout",
		"max_connections", "max_connections_per_ip", "max_connection_rate_per_ip")
	if v := s.Values["tls"]; in.TLS == ingress.TLSOff && v != nil {
		s.Errorf(v.At, `tls = "off" with %s: passwords are never taken without TLS, so nobody could log in; write "starttls" or "implicit"`, protocol)
	}
	var limits *door.Limits // zero fields are the defaults
	var idle time.Duration
	if in.Limits != nil {
		limits = &door.Limits{}
		for key, to := range map[string]func(){
			"max_connections":            func() { limits.Connections = in.Limits.Connections },
			"max_connections_per_ip":     func() { limits.ConnectionsPerIP = in.Limits.ConnectionsPerIP },
			"max_connection_rate_per_ip": func() { limits.RatePerIP = in.Limits.RatePerIP },
			"idle_timeout":               func() { idle = in.Limits.Idle },
		} {
			if s.Values[key] != nil {
				to()
			}
		}
	}
	least := map[string]time.Duration{"imap": 30 * time.Minute, "pop3": 10 * time.Minute}[protocol]
	if idle > 0 && idle < least {
		s.Errorf(s.Values["idle_timeout"].At, "idle_timeout is below the %s that %s promises to mail programs (RFC 9051 section 5.4, RFC 1939 section 3)", document.Short(least), protocol)
	}
	if protocol == "imap" {
		l.c.IMAP.MaxIdle = max(l.c.IMAP.MaxIdle, idle)
		l.c.IMAP.Listeners = append(l.c.IMAP.Listeners, imap.Listener{
			Address: in.Address, TLS: door.TLSMode(in.TLS), ProxyFrom: in.ProxyFrom, Limits: limits,
		})
		return
	}
	l.c.POP3.MaxIdle = max(l.c.POP3.MaxIdle, idle)
	l.c.POP3.Listeners = append(l.c.POP3.Listeners, pop3.Listener{
		Address: in.Address, TLS: door.TLSMode(in.TLS), ProxyFrom: in.ProxyFrom, Limits: limits,
	})
}

// only reports the keys that are known, but not to this protocol.
func (l *listenReader) only(s *section, protocol string, keys ...string) {
	for _, key := range s.Keys {
		if !slices.Contains(keys, key) && slices.Contains(s.Asked, key) {
			s.Errorf(s.KeyAt[key], "%s is not for protocol %s", key, protocol)
		}
	}
}

// setup reads [setup]. What it does not say follows from the listeners.
func (r *reader) setup(s *section, c *Config) {
	p := &c.Setup
	p.Host, p.MX, p.Domains, p.HTTP = c.Hostname, c.Hostname, slices.Clone(c.Auth.Domains), len(c.Admin.Listeners) > 0
	for _, e := range c.Elsewhere { // its programs ask here, and [setup] tells of its server
		p.Domains = append(p.Domains, e.Domain)
	}
	var host string
	if v := s.String("host", &host); v != nil {
		switch d, ok := s.DomainOf("host", v); {
		case ok && isIP(host):
			s.Errorf(v.At, "host must be a name, not an address: no certificate has the address")
		case ok:
			p.Host = string(d)
		}
	}
	mode := string(setup.STSTesting)
	v := s.Choice("mta_sts", &mode, "off", "testing", "enforce")
	p.STS = setup.STSMode(mode)
	if v != nil && p.STS == setup.STSEnforce && c.TLS.SelfSigned {
		s.Warnf(v.At, `mta_sts = "enforce" with a self-signed certificate: who follows the policy delivers nothing; see [tls]`)
	}
	found := services(c)
	for _, one := range []struct {
		key      string
		protocol setup.Protocol
		implicit bool
	}{
		{"imaps", setup.IMAP, true},
		{"imap", setup.IMAP, false},
		{"pop3s", setup.POP3, true},
		{"pop3", setup.POP3, false},
		{"submissions", setup.Submission, true},
		{"submission", setup.Submission, false},
	} {
		port := -1
		s.Integer(one.key, &port, 0, 65535)
		if port >= 0 {
			found = slices.DeleteFunc(found, func(f setup.Service) bool { return f.Protocol == one.protocol && f.Implicit == one.implicit })
		}
		if port > 0 {
			found = append(found, setup.Service{Protocol: one.protocol, Port: uint16(port), Implicit: one.implicit})
		}
	}
	p.Services = found
	s.Close()
}

// services are the ports at which mail programs find what listens here.
func services(c *Config) []setup.Service {
	var all []setup.Service
	add := func(p setup.Protocol, address string, mode string) {
		_, port, _ := net.SplitHostPort(address)
		n, err := strconv.ParseUint(port, 10, 16)
		if err == nil && n > 0 && mode != string(door.TLSOff) {
			all = append(all, setup.Service{Protocol: p, Port: uint16(n), Implicit: mode == string(door.TLSImplicit)})
		}
	}
	for _, l := range c.IMAP.Listeners {
		add(setup.IMAP, l.Address, string(l.TLS))
	}
	for _, l := range c.POP3.Listeners {
		add(setup.POP3, l.Address, string(l.TLS))
	}
	for _, l := range c.Ingress.Listeners {
		if l.Submission && l.Auth != ingress.AuthOff && !l.LMTP {
			add(setup.Submission, l.Address, string(l.TLS))
		}
	}
	return all
}
