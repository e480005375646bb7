package handshake

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/dane"
	"tenma/relay/wire/tlsrpt"
)

var errNoCertificate = errors.New("the host showed no certificate")

// Handshake is one handshake with a host.
type Handshake struct {
	Host        string // as the route names it
	Safety      *mail.Safety
	Minimum     uint16           // version of TLS
	Roots       *x509.CertPool   // nil: the system's
	Certificate *tls.Certificate // for a host that asks for one; nil: none
	Sessions    tls.ClientSessionCache

	// What it came to, whatever its error: the host showed who it is; and what
	// was wrong with a certificate that was taken all the same, where the domain
	// wants to know.
	Verified bool
	Doubt    error
}

// Config is for tls.Client.
func (h *Handshake) Config() *tls.Config {
	cfg := &tls.Config{
		ServerName:         strings.Trim(h.Host, "[]"),
		InsecureSkipVerify: true, // see VerifyConnection
		MinVersion:         h.Minimum,
		ClientSessionCache: h.Sessions,
		VerifyConnection:   h.verify,
	}
	if h.Safety.DANE != nil {
		cfg.ServerName = h.Safety.DANE.Base() // RFC 7672 section 8.1
	}
	if cert := h.Certificate; cert != nil {
		// Whatever authorities the host names: some name none of those that they take.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	return cfg
}

func (h *Handshake) verify(s tls.ConnectionState) (err error) {
	if h.Safety.DANE != nil {
		err = h.Safety.DANE.Verify(s.PeerCertificates, time.Now())
	} else {
		err = verify(&s, h.Host, h.Roots)
	}
	h.Verified = err == nil
	switch h.Safety.TLS {
	case mail.TLSDANE, mail.TLSVerified, mail.TLSImplicit:
		return err
	}
	if h.Safety.Testing {
		h.Doubt = err
	}
	return nil
}

// verify checks the certificate against the roots and the host's name (RFC
// 6125 section 6, by way of crypto/x509).
func verify(s *tls.ConnectionState, host string, roots *x509.CertPool) error {
	if len(s.PeerCertificates) == 0 {
		return errNoCertificate
	}
	others := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		others.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: host, Roots: roots, Intermediates: others, CurrentTime: time.Now()})
	return err
}

// FaultOf sorts an error of a handshake or of a certificate (RFC 8460 section
// 4.3). An error that wraps a tlsrpt.Fault is that.
func FaultOf(err error) tlsrpt.Fault {
	var (
		own     tlsrpt.Fault
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		unknown x509.UnknownAuthorityError
	)
	switch {
	case err == nil:
		return tlsrpt.FaultNone
	case errors.As(err, &own):
		return own
	case errors.Is(err, dane.ErrMismatch):
		return tlsrpt.FaultTLSA // none of the records is valid (RFC 8460 section 4.3.2.1)
	case errors.As(err, &name), errors.Is(err, dane.ErrName):
		return tlsrpt.FaultName
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return tlsrpt.FaultExpired
	case errors.As(err, &unknown):
		return tlsrpt.FaultUntrusted
	}
	return tlsrpt.FaultOther
}

// demands are the names of mail.TLSDemand.
var demands = [...]string{"opportunistic", "none", "required", "verified", "implicit", "dane"}

// PolicyName says what was demanded: a domain's policy, or the demand of the
// configuration.
func PolicyName(s *mail.Safety) string {
	switch {
	case s.Policy == tlsrpt.PolicySTS && !s.Testing:
		return "mta-sts"
	case s.Policy == tlsrpt.PolicySTS && s.TLS == mail.TLSOpportunistic:
		return "mta-sts testing"
	case s.Policy == tlsrpt.PolicyDANE && s.DANE == nil && s.TLS == mail.TLSRequired:
		return "dane without usable records"
	case int(s.TLS) < len(demands):
		return demands[s.TLS]
	}
	return "unknown"
}
