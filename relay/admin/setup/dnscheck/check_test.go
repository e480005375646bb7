package dnscheck

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tenma/dnscache"
	"tenma/dnscache/dnstest"
	"tenma/relay/wire/mtasts"
	"tenma/relay/wire/smtp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// good is a zone with which nothing is wrong.
const good = `
example.test. IN MX 10 mx1.example.test.
example.test. IN MX 20 mx2.example.test.
example.test. IN TXT "v=spf1 mx ip6:2001:db8::25 include:_spf.sender.test -all"
example.test. IN TXT "site-verification=abc"
_spf.sender.test. IN TXT "v=spf1 ip4:198.51.100.0/24 ~all"
mx1.example.test. IN A 192.0.2.25
mx1.example.test. IN AAAA 2001:db8::25
mx1.example.test. IN TXT "v=spf1 a -all"
mx2.example.test. IN A 192.0.2.26
25.2.0.192.in-addr.arpa. IN PTR mx1.example.test.
5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. IN PTR mx1.example.test.
s1._domainkey.example.test. IN TXT "v=DKIM1; k=rsa; p=QUJDREVG" "R0hJSktM"
e1._domainkey.example.test. IN TXT "v=DKIM1; k=ed25519; p=QUJD"
_dmarc.example.test. IN TXT "v=DMARC1; p=reject; rua=mailto:dmarc@reports.test!10m"
example.test._report._dmarc.reports.test. IN TXT "v=DMARC1"
_mta-sts.example.test. IN TXT "v=STSv1; id=7"
_smtp._tls.example.test. IN TXT "v=TLSRPTv1; rua=mailto:tls@example.test"
_25._tcp.mx1.example.test. IN TLSA 3 1 1 DIGEST
autoconfig.example.test. IN CNAME mx1.example.test.
`

// world is what a check sees.
type world struct {
	policy *mtasts.Policy
	chain  []*x509.Certificate
	err    error // of both
}

func (w *world) Policy(context.Context, string) (*mtasts.Policy, error) { return w.policy, w.err }

func (w *world) Chain(_ context.Context, host string) ([]*x509.Certificate, error) {
	return w.chain, w.err
}

func newWorld(t *testing.T) (*world, Sender, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{SerialNumber: big.NewInt(1)}, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	w := &world{policy: &mtasts.Policy{Mode: mtasts.Enforce, MaxAge: 7 * 24 * time.Hour, MX: []string{"*.example.test"}}, chain: []*x509.Certificate{cert}}
	s := Sender{
		Domain: "example.test", EHLO: "mx1.example.test", MX: "mx1.example.test", STS: "7", Clients: []string{"autoconfig.example.test"},
		Sources: []netip.Addr{netip.MustParseAddr("192.0.2.25"), netip.MustParseAddr("2001:db8::25")},
		Keys: []Key{
			{Name: "s1._domainkey.example.test", Record: "v=DKIM1; k=rsa; p=QUJDREVGR0hJSktM"},
			{Name: "e1._domainkey.example.test", Record: "v=DKIM1; k=ed25519; p=QUJD"},
		},
	}
	return w, s, fmt.Sprintf("%x", sum)
}

