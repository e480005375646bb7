package config

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"tenma/relay/config/document"
	"tenma/relay/mail"
	"tenma/relay/policy/auth"
	"tenma/relay/policy/route"
	"tenma/relay/wire/smtp"
)

// routes reads every [[route]].
func (r *reader) routes(s *section, c *Config) {
	seen := map[string]int{}
	s.Each("route", func(s *section) {
		rule := route.Rule{}
		d := s.String("domain", &rule.Domain)
		if d != nil {
			r.pattern(s, d, &rule)
			if line := seen[rule.Domain] + seen["*"]; line > 0 {
				s.Warnf(d.At, "this route is never used: the one in line %d matches first", line)
			} else {
				seen[rule.Domain] = d.At.Line
			}
		} else if s.Values["domain"] == nil {
			s.Errorf(s.At, `[[route]] has no domain; write domain = "corp.test", "*.corp.test" or "*"`)
		}
		t := &target{}
		to := s.Strings("to", true, func(v *value) { t.add(s, v) })
		if to == nil && s.Values["to"] == nil {
			s.Errorf(s.At, `[[route]] has no to; write to = "smtp://host:port"`)
		}
		if to != nil && to.Kind == unstable.Array && len(to.Items) == 0 {
			s.Errorf(to.At, `to is empty; write "smtp://host:port", "mx" or "discard"`)
		}
		rule.Kind, rule.Hosts, rule.LMTP = t.kind, t.hosts, t.scheme == "lmtp"
		rule.Auth = r.credentials(s)
		rule.TLS = r.demand(s, t, rule.Auth)
		rule.Certificate = r.clientCertificate(s, rule.TLS)
		c.Route.Rules = append(c.Route.Rules, rule)
	})
}

func (r *reader) pattern(s *section, v *value, rule *route.Rule) {
	if v.Text == "*" {
		return
	}
	base, below := strings.CutPrefix(v.Text, "*.")
	d, err := smtp.ParseDomain(base)
	if err != nil || strings.Contains(base, "*") {
		s.Errorf(v.At, `domain: %q is no pattern; write "corp.test", "*.corp.test" (all below it) or "*" (all)`, document.Clip(v.Text))
		return
	}
	rule.Domain = string(d)
	if below {
		rule.Domain = "*." + rule.Domain
	}
}

// target gathers what the strings of "to" say.
type target struct {
	kind   mail.Kind
	scheme string // of the first; all must agree
	hosts  []mail.Host
}

func (t *target) add(s *section, v *value) {
	scheme, rest, isURL := strings.Cut(v.Text, "://")
	if !isURL {
		scheme = v.Text
	}
	if t.scheme != "" && (t.scheme != scheme || !isURL) {
		s.Errorf(v.At, "to: hosts of one route must have one scheme; this is %q after %q", document.Clip(v.Text), t.scheme)
		return
	}
	ports := map[string]string{"smtp": "25", "smtps": "465", "lmtp": "24"}
	switch {
	case v.Text == "discard":
		t.kind = mail.Discard
	case v.Text == "mx":
		t.kind = mail.ByMX
	case isURL && ports[scheme] != "":
		t.kind = mail.ByHost
		h, ok := nextHop(s, v, rest, ports[scheme])
		if !ok {
			return
		}
		h.Pref = uint16(len(t.hosts)) // in the order written
		t.hosts = append(t.hosts, h)
	default:
		hint := ""
		if !strings.Contains(v.Text, "://") && strings.ContainsAny(v.Text, ".:") {
			hint = "; did you mean " + strconv.Quote("smtp://"+document.Clip(v.Text)) + "?"
		}
		s.Errorf(v.At, `to must be "smtp://host:port", "smtps://...", "lmtp://...", "mx" or "discard", not %q%s`, document.Clip(v.Text), hint)
		return
	}
	t.scheme = scheme
}

func nextHop(s *section, v *value, rest, defaultPort string) (mail.Host, bool) {
	rest = strings.TrimSuffix(rest, "/")
	if strings.Contains(rest, "@") {
		s.Errorf(v.At, `to: name and password do not stand in the address; write user = "..." and password = { file = "..." }`)
		return mail.Host{}, false
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(rest, "["), "]"), defaultPort
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		s.Errorf(v.At, "to: %q is not a port from 1 to 65535", document.Clip(port))
		return mail.Host{}, false
	}
	h := mail.Host{Name: host, Port: uint16(n)}
	if a, err := netip.ParseAddr(host); err == nil {
		h.Addr = a
		return h, true
	}
	d, err := smtp.ParseDomain(host)
	if err != nil || d.IsLiteral() {
		s.Errorf(v.At, "to: %q is neither a host name nor an address", document.Clip(host))
		return mail.Host{}, false
	}
	h.Name = string(d)
	return h, true
}

