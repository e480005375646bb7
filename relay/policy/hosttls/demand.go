package hosttls

import (
	"fmt"

	"tenma/relay/mail"
	"tenma/relay/wire/dane"
	"tenma/relay/wire/mtasts"
	"tenma/relay/wire/smtp"
	"tenma/relay/wire/tlsrpt"
)

// tlsa is what TLSA records say about a host. The zero value: nothing.
type tlsa struct {
	found bool
	set   *dane.Set // nil: there are none, or none is usable
}

// decide puts together what configuration, TLSA records and the domain's policy
// demand of a host. Mail whose sender says that TLS is not required goes out
// whatever records and policy say, and is encrypted where that works (RFC 8689
// section 4.2.2); what the configuration demands is the operator's affair, and
// stays.
func decide(r *mail.Route, h *mail.Host, wish mail.TLSWish, t tlsa) (mail.Safety, error) {
	s := mail.Safety{TLS: r.TLS}
	if wish == mail.WishOptional && r.TLS != mail.TLSDANE {
		return s, nil
	}
	if r.TLS == mail.TLSNone && wish == mail.WishRequired {
		return s, unmet("the route to " + h.Name + " is without TLS")
	}
	if t.found {
		s.Policy = tlsrpt.PolicyDANE
		if t.set != nil {
			s.TLS, s.DANE = mail.TLSDANE, t.set.For(string(r.Domain))
			return s, nil // whatever a policy by MTA-STS says (RFC 8461 section 2)
		}
		s.Unusable = true
		if s.TLS == mail.TLSOpportunistic {
			s.TLS = mail.TLSRequired // records, of which none is usable (RFC 7672 section 2.2)
		}
	}
	if r.TLS == mail.TLSDANE {
		s.Policy = tlsrpt.PolicyDANE
		return s, policyError(tlsrpt.FaultNoTLSA, h.Name+" has no TLSA records that can be used, which are demanded")
	}
	if err := sts(&s, r, h); err != nil {
		return s, err
	}
	if wish == mail.WishRequired {
		return s, required(&s, r, h)
	}
	return s, nil
}

// sts adds what the domain's policy demands (RFC 8461 section 5).
func sts(s *mail.Safety, r *mail.Route, h *mail.Host) error {
	p := r.STS
	if p == nil || p.Mode == mtasts.None || r.TLS == mail.TLSNone {
		return nil
	}
	s.Policy, s.Unusable = tlsrpt.PolicySTS, false
	switch listed := p.Allows(h.Name); {
	case p.Mode == mtasts.Testing:
		s.Testing, s.Unlisted = true, !listed
	case !listed:
		return policyError(tlsrpt.FaultUnlisted, fmt.Sprintf("the MTA-STS policy of %s does not name %s", r.Domain, h.Name))
	default:
		s.TLS = mail.TLSVerified
	}
	return nil
}

// required adds what REQUIRETLS demands: a certificate that is verified, and a
// host whose name is shown to be the domain's (RFC 8689 section 2). Here the
// certificate is not yet by DANE, which would have been enough.
func required(s *mail.Safety, r *mail.Route, h *mail.Host) error {
	named := r.Secure || r.STS != nil && r.STS.Mode != mtasts.None && r.STS.Allows(h.Name)
	if !named {
		return unmet(fmt.Sprintf("neither DNSSEC nor a policy shows that %s is a mail host of %s", h.Name, r.Domain))
	}
	if s.TLS != mail.TLSImplicit {
		s.TLS = mail.TLSVerified
	}
	return nil
}

// unmet refuses mail for good: it was sent with REQUIRETLS (RFC 8689 section 4).
func unmet(why string) error {
	return &smtp.Error{Reply: smtp.Reply{Code: 550, Status: smtp.Status{5, 7, 30}, Text: "REQUIRETLS cannot be met: " + why}}
}

// policyError keeps mail waiting: policies are mended, and records too.
func policyError(f tlsrpt.Fault, text string) error {
	return &smtp.Error{Reply: smtp.Reply{Code: 451, Status: smtp.Status{4, 7, 0}, Text: text}, Err: f}
}

// noRecords is for TLSA records that cannot be had though the way to them is
// signed. Going on without would be what an attacker wants (RFC 7672 section
// 2.1.2).
func noRecords(h *mail.Host, err error) error {
	return &smtp.Error{
		Reply: smtp.Reply{Code: 451, Status: smtp.Status{4, 7, 0}, Text: "the TLSA records of " + h.Name + " could not be looked up"},
		Err:   fmt.Errorf("%w: %w", tlsrpt.FaultDNSSEC, err),
	}
}
