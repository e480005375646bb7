package config

import (
	"slices"
	"time"
)

// returnsMargin is how much longer than we try ourselves what comes back is taken:
// mail systems behind the next hop try for 5 days (RFC 5321 section 4.5.4.1), and
// people press the spam button when they have been on holiday.
const returnsMargin = 30 * 24 * time.Hour

// returns reads [returns]: where mail about our mail comes to.
func (r *reader) returns(s *section, c *Config) {
	var domain, complaints string
	p := &c.Returns
	p.KeyFile, p.Life = c.InData(ReturnsKeysFile), c.Queue.Expire+returnsMargin
	at := s.String("domain", &domain)
	if at != nil {
		p.Domain, _ = s.DomainOf("domain", at)
	}
	s.Bool("verp", &p.All)
	if v := s.String("complaints", &complaints); v != nil {
		if a, ok := s.AddressOf("complaints", v); ok {
			p.Complaints = a
			if p.Domain != "" && a.Domain != p.Domain {
				s.Errorf(v.At, "complaints must be an address at %s, the domain of [returns]; mail for others is not read here", p.Domain)
			}
		}
	}
	if v := s.Duration("lifetime", &p.Life, time.Hour, year); v != nil && p.Life < c.Queue.Expire {
		s.Errorf(v.At, "lifetime is shorter than expire: what comes back at the end would be refused")
	}
	s.Close()
	switch {
	case at == nil && len(s.Keys) > 0:
		s.Errorf(s.At, `[returns] has no domain; write domain = "r.sender.example", of which the MX is this relay`)
	case p.Domain != "" && (slices.Contains(c.Route.Local, p.Domain) || slices.ContainsFunc(c.Elsewhere, func(e Elsewhere) bool { return e.Domain == p.Domain })):
		s.Errorf(at.At, "domain: %s is a [[domain]] too; give returned mail a name of its own, such as r.%[1]s", p.Domain)
	}
	c.Route.Returns = p.Domain
}