// credentials reads user and password.
func (r *reader) credentials(s *section) *mail.Credentials {
	var user, password string
	u := s.String("user", &user)
	p := r.secret(s, "password", &password)
	switch {
	case u == nil && p == nil:
		return nil
	case u == nil:
		s.Errorf(p.At, "password is set but user is not")
		return nil
	case p == nil:
		if s.Values["password"] == nil {
			s.Errorf(u.At, "user is set but password is not")
		}
		return nil
	}
	return &mail.Credentials{User: user, Password: password}
}

// secret reads a string, { file = "..." } or { env = "..." }. The value never
// appears in an error.
func (r *reader) secret(s *section, key string, into *string) *value {
	v := s.Find(key)
	switch {
	case v == nil:
		return nil
	case v.Kind == unstable.String:
		*into = v.Text
	case v.Table != nil:
		sub := r.Section(s.Name+"."+key, v.Table)
		var file, env string
		f, e := sub.String("file", &file), sub.String("env", &env)
		sub.Close()
		delete(r.Known, sub.Name) // not a section of its own
		switch {
		case r.peek && (f == nil) != (e == nil):
			return v
		case f != nil && e == nil:
			name := r.path(file, true)
			text, err := r.readFile(name)
			if err != nil {
				s.Errorf(f.At, "%s: the file %s cannot be read: %s", key, name, plain(err))
				return nil
			}
			if r.open(name) {
				s.Warnf(f.At, "%s: everyone may read the file %s; chmod o-r", key, name)
			}
			*into = strings.TrimRight(string(text), "\r\n")
		case e != nil && f == nil:
			text, ok := r.getenv(env)
			if !ok {
				s.Errorf(e.At, "%s: the environment has no variable %s", key, document.Clip(env))
				return nil
			}
			*into = text
		default:
			s.Errorf(v.At, `%s must be a string, { file = "..." } or { env = "..." }`, key)
			return nil
		}
	default:
		s.Errorf(v.At, `%s must be a string, { file = "..." } or { env = "..." }`, key)
		return nil
	}
	if *into == "" {
		s.Errorf(v.At, "%s is empty", key)
		return nil
	}
	return v
}

// demand reads tls and checks that a password never leaves unprotected.
func (r *reader) demand(s *section, t *target, login *mail.Credentials) mail.TLSDemand {
	words := map[string]mail.TLSDemand{
		"opportunistic": mail.TLSOpportunistic, "none": mail.TLSNone, "required": mail.TLSRequired, "verified": mail.TLSVerified,
		"dane": mail.TLSDANE,
	}
	word := "opportunistic"
	loopback := len(t.hosts) > 0
	for _, h := range t.hosts {
		loopback = loopback && (h.Addr.IsLoopback() || h.Name == "localhost")
	}
	if login != nil && !loopback {
		word = "verified"
	}
	v := s.Choice("tls", &word, "opportunistic", "none", "required", "verified", "dane")
	switch {
	case t.kind == mail.Discard && (v != nil || login != nil):
		s.Errorf(s.At, `to = "discard" opens no connection; tls, user and password mean nothing`)
	case t.kind == mail.ByMX && login != nil && t.scheme == "mx":
		s.Errorf(s.At, `user and password are for to = "smtp://..." or "smtps://..."; an MX is a stranger`)
	case t.scheme == "smtps":
		if v != nil && word != "verified" {
			s.Errorf(v.At, `smtps is TLS from the first octet with a verified certificate; tls = %q contradicts it`, word)
		}
		return mail.TLSImplicit
	case t.scheme == "lmtp" && word == "dane":
		s.Errorf(v.At, `tls = "dane" is for SMTP; LMTP hosts have no TLSA records`)
	case login != nil && !loopback && word != "verified" && word != "dane":
		s.Errorf(v.At, `tls = %q with a password: it is only sent over verified TLS; write tls = "verified" or to = "smtps://..."`, word)
	}
	return words[word]
}

