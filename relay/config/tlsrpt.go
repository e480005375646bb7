package config

import (
	"slices"
	"strings"
	"unicode"

	"tenma/relay/config/document"
	"tenma/relay/policy/dkim"
	"tenma/relay/policy/dkim/rotation"
	"tenma/relay/wire/smtp"
)

// maxOrganization is the most octets of the name that reports are from.
const maxOrganization = 128

// tlsrpt reads [tlsrpt]. It comes after [[dkim]].
func (r *reader) tlsrpt(s *section, c *Config) {
	t := &c.TLSRPT
	t.Hostname = c.Hostname
	var contact string
	at := s.String("contact", &contact)
	if at != nil {
		if a, ok := s.AddressOf("contact", at); ok {
			switch {
			case a.Domain == "" || a.Domain.IsLiteral():
				s.Errorf(at.At, "contact: %q has no domain, which would sign the reports", document.Clip(contact))
			case a.NeedsUTF8():
				s.Errorf(at.At, "contact: %q has letters beyond ASCII, which many receivers of reports cannot read", document.Clip(contact))
			default:
				t.Contact = a
			}
		}
	}
	if v := s.String("organization", &t.Organization); v != nil {
		switch {
		case len(t.Organization) > maxOrganization || strings.ContainsFunc(t.Organization, unicode.IsControl):
			s.Errorf(v.At, "organization: not a name of at most %d octets", maxOrganization)
		case at == nil:
			s.Warnf(v.At, "organization does nothing without a contact: no reports are sent")
		}
	}
	s.Close()
	signs := func(d smtp.Domain) bool {
		return t.Contact.Domain == d || strings.HasSuffix(string(t.Contact.Domain), "."+string(d))
	}
	covered := slices.ContainsFunc(c.DKIM.Keys, func(k dkim.Key) bool { return signs(k.Domain) }) ||
		slices.ContainsFunc(c.Rotation.Domains, func(d rotation.Domain) bool { return signs(d.Name) })
	if !t.Contact.IsNull() && !covered && !r.peek {
		s.Warnf(at.At, "contact: no [[dkim]] key is for %s; receivers ignore reports by mail that are not signed (RFC 8460 section 3); \"tenma dkim new %s\" makes one", t.Contact.Domain, t.Contact.Domain)
	}
}
