package dnscheck

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"tenma/relay/wire/dane"
	"tenma/relay/wire/mtasts"
	"tenma/relay/wire/tlsrpt"
)

// sts checks the MTA-STS record and the policy that it stands for (RFC 8461).
func (c *checker) sts() {
	d := string(c.Domain)
	name := mtasts.RecordName(d)
	records, ok := c.texts("MTA-STS", name, "v=STSv1")
	if !ok {
		return
	}
	if len(records) == 0 {
		if c.STS != "" {
			c.add("MTA-STS", name, Advice, nil, "the relay serves a policy, and nobody looks for it without this record", "v=STSv1; id="+c.STS, "publish it")
		}
		return
	}
	id, err := mtasts.ParseRecord(records)
	if err != nil {
		c.add("MTA-STS", name, Wrong, records, err.Error()+": senders pass it over", "v=STSv1; id=1", "correct it")
		return
	}
	if c.STS != "" && id != c.STS {
		c.add("MTA-STS", name, Wrong, records, "the policy that the relay serves has changed, and who remembers the former one does not hear of it", "v=STSv1; id="+c.STS, "publish this")
		return
	}
	policy, err := c.probe.Policy(c.ctx, d)
	if err != nil {
		c.add("MTA-STS", name, Wrong, records, fmt.Sprintf("the policy cannot be had from %s: %v", mtasts.URL(d), err), "", "serve it there, with a certificate for "+mtasts.Host(d)+", or take the record out")
		return
	}
	c.policy(name, records, policy)
}

// policy checks the policy against the MX records.
func (c *checker) policy(name string, records []string, p *mtasts.Policy) {
	var unnamed []string
	for _, host := range c.mx {
		if !p.Allows(host) {
			unnamed = append(unnamed, host)
		}
	}
	switch {
	case len(unnamed) > 0 && p.Mode == mtasts.Enforce:
		c.add("MTA-STS", name, Wrong, records, "the policy does not name "+strings.Join(unnamed, ", ")+": senders do not deliver there", "", "add it to the policy as mx:, then change the id")
	case len(unnamed) > 0:
		c.add("MTA-STS", name, Advice, records, "the policy does not name "+strings.Join(unnamed, ", ")+"; with mode enforce senders would not deliver there", "", "add it to the policy as mx:, then change the id")
	case p.Mode == mtasts.Testing:
		c.add("MTA-STS", name, Advice, records, "mode testing protects nothing yet", "", "when the reports show no failures, serve mode enforce ([setup] mta_sts) and change the id")
	case p.MaxAge < 24*time.Hour:
		c.add("MTA-STS", name, Advice, records, fmt.Sprintf("max_age of %v is forgotten before mail comes again", p.MaxAge), "", "give it a week or more (RFC 8461 section 3.2)")
	default:
		c.add("MTA-STS", name, OK, records, "", "", "")
	}
}

// reports checks where others report failures of TLS (RFC 8460).
func (c *checker) reports() {
	name := tlsrpt.RecordName(string(c.Domain))
	a, err := c.dns.LookupTXT(c.ctx, name)
	if c.silent("TLSRPT", name, err) {
		return
	}
	want := "v=TLSRPTv1; rua=mailto:postmaster@" + string(c.Domain)
	_, err = tlsrpt.ParseRecord(a.Records)
	switch {
	case errors.Is(err, tlsrpt.ErrNoRecord):
		if c.MX != "" {
			c.add("TLSRPT", name, Advice, a.Records, "nobody tells you when TLS to your mail hosts fails", want, "publish it")
		}
	case err != nil:
		c.add("TLSRPT", name, Wrong, a.Records, err.Error()+": no reports are sent", want, "correct it")
	default:
		c.add("TLSRPT", name, OK, a.Records, "", "", "")
	}
}

// dane compares the TLSA records of each mail host with the certificate that it
// shows (RFC 7672): a mistake there stops all mail from senders that look.
func (c *checker) dane() {
	const port = 25
	for _, host := range c.mx {
		name := dane.Name(host, port)
		a, err := c.dns.LookupTLSA(c.ctx, name)
		if c.silent("DANE", name, err) || len(a.Records) == 0 {
			continue
		}
		var records []dane.Record
		var found []string
		for _, r := range a.Records {
			r := dane.Record{Usage: r.Usage, Selector: r.Selector, MatchingType: r.MatchingType, Data: r.Data}
			records, found = append(records, r), append(found, r.String())
		}
		set := dane.New(records, host, host)
		if set == nil {
			c.add("DANE", name, Wrong, found, "no record is of a kind that mail servers use (RFC 7672 section 3.1)", "", "publish \"3 1 1 ...\": tenma dns records --tlsa")
			continue
		}
		chain, err := c.probe.Chain(c.ctx, host)
		if err == nil {
			err = set.For(string(c.Domain)).Verify(chain, time.Now())
		} else {
			c.add("DANE", name, Unknown, found, fmt.Sprintf("the certificate of %s at port %d cannot be seen from here: %v", host, port, err), "", "check from another machine")
			continue
		}
		switch {
		case err != nil && a.Secure:
			c.add("DANE", name, Wrong, found, err.Error()+": senders that use DANE do not deliver", "", "publish the record of the new certificate: tenma dns records --tlsa; keep the key when you renew it")
		case err != nil:
			c.add("DANE", name, Wrong, found, err.Error()+"; the zone is not shown to be signed, so that nobody looks yet", "", "publish the record of the new certificate: tenma dns records --tlsa")
		case !a.Secure:
			c.add("DANE", name, Advice, found, "the answer is not shown to be signed (DNSSEC), and then nobody uses the record; or your DNS server does not validate", "", "sign the zone, or ask a server that validates: --server")
		default:
			c.add("DANE", name, OK, found, "", "", "")
		}
	}
}
