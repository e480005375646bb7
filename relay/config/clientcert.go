package config

import (
	"crypto/tls"

	"tenma/relay/mail"
)

// clientCertificate reads the pair that a [[route]] shows to hosts that ask for
// one. It is read once, by a start or a reload.
func (r *reader) clientCertificate(s *section, demand mail.TLSDemand) *tls.Certificate {
	var cert, key string
	certAt, keyAt := s.String("certificate", &cert), s.String("key", &key)
	switch {
	case certAt == nil && keyAt == nil:
		return nil
	case certAt == nil:
		s.Errorf(keyAt.At, "key is set but certificate is not")
		return nil
	case keyAt == nil:
		s.Errorf(certAt.At, "certificate is set but key is not")
		return nil
	case demand == mail.TLSNone:
		s.Errorf(certAt.At, `without TLS no certificate is shown; leave tls = "none" or certificate out`)
		return nil
	}
	return r.pair(certAt, keyAt, r.path(cert, true), r.path(key, true))
}
