// Package tlsrpt has the words in which the TLS results of outbound sessions are
// told (RFC 8460): what decided how safe a session had to be, and what was wrong
// with it.
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
// FaultUnlisted has none there and goes as FaultOther. It is an error, so that
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
	FaultUnlisted    Fault = "mx-not-in-policy"
)
