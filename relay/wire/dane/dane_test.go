package dane_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"slices"
	"testing"
	"time"

	"tenma/relay/wire/dane"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// issued is a certificate with its key.
type issued struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

// issue makes a certificate for name, signed by by, or by itself; it ends at
// end.
func issue(t testing.TB, by *issued, name string, end time.Time) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: now.AddDate(-1, 0, 0), NotAfter: end,
		IsCA: by == nil, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	signer, with := c, key
	if by != nil {
		c.DNSNames = []string{name}
		signer, with = by.Certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, signer, key.Public(), with)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return &issued{c, key}
}

// record makes the TLSA record of a certificate.
func record(usage, selector, matching uint8, c *issued) dane.Record {
	data := c.Raw
	if selector == 1 {
		data = c.RawSubjectPublicKeyInfo
	}
	switch matching {
	case 1:
		sum := sha256.Sum256(data)
		data = sum[:]
	case 2:
		sum := sha512.Sum512(data)
		data = sum[:]
	}
	return dane.Record{Usage: usage, Selector: selector, MatchingType: matching, Data: data}
}

func TestName(t *testing.T) {
	if got := dane.Name("mx.example", 25); got != "_25._tcp.mx.example" {
		t.Error(got)
	}
}

func TestVerify(t *testing.T) {
	later, past := now.AddDate(1, 0, 0), now.AddDate(0, -1, 0)
	root := issue(t, nil, "root", later)
	host := issue(t, root, "mx.test", later)
	old := issue(t, root, "mx.test", past)
	wild := issue(t, root, "*.test", later)
	foreign := issue(t, root, "mx.other.test", later)
	domain := issue(t, root, "example.test", later)
	stranger := issue(t, nil, "stranger", later)
	forged := issue(t, stranger, "mx.test", later)
	nonsense := dane.Record{Usage: 3, Selector: 1, MatchingType: 1, Data: []byte("short")}
	wrong := record(3, 1, 1, stranger)
	weak := record(3, 1, 1, host)
	var expired x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	chain := func(c ...*issued) (out []*x509.Certificate) {
		for _, one := range c {
			out = append(out, one.Certificate)
		}
		return out
	}
	is := func(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }
	for _, c := range []struct {
		why     string
		records []dane.Record
		chain   []*x509.Certificate
		want    func(error) bool
	}{
		{"the host's key, SHA-256", []dane.Record{record(3, 1, 1, host)}, chain(host), nil},
		{"the host's key, SHA-512", []dane.Record{record(3, 1, 2, host)}, chain(host), nil},
		{"the host's key in full", []dane.Record{record(3, 1, 0, host)}, chain(host), nil},
		{"the host's certificate", []dane.Record{record(3, 0, 1, host)}, chain(host), nil},
		{"the host's certificate in full", []dane.Record{record(3, 0, 0, host)}, chain(host), nil},
		{"names and dates do not matter for the host's own", []dane.Record{record(3, 1, 1, old), record(3, 1, 1, foreign)}, chain(old), nil},
		{"one of several matches: a change of keys is under way", []dane.Record{wrong, record(3, 1, 1, host)}, chain(host), nil},
		{"none matches", []dane.Record{wrong}, chain(host), is(dane.ErrMismatch)},
		{"the authority's key does not make it the host's", []dane.Record{record(3, 1, 1, root)}, chain(host, root), is(dane.ErrMismatch)},
		{"no certificate", []dane.Record{record(3, 1, 1, host)}, nil, is(dane.ErrNoCertificate)},
		{"one is nonsense, the other counts", []dane.Record{nonsense, record(3, 1, 1, host)}, chain(host), nil},
		{"the strongest digest counts", []dane.Record{weak, record(3, 1, 2, stranger)}, chain(host), is(dane.ErrMismatch)},
		{"among one selector", []dane.Record{weak, record(3, 0, 2, stranger)}, chain(host), nil},
		{"an authority", []dane.Record{record(2, 0, 1, root)}, chain(host, root), nil},
		{"an authority by its key", []dane.Record{record(2, 1, 1, root)}, chain(host, root), nil},
		{"an authority that the host does not send", []dane.Record{record(2, 0, 1, root)}, chain(host), is(dane.ErrMismatch)},
		{"but that stands in the record", []dane.Record{record(2, 0, 0, root)}, chain(host), nil},
		{"an authority, wildcard", []dane.Record{record(2, 0, 1, root)}, chain(wild, root), nil},
		{"an authority, name of the domain", []dane.Record{record(2, 0, 1, root)}, chain(domain, root), nil},
		{"an authority, but the name is another's", []dane.Record{record(2, 0, 1, root)}, chain(foreign, root), is(dane.ErrName)},
		{"an authority that is the host itself, but the name is another's", []dane.Record{record(2, 0, 1, foreign)}, chain(foreign), is(dane.ErrName)},
		{"an authority, but expired", []dane.Record{record(2, 0, 1, root)}, chain(old, root), func(err error) bool {
			return errors.As(err, &expired) && expired.Reason == x509.Expired
		}},
		{"an authority that did not sign", []dane.Record{record(2, 0, 1, root)}, chain(forged, root), func(err error) bool { return errors.As(err, &unknown) }},
		{"the name counts beside one for the host that does not match", []dane.Record{wrong, record(2, 0, 1, root)}, chain(host, root), nil},
	} {
		s := dane.New(c.records, "mx.test")
		if s == nil {
			t.Fatalf("%s: no record is usable", c.why)
		}
		s = s.For("example.test")
		err := s.Verify(c.chain, now)
		if c.want == nil && err != nil || c.want != nil && (err == nil || !c.want(err)) {
			t.Errorf("%s: %v", c.why, err)
		}
	}
}

