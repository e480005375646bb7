package mail

import (
	"net/netip"

	"tenma/relay/wire/dane"
	"tenma/relay/wire/mtasts"
	"tenma/relay/wire/smtp"
)

// Safety is how a connection to one host of a route must be protected, when the
// configuration, the DNS and the domain's policy have been asked.
type Safety struct {
	TLS  TLSDemand
	DANE *dane.Set // with TLSDANE: what the certificate must match
	// Policy says where the demand comes from: PolicyDANE, PolicySTS, or
	// PolicyNone for the configuration alone.
	Policy Policy
	// Testing: what the domain's MTA-STS policy wants is to be checked and
	// reported, and mail goes out all the same.
	Testing bool
	// Unlisted: the policy, which is being tested, does not name the host.
	Unlisted bool
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

// Policy is what decides how safe a connection must be.
type Policy uint8

// Policies, as RFC 8460 section 4.4 has them.
const (
	PolicyNone Policy = iota
	PolicySTS
	PolicyDANE
)

// String gives the name that reports use.
func (p Policy) String() string { return [...]string{"no-policy-found", "sts", "tlsa"}[p] }

// TLSResult tells what became of the protection of one session with a host.
type TLSResult struct {
	Domain  smtp.Domain // whose mail it was
	Policy  Policy
	STS     *mtasts.Policy // with PolicySTS
	Testing bool           // with PolicySTS: the mail goes out all the same
	DANE    *dane.Set      // with PolicyDANE, nil where no record is usable, or none could be had
	Host    string
	Peer    netip.AddrPort // zero: it was not even dialled
	Local   netip.Addr
	Fault   TLSFault
	Detail  string // of the fault, for people
}

// TLSFault is what was wrong, in the words of RFC 8460 section 4.3, except that
// FaultUnlisted has none there and goes as FaultOther. It is an error, so that
// it can be found within another.
type TLSFault string

// Error gives the word.
func (f TLSFault) Error() string { return string(f) }

// Faults; "" is none.
const (
	FaultNone        TLSFault = ""
	FaultNoSTARTTLS  TLSFault = "starttls-not-supported"
	FaultName        TLSFault = "certificate-host-mismatch"
	FaultExpired     TLSFault = "certificate-expired"
	FaultUntrusted   TLSFault = "certificate-not-trusted"
	FaultTLSA        TLSFault = "tlsa-invalid"
	FaultDNSSEC      TLSFault = "dnssec-invalid"
	FaultNoTLSA      TLSFault = "dane-required"
	FaultFetch       TLSFault = "sts-policy-fetch-error"
	FaultPolicy      TLSFault = "sts-policy-invalid"
	FaultFetchWebPKI TLSFault = "sts-webpki-invalid"
	FaultOther       TLSFault = "validation-failure"
	FaultUnlisted    TLSFault = "mx-not-in-policy"
)