// look checks and gives what is not right, a line each.
func look(t *testing.T, w *world, s Sender, zone string, secure bool, prepare func(*dnstest.Server)) (bad []string, all []Finding) {
	t.Helper()
	server := dnstest.New(zone)
	server.Secure(secure)
	if prepare != nil {
		prepare(server)
	}
	dns, err := dnscache.New(dnscache.Config{Servers: []string{"127.0.0.1:53"}, Dial: server.Dial}, dnscache.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	all = Check(t.Context(), s, dns, w)
	for _, f := range all {
		if f.Verdict != OK {
			bad = append(bad, fmt.Sprintf("%s %s %s: %s", f.Verdict, f.Subject, f.Name, f.Why))
			if f.Why == "" || f.Do == "" {
				t.Errorf("%+v does not say why, or what to do", f)
			}
		} else if f.Why != "" || f.Do != "" {
			t.Errorf("%+v is all right, and has a remedy", f)
		}
	}
	return bad, all
}

// Nothing is wrong with the good zone, and everything was looked at.
func TestGood(t *testing.T) {
	w, s, digest := newWorld(t)
	bad, all := look(t, w, s, strings.ReplaceAll(good, "DIGEST", digest), true, nil)
	if len(bad) > 0 {
		t.Errorf("false alarms:\n%s", strings.Join(bad, "\n"))
	}
	var seen []string
	for _, f := range all {
		seen = append(seen, f.Subject)
	}
	if got, want := strings.Join(seen, " "), "PTR PTR EHLO MX SPF SPF DKIM DKIM DMARC MTA-STS TLSRPT DANE setup"; got != want {
		t.Errorf("looked at %s, want %s", got, want)
	}
}

// Each mistake is found, and nothing else.
func TestMistakes(t *testing.T) {
	const spf = `"v=spf1 mx ip6:2001:db8::25 include:_spf.sender.test -all"`
	includes := func(n int) (terms, zone string) {
		for i := range n {
			terms += fmt.Sprintf(" include:i%d.test", i)
			zone += fmt.Sprintf("i%d.test. IN TXT \"v=spf1 ip4:203.0.113.%d -all\"\n", i, i)
		}
		return terms, zone
	}
	nine, nineZone := includes(9)
	ten, tenZone := includes(10)
	for name, m := range map[string]struct {
		old, new string // in the zone; old "" adds
		sender   func(*Sender)
		world    func(*world)
		insecure bool
		want     []string // beginnings of lines; nil: nothing
	}{
		"no PTR":             {old: "25.2.0.192.in-addr.arpa. IN PTR mx1.example.test.", want: []string{"missing PTR 25.2.0.192.in-addr.arpa: 192.0.2.25 has no name"}},
		"PTR elsewhere":      {old: "25.2.0.192.in-addr.arpa. IN PTR mx1.", new: "25.2.0.192.in-addr.arpa. IN PTR mx2.", want: []string{"wrong PTR 25.2.0.192.in-addr.arpa: the name does not lead back"}},
		"PTR other name":     {old: "25.2.0.192.in-addr.arpa. IN PTR mx1.example.test.", new: "25.2.0.192.in-addr.arpa. IN PTR out.example.test.\nout.example.test. IN A 192.0.2.25", want: []string{"advice PTR 25.2.0.192.in-addr.arpa: the name is not the one"}},
		"PTR dynamic":        {old: "25.2.0.192.in-addr.arpa. IN PTR mx1.example.test.", new: "25.2.0.192.in-addr.arpa. IN PTR p192-0-2-25.isp.test.\np192-0-2-25.isp.test. IN A 192.0.2.25", want: []string{"wrong PTR 25.2.0.192.in-addr.arpa: the name looks like"}},
		"PTR dynamic word":   {old: "25.2.0.192.in-addr.arpa. IN PTR mx1.example.test.", new: "25.2.0.192.in-addr.arpa. IN PTR x.dsl.isp.test.\nx.dsl.isp.test. IN A 192.0.2.25", want: []string{"wrong PTR 25.2.0.192.in-addr.arpa: the name looks like"}},
		"EHLO elsewhere":     {sender: func(s *Sender) { s.EHLO = "mx2.example.test" }, want: []string{"advice PTR 25", "wrong EHLO mx2.example.test: the relay says this name from 192.0.2.25", "advice PTR 5.2", "wrong EHLO mx2.example.test: the relay says this name from 2001:db8::25", "advice SPF mx2"}},
		"EHLO no name":       {sender: func(s *Sender) { s.EHLO = "localhost"; s.Sources = nil }, want: []string{"wrong EHLO localhost"}},
		"no source":          {sender: func(s *Sender) { s.Sources = nil }, want: []string{"advice PTR mx1"}},
		"no MX":              {old: "example.test. IN MX 10 mx1.example.test.\nexample.test. IN MX 20 mx2.example.test.", want: []string{"missing MX example.test", "wrong SPF example.test: mail from 192.0.2.25, which is ours", "advice SPF example.test: mx finds nothing"}},
		"address for MX":     {old: "example.test. IN MX 10 mx1.example.test.\nexample.test. IN MX 20 mx2.example.test.", new: "example.test. IN A 192.0.2.9", want: []string{"advice MX example.test: without MX", "advice SPF example.test: mx finds nothing", "wrong SPF example.test: mail from 192.0.2.25", "wrong MTA-STS _mta-sts.example.test: the policy does not name example.test"}},
		"MX to CNAME":        {old: "mx2.example.test. IN A 192.0.2.26", new: "mx2.example.test. IN CNAME other.test.\nother.test. IN A 192.0.2.26", want: []string{"wrong MX mx2.example.test: this mail host is an alias (CNAME) of other.test"}},
		"MX to address":      {old: "MX 20 mx2.example.test.", new: "MX 20 192.0.2.26.", want: []string{"wrong MX 192.0.2.26: an MX record names a host", "wrong MTA-STS _mta-sts.example.test: the policy does not name 192.0.2.26"}},
		"MX without address": {old: "mx2.example.test. IN A 192.0.2.26", want: []string{"wrong MX mx2.example.test: this mail host has no address"}},
		"MX private":         {old: "mx2.example.test. IN A 192.0.2.26", new: "mx2.example.test. IN A 10.1.2.3", want: []string{"wrong MX mx2.example.test: this mail host has the address 10.1.2.3"}},
		"null MX beside":     {new: "example.test. IN MX 0 .", want: []string{"wrong MX example.test: \".\" says that the domain takes no mail, and must stand alone"}},
		"null MX":            {old: "example.test. IN MX 10 mx1.example.test.\nexample.test. IN MX 20 mx2.example.test.", new: "example.test. IN MX 0 .", want: []string{"wrong MX example.test: \".\" says that the domain takes no mail, but", "wrong SPF example.test: mail from 192.0.2.25"}},
		"MX elsewhere":       {sender: func(s *Sender) { s.MX = "mx9.example.test" }, want: []string{"wrong MX example.test: the domain's mail is for this relay, and goes elsewhere"}},
		"MX not our affair":  {sender: func(s *Sender) { s.MX = "" }},

		"returns":           {new: "r.example.test. IN MX 10 mx1.example.test.\nr.example.test. IN TXT \"v=spf1 mx -all\"", sender: func(s *Sender) { s.Returns = "r.example.test" }},
		"no returns":        {sender: func(s *Sender) { s.Returns = "r.example.test" }, want: []string{"missing MX r.example.test", "missing SPF r.example.test"}},
		"returns elsewhere": {new: "r.example.test. IN MX 10 mx2.example.test.\nr.example.test. IN TXT \"v=spf1 -all\"", sender: func(s *Sender) { s.Returns = "r.example.test" }, want: []string{"wrong MX r.example.test: the domain's mail is for this relay", "wrong SPF r.example.test: mail from 192.0.2.25", "wrong SPF r.example.test: mail from 2001:db8::25"}},
		"bare":              {old: "_dmarc.example.test. IN TXT", new: "x.example.test. IN TXT", sender: func(s *Sender) { s.Bare, s.Keys = true, nil }},

		"no SPF":              {old: "example.test. IN TXT " + spf, want: []string{"missing SPF example.test"}},
		"two SPF":             {new: "example.test. IN TXT \"v=spf1 -all\"", want: []string{"wrong SPF example.test: there must be one record"}},
		"not SPF":             {new: "example.test. IN TXT \"v=spf10 -all\""},
		"SPF +all":            {old: spf, new: `"v=spf1 mx +all"`, want: []string{"wrong SPF example.test: +all lets everybody"}},
		"SPF all":             {old: spf, new: `"v=spf1 mx all"`, want: []string{"wrong SPF example.test: all lets everybody"}},
		"SPF ?all":            {old: spf, new: `"v=spf1 mx ip6:2001:db8::25 ?all"`, want: []string{"advice SPF example.test: ?all"}},
		"SPF endless":         {old: spf, new: `"v=spf1 mx ip6:2001:db8::25"`, want: []string{"advice SPF example.test: it does not end"}},
		"SPF behind all":      {old: spf, new: `"v=spf1 mx ip6:2001:db8::25 -all a:mx2.example.test"`, want: []string{"advice SPF example.test: a:mx2.example.test stands behind"}},
		"SPF without us":      {old: spf, new: `"v=spf1 ip4:192.0.2.25 ~all"`, want: []string{"wrong SPF example.test: mail from 2001:db8::25, which is ours, gets \"softfail\""}},
		"SPF ten":             {old: spf, new: `"v=spf1 mx ip6:2001:db8::25` + nine + ` -all"` + "\n" + nineZone},
		"SPF eleven":          {old: spf, new: `"v=spf1 mx ip6:2001:db8::25` + ten + ` -all"` + "\n" + tenZone, want: []string{"wrong SPF example.test: it takes 11 lookups (mx 1, include:i0.test 1"}},
		"SPF nested eleven":   {old: spf, new: `"v=spf1 mx ip6:2001:db8::25 include:a.test -all"` + "\na.test. IN TXT \"v=spf1" + nine + " ~all\"\n" + nineZone, want: []string{"wrong SPF example.test: it takes 11 lookups (mx 1, include:a.test 10)"}},
		"SPF redirect":        {old: spf, new: `"v=spf1 redirect=r.test"` + "\nr.test. IN TXT \"v=spf1 ip4:192.0.2.25 ip6:2001:db8::25 -all\""},
		"SPF loop":            {old: spf, new: `"v=spf1 mx ip6:2001:db8::25 include:example.test -all"`, want: []string{"wrong SPF example.test: example.test is included by itself"}},
		"SPF void":            {old: spf, new: `"v=spf1 mx ip6:2001:db8::25 a:x.test a:y.test -all"`, want: []string{"advice SPF example.test: a:x.test finds nothing", "advice SPF example.test: a:y.test"}},
		"SPF three void":      {old: spf, new: `"v=spf1 mx ip6:2001:db8::25 a:x.test a:y.test mx:z.test -all"`, want: []string{"wrong SPF example.test: 3 lookups find nothing"}},
		"SPF name as address": {old: spf, new: `"v=spf1 mx ip6:2001:db8::25 ip4:mail.example.test -all"`, want: []string{"wrong SPF example.test: \"ip4:mail.example.test\": an address must follow"}},
		"SPF half the world":  {old: spf, new: `"v=spf1 mx ip6:2001:db8::25 ip4:0.0.0.0/1 -all"`, want: []string{"wrong SPF example.test: ip4:0.0.0.0/1 lets a large part"}},
		"SPF unknown":         {old: spf, new: `"v=spf1 mx ip6:2001:db8::25 ipv4:192.0.2.1 -all"`, want: []string{"wrong SPF example.test: \"ipv4:192.0.2.1\" cannot be read"}},
		"SPF ptr":             {old: spf, new: `"v=spf1 mx ip6:2001:db8::25 ptr -all"`, want: []string{"advice SPF example.test: ptr is slow"}},
		"SPF include of none": {old: "_spf.sender.test. IN TXT", new: "x.sender.test. IN TXT", want: []string{"wrong SPF example.test: include:_spf.sender.test: _spf.sender.test has no SPF record"}},
		"SPF include of two":  {new: "_spf.sender.test. IN TXT \"v=spf1 -all\"", want: []string{"wrong SPF example.test: include:_spf.sender.test: _spf.sender.test has several"}},
		"SPF macro":           {old: spf, new: `"v=spf1 mx ip6:2001:db8::25 exists:%{i}._spf.%{d} include:%{d}.x.test -all"`},
		"no SPF of EHLO":      {old: "mx1.example.test. IN TXT \"v=spf1 a -all\"", want: []string{"advice SPF mx1.example.test: notices of failure"}},
		"wrong SPF of EHLO":   {old: "mx1.example.test. IN TXT \"v=spf1 a -all\"", new: "mx1.example.test. IN TXT \"v=spf1 -all\"", want: []string{"wrong SPF mx1.example.test: for notices"}},
		"no DKIM record":      {old: "e1._domainkey", new: "e2._domainkey", want: []string{"missing DKIM e1._domainkey.example.test"}},
		"next DKIM record": {sender: func(s *Sender) {
			s.Keys = append(s.Keys, Key{Name: "n._domainkey.example.test", Record: "v=DKIM1; p=QQ==", Next: true})
		}, want: []string{"advice DKIM n._domainkey.example.test: the next key"}},
		"no key":              {sender: func(s *Sender) { s.Keys = nil }, want: []string{"missing DKIM _domainkey.example.test: no key signs"}},
		"other key":           {old: "k=ed25519; p=QUJD", new: "k=ed25519; p=QUJE", want: []string{"wrong DKIM e1._domainkey.example.test: it is another key"}},
		"revoked":             {old: "k=ed25519; p=QUJD", new: "k=ed25519; p=", want: []string{"wrong DKIM e1._domainkey.example.test: the record says that the key is revoked"}},
		"no p=":               {old: "k=ed25519; p=QUJD", new: "k=ed25519", want: []string{"wrong DKIM e1._domainkey.example.test: there is no key"}},
		"testing":             {old: "k=ed25519; p=QUJD", new: "k=ed25519; t=s:y; p=QUJD", want: []string{"advice DKIM e1._domainkey.example.test: t=y"}},
		"no sha256":           {old: "k=ed25519; p=QUJD", new: "k=ed25519; h=sha1; p=QUJD", want: []string{"wrong DKIM e1._domainkey.example.test: h= forbids"}},
		"not for mail":        {old: "k=ed25519; p=QUJD", new: "k=ed25519; s=tlsrpt; p=QUJD", want: []string{"wrong DKIM e1._domainkey.example.test: s= forbids"}},
		"no k=":               {old: "k=ed25519; p=QUJD", new: "p=QUJD", want: []string{"wrong DKIM e1._domainkey.example.test: k= must be ed25519"}},
		"cut off":             {old: ` "R0hJSktM"`, want: []string{"wrong DKIM s1._domainkey.example.test: the key ends after 8 of 16"}},
		"two records":         {old: `p=QUJDREVG" "R0hJSktM"`, new: `p=QUJDREVG"` + "\n" + `s1._domainkey.example.test. IN TXT "R0hJSktM"`, want: []string{"wrong DKIM s1._domainkey.example.test: the record was split into several"}},
		"several records":     {new: "e1._domainkey.example.test. IN TXT \"v=DKIM1; p=QUJE\"", want: []string{"wrong DKIM e1._domainkey.example.test: there are several"}},
		"quotes":              {old: `k=ed25519; p=QUJD"`, new: `k=ed25519; p=QU\"\"JD"`, want: []string{"wrong DKIM e1._domainkey.example.test: there are quotation marks"}},
		"version":             {old: `"v=DKIM1; k=ed25519; p=QUJD"`, new: `"k=ed25519; v=DKIM1; p=QUJD"`, want: []string{"wrong DKIM e1._domainkey.example.test: v= must be the first"}},
		"blanks in key":       {old: `QUJDREVG" "R0hJSktM`, new: `QUJDREVG " " R0hJSktM`},
		"no DMARC":            {old: "_dmarc.example.test. IN TXT", new: "x.example.test. IN TXT", want: []string{"missing DMARC _dmarc.example.test"}},
		"two DMARC":           {new: "_dmarc.example.test. IN TXT \"v=DMARC1; p=none\"", want: []string{"wrong DMARC _dmarc.example.test: there must be one"}},
		"p=none":              {old: "p=reject", new: "p=none", want: []string{"advice DMARC _dmarc.example.test: p=none only asks"}},
		"weak sp":             {old: "p=reject", new: "p=reject; sp=none", want: []string{"advice DMARC _dmarc.example.test: sp=none is weaker"}},
		"pct":                 {old: "p=reject", new: "p=reject; pct=50", want: []string{"advice DMARC _dmarc.example.test: pct=50"}},
		"bad pct":             {old: "p=reject", new: "p=reject; pct=x", want: []string{"wrong DMARC _dmarc.example.test: pct="}},
		"bad adkim":           {old: "p=reject", new: "p=reject; adkim=strict", want: []string{"wrong DMARC _dmarc.example.test: adkim="}},
		"no p":                {old: "p=reject", new: "q=reject", want: []string{"wrong DMARC _dmarc.example.test: p= must"}},
		"p later":             {old: "p=reject", new: "adkim=s; p=reject", want: []string{"advice DMARC _dmarc.example.test: p= should follow"}},
		"commas":              {old: "p=reject; rua", new: "p=reject, rua", want: []string{"wrong DMARC _dmarc.example.test: p= must", "advice DMARC _dmarc.example.test: no rua="}},
		"no tag":              {old: "p=reject;", new: "p=reject; quarantine;", want: []string{"wrong DMARC _dmarc.example.test: \"quarantine\" is no tag"}},
		"no rua":              {old: "; rua=mailto:dmarc@reports.test!10m", want: []string{"advice DMARC _dmarc.example.test: no rua="}},
		"rua without mailto":  {old: "mailto:dmarc@reports.test!10m", new: "dmarc@example.test", want: []string{"wrong DMARC _dmarc.example.test: rua=dmarc@example.test is no mailto:"}},
		"rua not authorised":  {old: "example.test._report", new: "other.test._report", want: []string{"wrong DMARC _dmarc.example.test: rua= sends reports to reports.test"}},
		"rua at a subdomain":  {old: "dmarc@reports.test!10m", new: "dmarc@in.example.test"},
		"STS id":              {sender: func(s *Sender) { s.STS = "8" }, want: []string{"wrong MTA-STS _mta-sts.example.test: the policy that the relay serves has changed"}},
		"STS not ours":        {sender: func(s *Sender) { s.STS = "" }},
		"STS unfetched":       {world: func(w *world) { w.err = errors.New("x509: wrong name") }, want: []string{"wrong MTA-STS _mta-sts.example.test: the policy cannot be had", "unknown DANE _25._tcp.mx1"}},
		"STS unnamed":         {world: func(w *world) { w.policy.MX = []string{"mx1.example.test"} }, want: []string{"wrong MTA-STS _mta-sts.example.test: the policy does not name mx2.example.test"}},
		"STS testing":         {world: func(w *world) { w.policy.Mode = mtasts.Testing }, want: []string{"advice MTA-STS _mta-sts.example.test: mode testing"}},
		"STS testing unnamed": {world: func(w *world) { w.policy.Mode, w.policy.MX = mtasts.Testing, nil }, want: []string{"advice MTA-STS _mta-sts.example.test: the policy does not name"}},
		"STS short":           {world: func(w *world) { w.policy.MaxAge = time.Hour }, want: []string{"advice MTA-STS _mta-sts.example.test: max_age"}},
		"STS record":          {old: "v=STSv1; id=7", new: "v=STSv1; id=a-b", want: []string{"wrong MTA-STS _mta-sts.example.test: mtasts: record is not valid"}},
		"no STS record":       {old: "_mta-sts.example.test. IN TXT \"v=STSv1; id=7\"", want: []string{"advice MTA-STS _mta-sts.example.test: the relay serves a policy"}},
		"no TLSRPT":           {old: "_smtp._tls.example.test. IN TXT \"v=TLSRPTv1; rua=mailto:tls@example.test\"", want: []string{"advice TLSRPT _smtp._tls.example.test"}},
		"bad TLSRPT":          {old: "rua=mailto:tls@example.test", new: "rua=tls", want: []string{"wrong TLSRPT _smtp._tls.example.test"}},
		"DANE mismatch":       {old: "TLSA 3 1 1 ", new: "TLSA 3 1 1 00", want: []string{"wrong DANE _25._tcp.mx1.example.test: no record is of a kind"}},
		"DANE other":          {old: "TLSA 3 1 1 DIGEST", new: "TLSA 3 1 1 " + strings.Repeat("ab", 32), want: []string{"wrong DANE _25._tcp.mx1.example.test: dane: no certificate"}},
		"DANE unsigned":       {insecure: true, want: []string{"advice DANE _25._tcp.mx1.example.test: the answer is not shown to be signed"}},
		"no DANE":             {old: "_25._tcp.mx1.example.test. IN TLSA 3 1 1 DIGEST"},
		"no autoconfig":       {old: "autoconfig.example.test. IN CNAME", new: "x.example.test. IN CNAME", want: []string{"advice setup autoconfig.example.test"}},
	} {
		t.Run(name, func(t *testing.T) {
			w, s, digest := newWorld(t)
			zone := good
			if m.old != "" && !strings.Contains(zone, m.old) {
				t.Fatalf("the zone has no %q", m.old)
			}
			if m.old == "" {
				zone += m.new + "\n"
			} else {
				zone = strings.Replace(zone, m.old, m.new, 1)
			}
			if m.sender != nil {
				m.sender(&s)
			}
			if m.world != nil {
				m.world(w)
			}
			bad, _ := look(t, w, s, strings.ReplaceAll(zone, "DIGEST", digest), !m.insecure, nil)
			if !matches(bad, m.want) {
				t.Errorf("found:\n%s\nwant:\n%s", strings.Join(bad, "\n"), strings.Join(m.want, "\n"))
			}
		})
	}
}

// matches reports that each line begins as one that is wanted, and none is left.
func matches(lines, want []string) bool {
	if len(lines) != len(want) {
		return false
	}
	for _, w := range want {
		if n := len(strings.Split("\n"+strings.Join(lines, "\n"), "\n"+w)) - 1; n < 1 {
			return false
		}
	}
	return true
}

// Where the DNS is silent nothing is said to be wrong, and nothing to be right.
func TestSilence(t *testing.T) {
	w, s, digest := newWorld(t)
	fail := func(names string) func(*dnstest.Server) {
		return func(d *dnstest.Server) {
			for line := range strings.Lines(names) {
				if name, _, ok := strings.Cut(line, ". IN "); ok {
					d.Misbehave(name, dnstest.Manner{Fault: dnstest.ServFail})
				}
			}
		}
	}
	for _, names := range []string{good, "mx1.example.test. IN ", "mx2.example.test. IN ", "_spf.sender.test. IN ", "reports.test. IN ", "example.test._report._dmarc.reports.test. IN "} {
		_, all := look(t, w, s, strings.ReplaceAll(good, "DIGEST", digest), true, fail(names))
		unknown := 0
		for _, f := range all {
			switch {
			case f.Verdict == Unknown:
				unknown++
			case names == good && f.Verdict == OK, f.Verdict == Wrong, f.Verdict == Missing:
				t.Errorf("%q is silent, and %+v", names, f)
			}
		}
		if unknown == 0 && names != "reports.test. IN " {
			t.Errorf("%q is silent, and nobody says so", names)
		}
	}
	bad, all := look(t, w, s, strings.ReplaceAll(good, "DIGEST", digest), true, func(d *dnstest.Server) {
		for _, n := range []string{"example.test", "s1._domainkey.example.test", "_dmarc.example.test", "25.2.0.192.in-addr.arpa"} {
			d.Misbehave(n, dnstest.Manner{Fault: dnstest.ServFail})
		}
	})
	for _, want := range []string{"unknown MX example.test", "unknown SPF example.test", "unknown DKIM s1", "unknown DMARC", "unknown PTR 25.2"} {
		if !strings.Contains(strings.Join(bad, "\n"), want) {
			t.Errorf("no %q in\n%s", want, strings.Join(bad, "\n"))
		}
	}
	for _, f := range all {
		if f.Verdict == Wrong || f.Verdict == Missing {
			t.Errorf("%+v", f)
		}
	}
}

// A subdomain has the policy of the domain above it.
func TestPolicyAbove(t *testing.T) {
	w, s, _ := newWorld(t)
	s.Domain = "sub.example.test"
	_, all := look(t, w, s, good+"sub.example.test._report._dmarc.reports.test. IN TXT \"v=DMARC1\"\n", true, nil)
	for _, f := range all {
		if f.Subject == "DMARC" && (f.Verdict != OK || f.Name != "_dmarc.example.test") {
			t.Errorf("%+v", f)
		}
	}
}

// Whatever strangers publish, a check ends and says something.
func FuzzRecords(f *testing.F) {
	for _, s := range []string{"v=spf1 -all", "v=spf1 include:x redirect=x exists:%{i} a:/x/24//64 ip4: ++mx", "v=DKIM1; p=", "v=DMARC1; p=none; rua=mailto:a@b!,x", "v=DMARC1", "v=spf1", ";;=;", "v=STSv1; id=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := &checker{Sender: Sender{Domain: smtp.Domain("example.test")}, ctx: t.Context(), dns: same(text)}
		w := &spfWalk{checker: c, seen: map[string]bool{}}
		w.record("example.test", "v=spf1 "+text, true)
		w.problems()
		dmarcFaults("v=DMARC1; " + text)
		c.rua(text)
		keyFault([]string{text}, "v=DKIM1; k=rsa; p=QUJD")
		keyFault([]string{text, text}, "v=DKIM1; k=rsa; p=QUJD")
		looksDynamic(text, netip.MustParseAddr("192.0.2.25"))
	})
}

// same answers every question for text with one text.
type same string

func (s same) LookupTXT(context.Context, string) (a dnscache.Answer[string], err error) {
	a.Records = []string{string(s)}
	return a, nil
}

func (same) LookupMX(context.Context, string) (a dnscache.Answer[dnscache.MX], err error) {
	return a, dnscache.ErrNoData
}

func (same) LookupAddrs(context.Context, string) (a dnscache.Answer[netip.Addr], err error) {
	return a, dnscache.ErrNoData
}

func (same) LookupPTR(context.Context, netip.Addr) (a dnscache.Answer[string], err error) {
	return a, dnscache.ErrNoData
}

func (same) LookupTLSA(context.Context, string) (a dnscache.Answer[dnscache.TLSA], err error) {
	return a, dnscache.ErrNoData
}
