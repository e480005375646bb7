package route

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"tenma/dnscache"
	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
)

// Explanation is how the adviser came to what it says of a domain. It is made by
// the code that routes mail, not beside it.
type Explanation struct {
	// Rule is the number of the [[route]] that decides, from 1 in the order of the
	// configuration, and Pattern its domain; 0 and "" if none does.
	Rule    int
	Pattern string
	Here    bool // mailboxes of the domain are here
	Returns bool // mail about our mail comes to it
	Literal bool // the domain is an address

	Asked     bool          // for MX records
	Records   []Record      // that came, lowest preference first
	TTL       time.Duration // of the answer, that is left
	Secure    bool          // it was validated (DNSSEC), by a resolver that we believe
	Canonical string        // the name at which a chain of aliases ended, "" for none
	Implicit  bool          // there is no MX record: the domain is its own mail exchanger
	Err       error         // of the lookup

	Route   mail.Route
	Outcome *mail.Outcome // why there is no route; nil: there is
}

// Record is an MX record and what became of it.
type Record struct {
	Host string
	Pref uint16
	Used bool
	Why  string // it is not used
}

// Explain finds the route of a domain as Route does, and tells how. It asks the
// DNS, or its cache, even where Route would still know the answer.
func (a *Adviser) Explain(ctx context.Context, d smtp.Domain) Explanation {
	t := a.table.Load()
	x := Explanation{}
	switch i := t.rule(d); {
	case d == t.returns && d != "":
		x.Returns = true
	case i < t.all:
		x.Rule, x.Pattern = i+1, t.rules[i].Domain
	case d == "" || t.local[d]:
		x.Here = true
	case i < len(t.rules):
		x.Rule, x.Pattern = i+1, t.rules[i].Domain
	default:
		x.Literal = d.IsLiteral()
	}
	p := t.plan(d)
	v := t.resolve(ctx, a.dns, d, p, &x)
	if v.outcome == nil {
		a.policy(ctx, d, p, &v)
	}
	x.Route, x.Outcome = v.route, v.outcome
	slices.SortStableFunc(x.Records, func(a, b Record) int {
		return cmp.Or(cmp.Compare(a.Pref, b.Pref), strings.Compare(a.Host, b.Host))
	})
	return x
}

// asked notes the answer about MX records.
func (x *Explanation) asked(mx dnscache.Answer[dnscache.MX], err error) {
	if x != nil {
		x.Asked, x.TTL, x.Secure, x.Canonical, x.Err = true, mx.TTL, mx.Secure, mx.Canonical, err
	}
}

func (x *Explanation) implicit() {
	if x != nil {
		x.Implicit = true
	}
}

// drop notes a record that is not used.
func (x *Explanation) drop(mx dnscache.MX, why string) {
	if x != nil {
		x.Records = append(x.Records, Record{mx.Host, mx.Pref, false, why})
	}
}

// kept notes the hosts, of which the first n are used.
func (x *Explanation) kept(t *table, hosts []mail.Host, n int) {
	if x == nil {
		return
	}
	for i, h := range hosts {
		r := Record{Host: h.Name, Pref: h.Pref, Used: i < n}
		switch {
		case r.Used:
		case t.isOwnName(h.Name) || h.Addr.IsValid() && t.isOwn(h.Addr):
			r.Why = "this relay itself"
		default:
			r.Why = "no better than this relay's own preference: it would send the mail back (RFC 5321 section 5.1)"
		}
		x.Records = append(x.Records, r)
	}
}
