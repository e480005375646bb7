package dane

import (
	"cmp"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
)

// Usages of RFC 7218 section 2.1 that mail has (RFC 7672 section 3.1.3).
const (
	usageTA = 2 // DANE-TA: an authority
	usageEE = 3 // DANE-EE: the host itself
)

// Selectors (RFC 7218 section 2.2): what of the certificate is meant.
const (
	selectCert = 0 // all of it
	selectSPKI = 1 // its public key
)

// Matching types (RFC 7218 section 2.3): how Data stands for it.
const (
	matchFull   = 0 // as it is
	matchSHA256 = 1
	matchSHA512 = 2
)

// Record is one TLSA record (RFC 6698 section 2.1).
type Record struct {
	Usage, Selector, MatchingType uint8
	Data                          []byte
}

// String gives the record as a zone has it: "3 1 1 0D6F...".
func (r Record) String() string {
	return fmt.Sprintf("%d %d %d %X", r.Usage, r.Selector, r.MatchingType, r.Data)
}

// Name is where the TLSA records of a host stand: "_25._tcp.mx.example" (RFC
// 6698 section 3).
func Name(host string, port uint16) string {
	return "_" + strconv.Itoa(int(port)) + "._tcp." + host
}

// usable reports a record that a certificate can be compared with.
func (r *Record) usable() bool {
	if r.Usage != usageTA && r.Usage != usageEE || r.Selector > selectSPKI {
		return false
	}
	switch r.MatchingType {
	case matchSHA256:
		return len(r.Data) == sha256.Size
	case matchSHA512:
		return len(r.Data) == sha512.Size
	case matchFull:
		var err error
		if r.Selector == selectCert {
			_, err = x509.ParseCertificate(r.Data)
		} else {
			_, err = x509.ParsePKIXPublicKey(r.Data)
		}
		return err == nil
	}
	return false
}

// matches reports that the record means this certificate.
func (r *Record) matches(c *x509.Certificate) bool {
	what := c.Raw
	if r.Selector == selectSPKI {
		what = c.RawSubjectPublicKeyInfo
	}
	switch r.MatchingType {
	case matchSHA256:
		sum := sha256.Sum256(what)
		what = sum[:]
	case matchSHA512:
		sum := sha512.Sum512(what)
		what = sum[:]
	}
	return slices.Equal(what, r.Data)
}

// usableOf gives the usable records, sorted, each once, and of the digests of
// one usage and selector only the strongest (RFC 7671 section 9).
func usableOf(records []Record) []Record {
	type group struct{ usage, selector uint8 }
	strongest := map[group]uint8{}
	var out []Record
	for _, r := range records {
		if r.usable() {
			out = append(out, r)
			g := group{r.Usage, r.Selector}
			strongest[g] = max(strongest[g], r.MatchingType)
		}
	}
	out = slices.DeleteFunc(out, func(r Record) bool {
		return r.MatchingType != matchFull && r.MatchingType < strongest[group{r.Usage, r.Selector}]
	})
	slices.SortFunc(out, func(a, b Record) int {
		return cmp.Or(cmp.Compare(a.Usage, b.Usage), cmp.Compare(a.Selector, b.Selector),
			cmp.Compare(a.MatchingType, b.MatchingType), slices.Compare(a.Data, b.Data))
	})
	return slices.CompactFunc(out, func(a, b Record) bool { return a.String() == b.String() })
}

// digestOf names a set of records and names in a few octets.
func digestOf(records []Record, base string, names []string) string {
	h := sha256.New()
	for _, r := range records {
		fmt.Fprintf(h, "%s\n", r)
	}
	fmt.Fprintf(h, "%q %q", base, names)
	return hex.EncodeToString(h.Sum(nil)[:16])
}
