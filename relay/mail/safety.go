package mail

import (
	"net/netip"

	"tenma/relay/wire/dane"
	"tenma/relay/wire/mtasts"
	"tenma/relay/wire/smtp"
	"tenma/relay/wire/tlsrpt"
)

// TLSWish is what the sender of a message asks of its protection (RFC 8689).
type TLSWish uint8

// Wishes.
const (
	WishNone     TLSWish = iota
	WishRequired         // it is to be protected all the way, or returned
	WishOptional         // it is to arrive, whatever the domains of its recipients want
)

// TLSWish gives what the sender asks.
func (e *Envelope) TLSWish() TLSWish {
	switch {
	case e.RequireTLS:
		return WishRequired
	case e.OptionalTLS:
		return WishOptional
	}
	return WishNone
}

// Safety is how a connection to one host of a route must be protected, when the
// configuration, the DNS and the domain's policy have been asked.
type Safety struct {
	TLS  TLSDemand
	DANE *dane.Set // with TLSDANE: what the certificate must match
	// Policy says where the demand comes from: tlsrpt.PolicyDANE, tlsrpt.PolicySTS,
	// or tlsrpt.PolicyNone for the configuration alone.
	Policy tlsrpt.Policy
	// Testing: what the domain's MTA-STS policy wants is to be checked and
	// reported, and mail goes out all the same.
	Testing bool
	// Unlisted: the policy, which is being tested, does not name the host.
	Unlisted bool
	// Unusable: the host has TLSA records, of which none can be used.
	Unusable bool
}

// Serves reports that a connection which was opened under s is safe enough where
// want is demanded: it met the same, or more. Connections that were verified in
// different ways do not serve for each other.
func (s *Safety) Serves(want *Safety) bool {
	switch {
	case s.TLS == want.TLS:
		return s.Digest() == want.Digest()
	case want.TLS == TLSOpportunistic:
		return s.TLS == TLSRequired || s.TLS == TLSVerified || s.TLS == TLSDANE
	case want.TLS == TLSRequired:
		return s.TLS == TLSVerified || s.TLS == TLSDANE
	}
	return false
}

// Digest tells demands for different certificates apart; "" where a demand says
// nothing about them.
func (s *Safety) Digest() string {
	if s.DANE == nil {
		return ""
	}
	return s.DANE.Digest()
}

// TLSResult tells what became of the protection of one session with a host.
type TLSResult struct {
	Domain  smtp.Domain // whose mail it was
	Policy  tlsrpt.Policy
	STS     *mtasts.Policy // with PolicySTS
	Testing bool           // with PolicySTS: the mail goes out all the same
	DANE    *dane.Set      // with PolicyDANE, nil where no record is usable, or none could be had
	Host    string
	Peer    netip.AddrPort // zero: it was not even dialled
	Local   netip.Addr
	Fault   tlsrpt.Fault
	Detail  string // of the fault, for people
	// Private: Domain is not to be told, as the session says nothing of its hosts.
	Private bool
}
