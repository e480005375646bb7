package tlsrpt

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tenma/relay/mail"
	"tenma/relay/wire/smtp"
	"tenma/relay/wire/tlsrpt"
)

const (
	// maxPolicies is how many policies of one domain are told apart within a day:
	// a set of TLSA records for each host, and what was changed. Sessions under
	// more are counted by the kind of policy alone.
	maxPolicies = 16
	// maxFailures is how many ways to fail are told apart under one policy.
	// Sessions that fail in more are counted by the type of failure alone.
	maxFailures = 64
	// maxText is the most octets of a policy that a report repeats.
	maxText = 4096
	// maxReason is the most octets of what was wrong in our own words.
	maxReason = 200
	// entryCost is what an entry is taken to need besides its texts, in octets.
	entryCost = 256
)

// wish is whether a domain wants reports.
type wish uint8

const (
	unasked wish = iota
	wanted
	unwanted
)

// account is what became of the sessions of one domain on one day.
type account struct {
	domain   smtp.Domain
	day      time.Time // its begin, 00:00 UTC
	wish     wish
	ask      time.Time // when to find out, while unasked
	policies map[policyKey]*policyCount
	octets   int // about what it holds

	// When the day is over:
	due   time.Time // when to tell, or to try again
	since time.Time // when it was first tried
	tries int
	done  []string // places that have the report, or do not want it
	sent  bool     // one of them has it
}

// policyKey tells policies apart. With empty texts it stands for all that are not.
type policyKey struct {
	Type tlsrpt.Policy
	Text string // lines, ended by LF but for the last
	Host string // that TLSA records are of
}

// policyCount counts the sessions under one policy.
type policyCount struct {
	good, bad uint64
	failures  map[failureKey]uint64
}

// failureKey tells ways to fail apart. With a Result alone it stands for all that
// are not.
type failureKey struct {
	Result string
	From   netip.Addr
	Host   string
	To     netip.Addr
	Reason string
}

// add counts a session. room says whether so many octets more may be held.
func (a *account) add(r *mail.TLSResult, room func(octets int) bool) {
	p := a.policy(keyOf(r), room)
	if r.Fault == tlsrpt.FaultNone {
		p.good++
		return
	}
	p.bad++
	if p.failures == nil {
		p.failures = map[failureKey]uint64{}
	}
	k := failureOf(r)
	if _, known := p.failures[k]; !known {
		cost := entryCost + len(k.Host) + len(k.Reason)
		if len(p.failures) >= maxFailures || !room(cost) {
			k, cost = failureKey{Result: k.Result}, 0 // as many as there are results
		}
		a.octets += cost
	}
	p.failures[k]++
}

func (a *account) policy(k policyKey, room func(octets int) bool) *policyCount {
	if p := a.policies[k]; p != nil {
		return p
	}
	cost := entryCost + len(k.Text) + len(k.Host)
	if len(a.policies) >= maxPolicies || !room(cost) {
		k, cost = policyKey{Type: k.Type}, 0 // as many as there are types
		if p := a.policies[k]; p != nil {
			return p
		}
	}
	if a.policies == nil {
		a.policies = map[policyKey]*policyCount{}
	}
	p := &policyCount{}
	a.policies[k] = p
	a.octets += cost
	return p
}

func keyOf(r *mail.TLSResult) policyKey {
	k := policyKey{Type: r.Policy}
	switch {
	case r.Policy == tlsrpt.PolicySTS && r.STS != nil:
		k.Text = clip(strings.TrimSuffix(r.STS.String(), "\n"))
	case r.Policy == tlsrpt.PolicyDANE:
		k.Host = r.Host
		if r.DANE != nil {
			k.Text = clip(strings.Join(r.DANE.Strings(), "\n"))
		}
	}
	return k
}

// clip leaves whole lines.
func clip(text string) string {
	if len(text) <= maxText {
		return text
	}
	return text[:max(strings.LastIndexByte(text[:maxText], '\n'), 0)]
}

func failureOf(r *mail.TLSResult) failureKey {
	result, reason := r.Fault.Result()
	if reason == "" {
		text := particulars(r)
		reason = strings.ToValidUTF8(text[:min(len(text), maxReason)], "")
	}
	return failureKey{Result: result, From: r.Local, Host: r.Host, To: r.Peer.Addr(), Reason: reason}
}

// particulars gives what a stranger may know of our own words for a fault: what is
// about its certificates and policies, but no address of our resolver or network.
func particulars(r *mail.TLSResult) string {
	switch r.Fault {
	case tlsrpt.FaultName, tlsrpt.FaultExpired, tlsrpt.FaultUntrusted, tlsrpt.FaultTLSA, tlsrpt.FaultPolicy, tlsrpt.FaultFetchWebPKI:
		return r.Detail
	case tlsrpt.FaultOther:
		if _, alert, ok := strings.Cut(r.Detail, "tls: "); ok {
			return "tls: " + alert
		}
	}
	return ""
}

// report gives the policies in the words of a report, always in the same order.
func (a *account) report() []tlsrpt.PolicySummary {
	var all []tlsrpt.PolicySummary
	for _, k := range slices.SortedFunc(maps.Keys(a.policies), comparePolicies) {
		p := a.policies[k]
		s := tlsrpt.PolicySummary{
			Policy:  tlsrpt.PolicyWords{Type: k.Type.String(), Domain: string(a.domain)},
			Summary: tlsrpt.Summary{Good: p.good, Bad: p.bad},
		}
		if k.Text != "" {
			s.Policy.Text = strings.Split(k.Text, "\n")
		}
		switch {
		case k.Host != "":
			s.Policy.Hosts = []string{k.Host}
		case k.Type == tlsrpt.PolicySTS:
			for _, line := range s.Policy.Text {
				if pattern, ok := strings.CutPrefix(line, "mx: "); ok {
					s.Policy.Hosts = append(s.Policy.Hosts, pattern)
				}
			}
		}
		for _, f := range slices.SortedFunc(maps.Keys(p.failures), compareFailures) {
			s.Failures = append(s.Failures, tlsrpt.Failure{
				Result: f.Result, From: f.From, Host: f.Host, To: f.To, Count: p.failures[f], Reason: f.Reason,
			})
		}
		all = append(all, s)
	}
	return all
}

func comparePolicies(a, b policyKey) int {
	return cmp.Or(-cmp.Compare(a.Type, b.Type), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Text, b.Text))
}

func compareFailures(a, b failureKey) int {
	return cmp.Or(cmp.Compare(a.Result, b.Result), cmp.Compare(a.Host, b.Host), a.To.Compare(b.To), a.From.Compare(b.From), cmp.Compare(a.Reason, b.Reason))
}
