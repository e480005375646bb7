package verdict

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"blitiri.com.ar/go/spf"
	"golang.org/x/net/publicsuffix"

	"tenma/relay/wire/dkim"
	"tenma/relay/wire/header"
	"tenma/relay/wire/smtp"
)

// wish is what a domain wants done with mail that fails (RFC 7489 section 6.3, p=).
type wish string

const (
	wishNone       wish = "none"
	wishQuarantine wish = "quarantine"
	wishReject     wish = "reject"
)

// policy is what a domain published.
type policy struct {
	author smtp.Domain
	silent bool // the DNS had no answer
	ended  bool // nothing is to be looked for further up
	there  bool
	wish   wish // of mail of this author
	strictDKIM,
	strictSPF bool
	percent int
}

// dmarcResult is what DMARC came to.
type dmarcResult struct {
	result string // pass, fail, none, temperror, permerror
	author smtp.Domain
	wish   wish // with fail: what is to be done, sampling included
	open   bool // with fail: it might have been a pass, with temperror a fail, but for the silence of the DNS
}

// authors gives the domains of From, each once. There should be one; where there are
// more, each is looked at (section 6.6.1).
func (i *Inspection) authors() []smtp.Domain {
	var all []smtp.Domain
	seen := map[smtp.Domain]bool{}
	for _, f := range i.fields.Get("from") {
		mailboxes, _ := header.Mailboxes(f.Text(), maxAuthors)
		for _, m := range mailboxes {
			if d := m.Domain; !seen[d] && !d.IsLiteral() && len(all) < maxAuthors {
				seen[d] = true
				all = append(all, d)
			}
		}
	}
	return all
}

// organization gives the domain that was registered, of which d is a part (section
// 3.2). A public suffix is its own.
func organization(d smtp.Domain) smtp.Domain {
	o, err := publicsuffix.EffectiveTLDPlusOne(string(d))
	if err != nil {
		return d
	}
	return smtp.Domain(o)
}

// discover finds the policy of an author's domain: its own, or that of its
// organization (section 6.6.3).
func (a *Adviser) discover(ctx context.Context, author smtp.Domain) policy {
	p := a.lookup(ctx, author, author)
	if org := organization(author); !p.ended && org != author {
		p = a.lookup(ctx, author, org)
	}
	return p
}

func (a *Adviser) lookup(ctx context.Context, author, at smtp.Domain) policy {
	p := policy{author: author}
	records, err := a.text(ctx, "_dmarc."+string(at))
	if err != nil {
		p.silent, p.ended = true, true
		return p
	}
	var own []string
	for _, r := range records {
		if strings.HasPrefix(r, "v=DMARC1") { // exactly, and first (section 6.3)
			own = append(own, r)
		}
	}
	p.ended = len(own) > 0 // be it good or not (section 6.6.3, 5 and 6)
	if len(own) == 1 {     // of several, none counts
		p.read(own[0], at != author)
	}
	return p
}

// read reads a record; below says that it is of a domain above the author's.
func (p *policy) read(record string, below bool) {
	tags, err := dkim.ParseTags([]byte(record))
	if err != nil || tags.Get("v") != "DMARC1" {
		return
	}
	of := func(tag string) wish { return wish(strings.ToLower(tags.Get(tag))) }
	p.wish = of("p")
	if below && tags.Has("sp") {
		p.wish = of("sp")
	}
	switch p.wish {
	case wishNone, wishQuarantine, wishReject:
	default:
		// Section 6.6.3, 6: who asks for reports means to have a policy.
		if !strings.Contains(tags.Get("rua"), ":") {
			return
		}
		p.wish = wishNone
	}
	p.there = true
	p.strictDKIM = strings.EqualFold(tags.Get("adkim"), "s")
	p.strictSPF = strings.EqualFold(tags.Get("aspf"), "s")
	p.percent = 100
	if n, err := strconv.Atoi(tags.Get("pct")); err == nil && n >= 0 && n <= 100 {
		p.percent = n
	}
}

// aligned reports that d may speak for the author (section 3.1).
func aligned(d, author smtp.Domain, strict bool) bool {
	return d == author || !strict && d != "" && organization(d) == organization(author)
}

// align joins what SPF and DKIM found with the policies of the authors; of several
// authors the one that is worst off counts.
func (i *Inspection) align(policies []policy) dmarcResult {
	worst := dmarcResult{result: "permerror"} // nobody can tell who the author is
	for n, p := range policies {
		if r := i.judge(p); n == 0 || r.rank() > worst.rank() {
			worst = r
		}
	}
	return worst
}

// rank orders results by how bad they are.
func (r dmarcResult) rank() int {
	switch {
	case r.result == "fail" && r.wish == wishReject:
		return 5
	case r.result == "fail" && r.wish == wishQuarantine:
		return 4
	case r.result == "temperror":
		return 3
	case r.result == "fail":
		return 2
	case r.result == "none":
		return 1
	}
	return 0
}

// proven reports that whatever the author's domain has published, its mail does not
// fail: SPF or DKIM has passed for that very domain.
func (i *Inspection) proven(author smtp.Domain) bool {
	f := &i.found
	return f.spf.Result == spf.Pass && f.spf.Domain == author ||
		slices.ContainsFunc(f.dkim, func(s signature) bool { return resultOf(s.err) == dkim.Pass && s.claim.Domain == author })
}

// judge looks at one author.
func (i *Inspection) judge(p policy) dmarcResult {
	r := dmarcResult{result: "fail", author: p.author, wish: p.wish}
	switch {
	case p.silent:
		r.result, r.open = "temperror", !i.proven(p.author)
		return r
	case !p.there:
		r.result = "none"
		return r
	}
	f := &i.found
	if aligned(f.spf.Domain, p.author, p.strictSPF) {
		switch f.spf.Result {
		case spf.Pass:
			r.result = "pass"
		case spf.TempError:
			r.open = true
		}
	}
	for _, s := range f.dkim {
		if !aligned(s.claim.Domain, p.author, p.strictDKIM) {
			continue
		}
		switch resultOf(s.err) {
		case dkim.Pass:
			r.result = "pass"
		case dkim.TempError:
			r.open = true
		}
	}
	if r.result == "pass" {
		return r
	}
	if p.percent < 100 && i.adviser.deps.Percent() >= p.percent { // section 6.6.4
		switch r.wish {
		case wishReject:
			r.wish = wishQuarantine
		case wishQuarantine:
			r.wish = wishNone
		}
	}
	return r
}
