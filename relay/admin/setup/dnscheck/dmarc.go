package dnscheck

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"

	"tenma/relay/wire/smtp"
)

const dmarcVersion = "v=DMARC1"

// strength orders what a domain can ask for (RFC 7489 section 6.3).
var strength = []string{"none", "quarantine", "reject"}

// dmarc checks the policy of the domain, or of the one above it that speaks for
// it (RFC 7489 section 6.6.3).
func (c *checker) dmarc() {
	name := "_dmarc." + string(c.Domain)
	want := fmt.Sprintf("v=DMARC1; p=none; rua=mailto:postmaster@%s", c.Domain)
	records, ok := c.texts("DMARC", name, dmarcVersion)
	if !ok {
		return
	}
	if org := organisation(string(c.Domain)); len(records) == 0 && org != string(c.Domain) {
		above, ok := c.texts("DMARC", "_dmarc."+org, dmarcVersion)
		if !ok {
			return
		}
		if len(above) > 0 {
			name, records = "_dmarc."+org, above
		}
	}
	switch len(records) {
	case 0:
		c.add("DMARC", name, Missing, nil, "large receivers take no bulk mail without it, and everybody can write in the domain's name", want, "publish it; when the reports show that all your mail passes, go on to p=quarantine and then p=reject")
		return
	case 1:
	default:
		c.add("DMARC", name, Wrong, records, "there must be one record; with several there is none (RFC 7489 section 6.6.3)", "", "take the others out")
		return
	}
	problems := append(dmarcFaults(records[0]), c.rua(records[0])...)
	for _, p := range problems {
		c.add("DMARC", name, p.verdict, records, p.why, "", p.do)
	}
	if len(problems) == 0 {
		c.add("DMARC", name, OK, records, "", "", "")
	}
}

// organisation is the domain that was registered, above d or d itself (RFC 7489
// section 3.2).
func organisation(d string) string {
	if org, err := publicsuffix.EffectiveTLDPlusOne(d); err == nil {
		return org
	}
	return d
}

// dmarcFaults checks the text alone (RFC 7489 section 6.3).
func dmarcFaults(text string) (all []problem) {
	note := func(v Verdict, why, do string) { all = append(all, problem{v, why, do}) }
	list, bad := tags(text)
	if bad != "" {
		note(Wrong, fmt.Sprintf("%.40q is no tag: tags are parted by semicolons, and each has an \"=\"", bad), "correct it")
	}
	if list[0].value != "DMARC1" {
		note(Wrong, "it must begin with v=DMARC1, written so", "correct it")
	}
	p, has := value(list, "p")
	switch {
	case !has || !slices.Contains(strength, strings.ToLower(p)):
		note(Wrong, "p= must be none, quarantine or reject: the record counts for nothing", "correct it")
	case len(list) > 1 && list[1].name != "p":
		note(Advice, "p= should follow v=DMARC1; some receivers insist on it", "put it there")
	case strings.EqualFold(p, "none"):
		note(Advice, "p=none only asks for reports: forgeries still arrive", "when the reports show that all your mail passes, publish p=quarantine, and later p=reject")
	}
	if sp, ok := value(list, "sp"); ok {
		switch {
		case !slices.Contains(strength, strings.ToLower(sp)):
			note(Wrong, "sp= must be none, quarantine or reject", "correct it, or take it out")
		case slices.Index(strength, strings.ToLower(sp)) < slices.Index(strength, strings.ToLower(p)):
			note(Advice, "sp="+sp+" is weaker than p="+p+": forgers use a subdomain, which need not even exist", "take sp= out")
		}
	}
	if pct, ok := value(list, "pct"); ok {
		if n, err := strconv.Atoi(pct); err != nil || n < 0 || n > 100 {
			note(Wrong, "pct= must be a number from 0 to 100", "correct it, or take it out")
		} else if n < 100 {
			note(Advice, "pct="+pct+" spares a part of the forgeries", "take it out")
		}
	}
	for _, name := range []string{"adkim", "aspf"} {
		if v, ok := value(list, name); ok && v != "r" && v != "s" {
			note(Wrong, name+"= must be r or s", "correct it, or take it out")
		}
	}
	if _, ok := value(list, "rua"); !ok {
		note(Advice, "no rua=: nobody tells you who sends in your name, and what of your own mail fails", "add rua=mailto:ADDRESS")
	}
	return all
}

// rua checks where the reports go: another domain must have agreed to take them
// (RFC 7489 section 7.1).
func (c *checker) rua(text string) (all []problem) {
	list, _ := tags(text)
	for _, name := range []string{"rua", "ruf"} {
		v, ok := value(list, name)
		if !ok {
			continue
		}
		for uri := range strings.SplitSeq(v, ",") {
			uri, _, _ = strings.Cut(strings.TrimSpace(uri), "!")
			u, err := url.Parse(uri)
			if err != nil || !strings.EqualFold(u.Scheme, "mailto") {
				all = append(all, problem{Wrong, fmt.Sprintf("%s=%.60s is no mailto: address", name, uri), "write " + name + "=mailto:ADDRESS"})
				continue
			}
			a, err := smtp.ParseMailbox(u.Opaque)
			if err != nil {
				all = append(all, problem{Wrong, fmt.Sprintf("%s: %.60q is no address", name, u.Opaque), "correct it"})
				continue
			}
			if p := c.outside(name, string(a.Domain)); p.why != "" {
				all = append(all, p)
			}
		}
	}
	return all
}

// outside asks whether another domain takes reports about this one.
func (c *checker) outside(tag, to string) problem {
	if organisation(to) == organisation(string(c.Domain)) {
		return problem{}
	}
	name := string(c.Domain) + "._report._dmarc." + to
	a, err := c.dns.LookupTXT(c.ctx, name)
	switch {
	case err != nil && !none(err):
		return problem{Unknown, fmt.Sprintf("%s: the DNS gives no answer about %s", tag, name), "ask again later"}
	case !slices.ContainsFunc(a.Records, func(t string) bool { _, ok := cutFold(strings.TrimSpace(t), dmarcVersion); return ok }):
		return problem{Wrong, fmt.Sprintf("%s= sends reports to %s, which does not say that it takes them: they are not sent", tag, to), fmt.Sprintf("have %s publish TXT \"v=DMARC1\" at %s", to, name)}
	}
	return problem{}
}
