package delivery

import (
	"crypto/tls"
	"errors"
	"strings"
	"time"

	"tenma/relay/delivery/client"
	"tenma/relay/delivery/handshake"
)

// tlsConfig makes the configuration of one handshake.
func (o *opening) tlsConfig(k *conn) *tls.Config {
	k.shake = handshake.Handshake{
		Host: k.host, Safety: &k.safety, Minimum: o.cfg.minimum(k.safety.TLS), Roots: o.client.deps.Roots, Certificate: o.key.cert,
		Sessions: o.client.sessions.Of(handshake.Key{
			Source: o.key.source.Name, Host: k.name, Demand: k.safety.TLS, Digest: k.safety.Digest(), Certificate: o.key.cert,
		}),
	}
	return k.shake.Config()
}

// secure runs a handshake, times it, and notes what it came to.
func (o *opening) secure(k *conn, shake func() error) error {
	start := time.Now()
	err := shake()
	o.phases.TLS += time.Since(start)
	k.tls.Verified = k.shake.Verified
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