func TestUsable(t *testing.T) {
	host := issue(t, nil, "mx.test", now.AddDate(1, 0, 0))
	good := record(3, 1, 1, host)
	for _, c := range []struct {
		why string
		r   dane.Record
	}{
		{"PKIX-TA", record(0, 1, 1, host)},
		{"PKIX-EE", record(1, 1, 1, host)},
		{"unknown usage", record(4, 1, 1, host)},
		{"unknown selector", dane.Record{Usage: 3, Selector: 2, MatchingType: 1, Data: good.Data}},
		{"unknown matching type", dane.Record{Usage: 3, Selector: 1, MatchingType: 3, Data: good.Data}},
		{"SHA-256 too short", dane.Record{Usage: 3, Selector: 1, MatchingType: 1, Data: good.Data[1:]}},
		{"SHA-512 too short", dane.Record{Usage: 3, Selector: 1, MatchingType: 2, Data: good.Data}},
		{"no certificate", dane.Record{Usage: 3, Selector: 0, MatchingType: 0, Data: good.Data}},
		{"no key", dane.Record{Usage: 3, Selector: 1, MatchingType: 0, Data: good.Data}},
		{"no data", dane.Record{Usage: 3, Selector: 1, MatchingType: 0}},
	} {
		if dane.New([]dane.Record{c.r}, "mx.test") != nil {
			t.Errorf("%s is usable", c.why)
		}
		if dane.New([]dane.Record{c.r, good}, "mx.test") == nil {
			t.Errorf("%s hides the other record", c.why)
		}
	}
	if dane.New(nil, "mx.test") != nil {
		t.Error("no records make a set")
	}
}

// Sets with one digest demand the same: order and repetition do not matter, but
// records, base and names do.
func TestDigest(t *testing.T) {
	one, two := issue(t, nil, "one", now.AddDate(1, 0, 0)), issue(t, nil, "two", now.AddDate(1, 0, 0))
	a, b := record(3, 1, 1, one), record(3, 1, 1, two)
	set := func(base, domain string, r ...dane.Record) string { return dane.New(r, base).For(domain).Digest() }
	if set("mx.test", "a.test", a, b) != set("mx.test", "b.test", b, a, b) {
		t.Error("order, repetition, or names where none are looked at, change the digest")
	}
	ta := record(2, 0, 1, one)
	all := []string{
		set("mx.test", "a.test", a), set("mx.test", "a.test", b), set("mx.test", "a.test", a, b), set("m.test", "a.test", a),
		set("mx.test", "a.test", ta), set("mx.test", "b.test", ta),
	}
	slices.Sort(all)
	if len(slices.Compact(all)) != 6 {
		t.Error("sets that differ have one digest")
	}
	if one, two := dane.New([]dane.Record{ta}, "mx.test", "a.test"), dane.New([]dane.Record{ta}, "mx.test"); one.Digest() != two.For("a.test").Digest() || one.For("a.test") != one || one.For("") != one {
		t.Error("names are not those that were given")
	}
	if got := dane.New([]dane.Record{a}, "mx.test").Strings(); len(got) != 1 || got[0] != a.String() {
		t.Error(got)
	}
}

// Whatever stands in a record and a chain: no panic, and nothing verifies
// against records that it does not match.
func FuzzVerify(f *testing.F) {
	root := issue(f, nil, "root", now.AddDate(1, 0, 0))
	host := issue(f, root, "mx.test", now.AddDate(1, 0, 0))
	for _, r := range []dane.Record{record(3, 1, 1, host), record(2, 0, 0, root), record(2, 1, 2, root), record(3, 0, 0, host), {}} {
		f.Add(r.Usage, r.Selector, r.MatchingType, r.Data, host.Raw)
	}
	f.Fuzz(func(t *testing.T, usage, selector, matching uint8, data, der []byte) {
		s := dane.New([]dane.Record{{Usage: usage, Selector: selector, MatchingType: matching, Data: data}}, "mx.test")
		c, err := x509.ParseCertificate(der)
		if s == nil || err != nil {
			return
		}
		if len(s.Strings()) != 1 || s.Digest() == "" {
			t.Error("a set without its record")
		}
		if s.Verify([]*x509.Certificate{c}, now) != nil || usage != 3 {
			return
		}
		what := c.Raw
		if selector == 1 {
			what = c.RawSubjectPublicKeyInfo
		}
		sum256, sum512 := sha256.Sum256(what), sha512.Sum512(what)
		if want := [][]byte{what, sum256[:], sum512[:]}[matching]; !slices.Equal(want, data) {
			t.Errorf("%d %d %d %x matches", usage, selector, matching, data)
		}
	})
}
