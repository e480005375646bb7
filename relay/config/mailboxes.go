package config

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"tenma/relay/admin/setup"
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
	s.str("directory", &dir)
	m.Dir, m.SRSKeyPath = r.path(dir, false), c.InData(SRSKeyFile)
	s.sizeOr("quota", "none", &m.Quota, 1<<20, tera)
	s.percentOr("quota_warning", "never", &m.QuotaWarn)
	s.size("max_message_size", &m.MessageSize, 1<<10, 1<<40)
	s.integer("max_folders", &m.Folders, 10, 100000)
	s.daysOr("trash", "forever", &m.TrashDays)
	s.daysOr("junk", "forever", &m.JunkDays)
	s.daysOr("pop3_keep", "forever", &m.POP3Days)
	c.POP3.Expire, c.IMAP.MessageSize = m.POP3Days, m.MessageSize
	var domain string
	if v := s.str("srs_domain", &domain); v != nil {
		var ok bool
		if m.SRSDomain, ok = s.domainOf("srs_domain", v); ok && !slices.Contains(c.Route.Local, m.SRSDomain) {
			c.Route.Local = append(c.Route.Local, m.SRSDomain) // what comes back is for us to turn round
		}
	}
	s.close()
}

// sizeOr reads a size, or the word for none, which is -1.
func (s *section) sizeOr(key, none string, into *int64, low, high int64) {
	if s.isWord(key, none) {
		*into = -1
		return
	}
	s.size(key, into, low, high)
}

// daysOr reads a duration of whole days, or the word for ever, which is -1.
func (s *section) daysOr(key, ever string, into *int) {
	if s.isWord(key, ever) {
		*into = -1
		return
	}
	var d time.Duration
	v := s.duration(key, &d, 24*time.Hour, 100*year)
	switch {
	case v == nil:
	case d%(24*time.Hour) != 0:
		s.errorf(v.at, `%s is counted in whole days; write "30d" or %q`, key, ever)
	default:
		*into = int(d / (24 * time.Hour))
	}
}

// percentOr reads "90%", or the word for never, which is -1.
func (s *section) percentOr(key, never string, into *int) {
	if s.isWord(key, never) {
		*into = -1
		return
	}
	v := s.typed(key, unstable.String, `a part such as "90%"`)
	if v == nil {
		return
	}
	number, percent := strings.CutSuffix(v.text, "%")
	n, err := strconv.Atoi(strings.TrimSpace(number))
	if !percent || err != nil || n < 1 || n > 99 {
		s.errorf(v.at, `%s must be from "1%%" to "99%%", or %q, not %q`, key, never, clip(v.text))
		return
	}
	*into = n
}

func (s *section) isWord(key, word string) bool {
	v := s.find(key)
	return v != nil && v.kind == unstable.String && v.text == word
}

// submission reads [submission].
func (r *reader) submission(s *section, c *Config) {
	rule := string(intake.SenderAccount)
	v := s.choice("sender", &rule, string(intake.SenderAccount), string(intake.SenderDomain), string(intake.SenderAny))
	if v != nil && rule == string(intake.SenderAny) {
		s.warnf(v.at, "sender = \"any\": whoever has one password here can send in anybody's name")
	}
	c.Intake.SubmissionSender = intake.SenderRule(rule)
	s.integer("messages_per_hour", &c.Ingress.Accounts.Messages, 1, 1e9)
	s.integer("recipients_per_hour", &c.Ingress.Accounts.Recipients, 1, 1e9)
	s.close()
	if len(s.keys) == 0 || rule == string(intake.SenderAny) && c.Ingress.Accounts == (ingress.AccountLimits{}) {
		return
	}
	for _, l := range c.Ingress.Listeners {
		if l.Auth != ingress.AuthOff && !l.Submission {
			s.warnf(s.at, `[submission] does not bind who logs in at %s, which is no submission listener; write auth = "off" or submission = true there`, l.Address)
		}
	}
}

// people takes a listener for mail programs, of which in has what was read.
func (l *listenReader) people(s *section, in ingress.Listener, protocol string) {
	l.only(s, protocol, "protocol", "address", "tls", "proxy_protocol_from", "idle_timeout",
		"max_connections", "max_connections_per_ip", "max_connection_rate_per_ip")
	if v := s.values["tls"]; in.TLS == ingress.TLSOff && v != nil {
		s.errorf(v.at, `tls = "off" with %s: passwords are never taken without TLS, so nobody could log in; write "starttls" or "implicit"`, protocol)
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
			if s.values[key] != nil {
				to()
			}
		}
	}
	least := map[string]time.Duration{"imap": 30 * time.Minute, "pop3": 10 * time.Minute}[protocol]
	if idle > 0 && idle < least {
		s.errorf(s.values["idle_timeout"].at, "idle_timeout is below the %s that %s promises to mail programs (RFC 9051 section 5.4, RFC 1939 section 3)", short(least), protocol)
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
	for _, key := range s.keys {
		if !slices.Contains(keys, key) && slices.Contains(s.asked, key) {
			s.errorf(s.keyAt[key], "%s is not for protocol %s", key, protocol)
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
	if v := s.str("host", &host); v != nil {
		switch d, ok := s.domainOf("host", v); {
		case ok && isIP(host):
			s.errorf(v.at, "host must be a name, not an address: no certificate has the address")
		case ok:
			p.Host = string(d)
		}
	}
	mode := string(setup.STSTesting)
	v := s.choice("mta_sts", &mode, "off", "testing", "enforce")
	p.STS = setup.STSMode(mode)
	if v != nil && p.STS == setup.STSEnforce && c.TLS.SelfSigned {
		s.warnf(v.at, `mta_sts = "enforce" with a self-signed certificate: who follows the policy delivers nothing; see [tls]`)
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
		s.integer(one.key, &port, 0, 65535)
		if port >= 0 {
			found = slices.DeleteFunc(found, func(f setup.Service) bool { return f.Protocol == one.protocol && f.Implicit == one.implicit })
		}
		if port > 0 {
			found = append(found, setup.Service{Protocol: one.protocol, Port: uint16(port), Implicit: one.implicit})
		}
	}
	p.Services = found
	s.close()
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