// domains reads every [[domain]] and [[alias]].
func (r *reader) domains(s *section, c *Config) {
	local := map[smtp.Domain]int{}
	s.Each("domain", func(s *section) {
		var name, rest string
		who := "accounts"
		v, catch := s.String("name", &name), s.String("catch_all", &rest)
		asked := s.Choice("recipients", &who, "accounts", "ask", "any")
		if v == nil {
			if s.Values["name"] == nil {
				s.Errorf(s.At, `[[domain]] has no name; write name = "example.test"`)
			}
			return
		}
		d, ok := s.DomainOf("name", v)
		switch {
		case !ok:
		case local[d] > 0:
			s.Errorf(v.At, "domain %s stands in line %d already", d, local[d])
		case who != "accounts":
			local[d] = v.At.Line
			c.Elsewhere = append(c.Elsewhere, Elsewhere{Domain: d, Ask: who == "ask"})
			r.elsewhere = append(r.elsewhere, asked.At)
			if catch != nil {
				s.Errorf(catch.At, "catch_all is for mailboxes that live here, not for recipients = %q", who)
			}
		default:
			local[d] = v.At.Line
			c.Auth.Domains = append(c.Auth.Domains, d)
			c.Route.Local = append(c.Route.Local, d)
			if catch != nil {
				r.catchAll(s, catch, d, c)
			}
		}
	})
	for d, to := range c.Auth.CatchAll {
		if local[to.Domain] == 0 {
			r.Warnf(place{Line: local[d], Column: 1}, "catch_all of %s goes to %s elsewhere: all spam for the domain will be sent on from here", d, to)
		}
	}
	seen := map[string]int{}
	s.Each("alias", func(s *section) {
		var text string
		var a auth.Alias
		v := s.String("address", &text)
		if v != nil {
			address, ok := s.AddressOf("address", v)
			key := strings.ToLower(address.String())
			switch {
			case !ok:
			case local[address.Domain] == 0:
				s.Errorf(v.At, "alias %s is not in a domain that lives here; add [[domain]] name = %q", address, address.Domain)
			case slices.ContainsFunc(c.Elsewhere, func(e Elsewhere) bool { return e.Domain == address.Domain }):
				s.Errorf(v.At, "alias %s is of a domain whose mailboxes are elsewhere; its aliases belong there", address)
			case seen[key] > 0:
				s.Errorf(v.At, "alias %s stands in line %d already; list every address in its to", address, seen[key])
			default:
				seen[key] = v.At.Line
			}
			a.Address = address
		} else if s.Values["address"] == nil {
			s.Errorf(s.At, "[[alias]] has no address")
		}
		to := s.Strings("to", true, func(v *value) {
			if address, ok := s.AddressOf("to", v); ok {
				if strings.EqualFold(address.String(), a.Address.String()) {
					s.Errorf(v.At, "alias %s goes to itself", address)
					return
				}
				a.To = append(a.To, address)
			}
		})
		if s.Values["to"] == nil {
			s.Errorf(s.At, "[[alias]] has no to")
		} else if to != nil && to.Kind == unstable.Array && len(to.Items) == 0 {
			s.Errorf(to.At, "to is empty: mail for the alias would go nowhere")
		}
		c.Auth.Aliases = append(c.Auth.Aliases, a)
	})
}

// behind finds the routes of domains whose mailboxes lie elsewhere.
func (r *reader) behind(c *Config) {
	for i := range c.Elsewhere {
		e := &c.Elsewhere[i]
		n := slices.IndexFunc(c.Route.Rules, func(rule route.Rule) bool { return rule.Domain == string(e.Domain) })
		switch {
		case n < 0:
			r.Errorf(r.elsewhere[i], "the mailboxes of %s are elsewhere, and nothing says where; add [[route]] domain = %q with to = \"lmtp://host:port\"", e.Domain, e.Domain)
		case e.Ask && c.Route.Rules[n].Kind != mail.ByHost:
			r.Errorf(r.elsewhere[i], `recipients = "ask" needs a host to ask: the route of %s must go to "lmtp://...", "smtp://..." or "smtps://..."`, e.Domain)
		default:
			e.To = c.Route.Rules[n]
			if !e.Ask {
				r.Warnf(r.elsewhere[i], "recipients = \"any\": mail for addresses that do not exist is taken, and returned to whomever it names as its sender")
			}
		}
	}
}

// catchAll reads who gets the mail for addresses of d that do not exist.
func (r *reader) catchAll(s *section, v *value, d smtp.Domain, c *Config) {
	a, ok := s.AddressOf("catch_all", v)
	if !ok {
		return
	}
	if c.Auth.CatchAll == nil {
		c.Auth.CatchAll = map[smtp.Domain]smtp.Address{}
	}
	c.Auth.CatchAll[d] = a
}
