// Package tlsrpt has the words of reports on the TLS of outbound sessions (RFC
// 8460): what decided how safe a session had to be, what was wrong with it, how a
// domain says that it wants to be told, and the report itself.
//
// ParseRecord reads the record by which a domain asks for reports, and Report is
// one of them: what happened on one day, told by one sender to one domain.
package tlsrpt

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

// Fault is what was wrong, in the words of RFC 8460 section 4.3, except that
// those at the end have none there and go as FaultOther. It is an error, so that
// it can be found within another.
type Fault string

// Error gives the word.
func (f Fault) Error() string { return string(f) }

// Faults; "" is none.
const (
	FaultNone        Fault = ""
	FaultNoSTARTTLS  Fault = "starttls-not-supported"
	FaultName        Fault = "certificate-host-mismatch"
	FaultExpired     Fault = "certificate-expired"
	FaultUntrusted   Fault = "certificate-not-trusted"
	FaultTLSA        Fault = "tlsa-invalid"
	FaultDNSSEC      Fault = "dnssec-invalid"
	FaultNoTLSA      Fault = "dane-required"
	FaultFetch       Fault = "sts-policy-fetch-error"
	FaultPolicy      Fault = "sts-policy-invalid"
	FaultFetchWebPKI Fault = "sts-webpki-invalid"
	FaultOther       Fault = "validation-failure"

	FaultUnlisted   Fault = "mx-not-in-policy"      // the MTA-STS policy does not name the host
	FaultRemembered Fault = "plaintext-after-fault" // TLS failed lately, and was not tried
)

// Result gives the result type by which a report tells f (RFC 8460 section 4.3),
// and the code that says more where the type says less than f.
func (f Fault) Result() (result, reason string) {
	switch f {
	case FaultUnlisted, FaultRemembered:
		return string(FaultOther), string(f)
	}
	return string(f), ""
}
