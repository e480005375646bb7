package config

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"tenma/relay/config/document"
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
	r.links(s, c)
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
	case at == nil && slices.ContainsFunc(s.Keys, func(key string) bool { return key != "unsubscribe_url" }):
		s.Errorf(s.At, `[returns] has no domain; write domain = "r.sender.example", of which the MX is this relay`)
	case p.Domain != "" && (slices.Contains(c.Route.Local, p.Domain) || slices.ContainsFunc(c.Elsewhere, func(e Elsewhere) bool { return e.Domain == p.Domain })):
		s.Errorf(at.At, "domain: %s is a [[domain]] too; give returned mail a name of its own, such as r.%[1]s", p.Domain)
	}
	c.Route.Returns = p.Domain
}

// links reads unsubscribe_url, the address of our HTTP listeners as the world sees
// it. RFC 8058 section 3.1 wants HTTPS.
func (r *reader) links(s *section, c *Config) {
	var text string
	v := s.String("unsubscribe_url", &text)
	if v == nil {
		return
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || u.ForceQuery || strings.ContainsAny(text, "<> \t\r\n"):
		s.Errorf(v.At, `unsubscribe_url: %q is not an address that links can begin with; write "https://u.sender.example/"`, document.Clip(text))
		return
	case len(text) > maxURL:
		s.Errorf(v.At, "unsubscribe_url is longer than %d octets", maxURL)
		return
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		s.Errorf(v.At, "unsubscribe_url must be https: mailbox providers take no other (RFC 8058 section 3.1)")
		return
	case len(c.Admin.Listeners) == 0:
		s.Warnf(v.At, "unsubscribe_url: nobody answers there; add a [[listen]] with protocol = \"http\", and a proxy in front that has the certificate")
	}
	if u.Path == "" || u.Path[len(u.Path)-1] != '/' {
		u.Path, u.RawPath = u.Path+"/", ""
	}
	c.Unsubscribe.Base, c.Returns.Links = u, u.String()
}

// maxURL leaves room for the sealed part of a link in a line of 998 octets.
const maxURL = 200
