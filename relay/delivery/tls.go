package delivery

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"time"

	"tenma/relay/delivery/client"
	"tenma/relay/mail"
)

var errNoCertificate = errors.New("the host showed no certificate")

// tlsConfig makes the configuration of one handshake. Go's own verification is
// off; VerifyConnection does it, since that is called for resumed sessions too
// (VerifyPeerCertificate is not).
func (o *opening) tlsConfig(k *conn) *tls.Config {
	demand := o.key.demand
	return &tls.Config{
		ServerName:         strings.Trim(k.host, "[]"),
		InsecureSkipVerify: true, // see VerifyConnection
		MinVersion:         o.cfg.minimum(demand),
		ClientSessionCache: o.client.sessions.of(sessionKey{source: o.key.source.Name, host: k.name, demand: demand}),
		VerifyConnection: func(s tls.ConnectionState) error {
			err := verify(&s, k.host, o.client.deps.Roots)
			k.tls.Verified = err == nil
			if demand == mail.TLSVerified || demand == mail.TLSImplicit {
				return err
			}
			return nil
		},
	}
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

// secure runs a handshake, times it, and notes what it came to.
func (o *opening) secure(k *conn, handshake func() error) error {
	start := time.Now()
	err := handshake()
	o.phases.TLS += time.Since(start)
	handshakes := o.client.deps.Metrics.Handshakes
	s := k.TLS()
	if s == nil {
		if broken := new(client.HandshakeError); errors.As(err, &broken) {
			handshakes.WithLabelValues("failed").Inc()
		}
		return err
	}
	if s.DidResume {
		handshakes.WithLabelValues("resumed").Inc()
	} else {
		handshakes.WithLabelValues("full").Inc()
	}
	k.tls.Version = strings.Replace(tls.VersionName(s.Version), "TLS ", "TLSv", 1)
	k.tls.Cipher = tls.CipherSuiteName(s.CipherSuite)
	if len(s.PeerCertificates) > 0 {
		name := client.Clean(s.PeerCertificates[0].Subject.String())
		k.tls.PeerName = strings.ReplaceAll(name[:min(len(name), 256)], "\n", " ")
	}
	return err
}
