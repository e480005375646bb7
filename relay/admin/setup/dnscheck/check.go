package dnscheck

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"tenma/dnscache"
	"tenma/relay/wire/smtp"
)

// Verdict is what a record is worth.
type Verdict string

// Verdicts. Wrong and Missing are what receivers punish; Advice is what could be
// better.
const (
	OK      Verdict = "ok"
	Advice  Verdict = "advice"
	Missing Verdict = "missing"
	Wrong   Verdict = "wrong"
	Unknown Verdict = "unknown" // the DNS gives no answer
)

// Finding is what became of one record.
type Finding struct {
	Subject string   `json:"subject"` // SPF, DKIM, ...
	Name    string   `json:"name"`    // where the record stands, without the final dot
	Verdict Verdict  `json:"verdict"`
	Found   []string `json:"found"`
	Why     string   `json:"why,omitempty"`    // what is not right; "" if all is
	Expect  string   `json:"expect,omitempty"` // what should stand there, where one text is right
	Do      string   `json:"do,omitempty"`
}

// Punished reports that receivers hold it against mail, or that nobody can tell.
func (f *Finding) Punished() bool {
	return f.Verdict == Wrong || f.Verdict == Missing || f.Verdict == Unknown
}

// Sender is what is known of the relay and a domain of its senders.
type Sender struct {
	Domain  smtp.Domain
	EHLO    string       // name that the relay says
	Sources []netip.Addr // public addresses that its mail goes out from
	MX      string       // name of the relay where mail for the domain comes here; "": it goes elsewhere
	Keys    []Key
	Returns string   // domain of signed return paths, whose MX is the relay; "": none
	Bare    bool     // the domain stands in return paths alone: nobody writes From it, no key signs for it
	STS     string   // id of the MTA-STS policy that the relay serves for the domain; "": none
	Clients []string // names at which mail programs look for their settings here
}

// Key is a key that signs for the domain, or is going to.
type Key struct {
	Name   string // of its record
	Record string
	Next   bool // does not sign yet
}

// checker is one check of one domain.
type checker struct {
	Sender
	ctx   context.Context
	dns   Resolver
	probe Prober
	all   []Finding
	mx    []string // hosts that Check found, for what depends on them
}

// Check looks at everything, in the order in which receivers do. ctx bounds it.
func Check(ctx context.Context, s Sender, dns Resolver, probe Prober) []Finding {
	c := &checker{Sender: s, ctx: ctx, dns: dns, probe: probe}
	c.sources()
	c.mx = c.exchangers(string(s.Domain), s.MX)
	c.spf(string(s.Domain))
	c.ehloSPF()
	if s.Returns != "" && s.Returns != string(s.Domain) {
		c.exchangers(s.Returns, s.EHLO)
		c.spf(s.Returns)
	}
	if !s.Bare {
		c.keys()
		c.dmarc()
	}
	c.sts()
	c.reports()
	c.dane()
	c.clients()
	return c.all
}

// add notes a finding. A second text is for do.
func (c *checker) add(subject, name string, v Verdict, found []string, why, expect, do string) {
	if found == nil {
		found = []string{}
	}
	c.all = append(c.all, Finding{Subject: subject, Name: strings.TrimSuffix(name, "."), Verdict: v, Found: found, Why: why, Expect: expect, Do: do})
}

// none reports that the DNS says there is no such record.
func none(err error) bool {
	return errors.Is(err, dnscache.ErrNotFound) || errors.Is(err, dnscache.ErrNoData)
}

// silent notes that the DNS does not answer. It reports whether it is so.
func (c *checker) silent(subject, name string, err error) bool {
	if err == nil || none(err) {
		return false
	}
	c.add(subject, name, Unknown, nil, "the DNS gives no answer: "+err.Error(), "",
		"ask again later; if it stays so, the servers of the zone do not know it, or its DNSSEC signatures have ended: mail is deferred meanwhile")
	return true
}

// texts gives the TXT records of a name that begin with a version, which is
// followed by a blank, a semicolon or nothing. ok is false where the DNS is
// silent, which is noted.
func (c *checker) texts(subject, name, version string) (own []string, ok bool) {
	a, err := c.dns.LookupTXT(c.ctx, name)
	if c.silent(subject, name, err) {
		return nil, false
	}
	for _, t := range a.Records {
		if rest, has := cutFold(strings.TrimSpace(t), version); has && (rest == "" || strings.ContainsRune(" ;\t", rune(rest[0]))) {
			own = append(own, t)
		}
	}
	return own, true
}

func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// addresses gives those of a host as text.
func (c *checker) addresses(host string) []string {
	a, err := c.dns.LookupAddrs(c.ctx, host)
	if err != nil {
		return nil
	}
	var all []string
	for _, ip := range a.Records {
		all = append(all, ip.Unmap().String())
	}
	return all
}

// recordFor is the type and value of an address record.
func recordFor(a netip.Addr) string {
	if a.Is4() {
		return fmt.Sprintf("A %s", a)
	}
	return fmt.Sprintf("AAAA %s", a)
}
