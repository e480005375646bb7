package dane

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Errors of Verify. What crypto/x509 has to say about a chain to a matching
// authority comes as its own error.
var (
	ErrNoCertificate = errors.New("dane: the host showed no certificate")
	ErrMismatch      = errors.New("dane: no certificate of the host matches its TLSA records")
	ErrName          = errors.New("dane: the certificate is for other names")
)

// Set is what the TLSA records of one host demand. It does not change, and may
// be used by any goroutine.
type Set struct {
	base    string
	names   []string // that a certificate under DANE-TA may bear
	records []Record // usable ones, at least one
	digest  string
}

// New makes the Set of the records that stand at Name(base, port). also are the
// other names that a certificate under DANE-TA may bear, such as that in the MX
// record where base is what it is an alias of (RFC 7672 section 3.2.2). It is nil
// if no record is usable.
func New(records []Record, base string, also ...string) *Set {
	s := &Set{base: base, records: usableOf(records)}
	if len(s.records) == 0 {
		return nil
	}
	if slices.ContainsFunc(s.records, func(r Record) bool { return r.Usage == usageTA }) {
		for _, n := range append([]string{base}, also...) {
			if n != "" && !slices.Contains(s.names, n) {
				s.names = append(s.names, n)
			}
		}
	}
	s.digest = digestOf(s.records, base, s.names)
	return s
}

// For is the Set for mail of one domain, whose name a certificate under DANE-TA
// may bear too (RFC 7672 section 3.2.2).
func (s *Set) For(domain string) *Set {
	if len(s.names) == 0 || domain == "" || slices.Contains(s.names, domain) {
		return s
	}
	names := append(slices.Clip(s.names), domain)
	return &Set{base: s.base, names: names, records: s.records, digest: digestOf(s.records, s.base, names)}
}

// Base is the name that the records belong to, which a client sends as the
// server's (RFC 7672 section 8.1).
func (s *Set) Base() string { return s.base }

// Digest is equal for sets that demand the same.
func (s *Set) Digest() string { return s.digest }

// Strings gives the usable records as a zone has them.
func (s *Set) Strings() []string {
	out := make([]string, len(s.records))
	for i, r := range s.records {
		out[i] = r.String()
	}
	return out
}

// Verify judges the chain that a host showed, its own certificate first. nil
// says that a record matches; the errors are those above or of crypto/x509.
func (s *Set) Verify(chain []*x509.Certificate, now time.Time) error {
	if len(chain) == 0 {
		return ErrNoCertificate
	}
	anchors := s.anchors(chain)
	for i := range s.records {
		if r := &s.records[i]; r.Usage == usageEE && r.matches(chain[0]) {
			return nil // neither names nor dates count (RFC 7672 section 3.1.1)
		}
	}
	if len(anchors) == 0 {
		return ErrMismatch
	}
	roots, others := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range anchors {
		roots.AddCert(c)
	}
	for _, c := range chain[1:] {
		others.AddCert(c)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: others, CurrentTime: now}); err != nil {
		return fmt.Errorf("dane: chain to the authority of the TLSA records: %w", err)
	}
	for _, n := range s.names {
		if chain[0].VerifyHostname(n) == nil {
			return nil
		}
	}
	return fmt.Errorf("%w: wanted %q, has %q", ErrName, s.names, clipped(chain[0].DNSNames))
}

// anchors are the authorities that the records name: certificates of the chain,
// for hosts must send even their root's (RFC 7672 section 3.1.2), or the one
// that stands in full in a record.
func (s *Set) anchors(chain []*x509.Certificate) (found []*x509.Certificate) {
	for i := range s.records {
		r := &s.records[i]
		if r.Usage != usageTA {
			continue
		}
		for _, c := range chain {
			if r.matches(c) {
				found = append(found, c)
			}
		}
		if r.Selector == selectCert && r.MatchingType == matchFull {
			if c, err := x509.ParseCertificate(r.Data); err == nil {
				found = append(found, c)
			}
		}
	}
	return found
}

// clipped keeps an error short, whatever a certificate has in it.
func clipped(names []string) []string { return names[:min(len(names), 4)] }
