package suppress

import (
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"tenma/relay/mail"
)

// byDNS is the provider of failures that no mail host said, but the DNS: a
// resolver that knows no names at all is a storm, too.
const byDNS = "dns"

// byReport is the provider of what comes back later. Reports name machines of all
// kinds on the way, so they are compared with all mail that was delivered.
const byReport = "returned"

// maxProviders bounds the memory of which lane is whose.
const maxProviders = 1 << 14

// Listen gives a Recorder in front of another. It hears from the events of our own
// mail who refuses recipients for good, and what a provider's normal share of
// such failures is. It writes nothing and waits for nothing.
func (l *List) Listen(to Recorder) Recorder { return ear{l, to} }

type ear struct {
	list *List
	to   Recorder
}

// Record takes an event.
func (x ear) Record(e *mail.Event) {
	x.to.Record(e) // first: promise 5 of package relay
	x.list.hear(e)
}

func (l *List) hear(e *mail.Event) {
	if e.Kind != mail.EventDelivery && e.Kind != mail.EventBounce || e.Recipient < 0 || !l.learns(e.Envelope) {
		return
	}
	if slices.Contains(l.config.Load().Own, e.Envelope.Recipients[e.Recipient].Address.Domain) {
		return
	}
	if e.Kind == mail.EventDelivery {
		l.delivered(e)
		return
	}
	d := &e.Outcome.Diagnosis
	hard := d.Severity == mail.Hard || d.Severity == mail.Admin
	// What we say ourselves (no route, a loop) is about us, but for a domain that is
	// not there or takes no mail (RFC 3463 section 3.2: X.1.x is about the address).
	said := e.Outcome.Host != "" || e.Outcome.Command == "DNS" && e.Outcome.Reply.Status[1] == 1
	if !hard || !said || strings.HasPrefix(d.Rule, rulePrefix) {
		return
	}
	l.failed(e)
}

// learns reports mail whose failures make entries. That of people who write from
// a mail program does not unless it has a tenant: whoever is told "no such user"
// sets the address up and writes again.
func (l *List) learns(env *mail.Envelope) bool {
	switch l.config.Load().Automatic {
	case AutomaticOff:
		return false
	case AutomaticTenants:
		return env.Tenant != "" && concerns(env)
	}
	return concerns(env) && (env.Tenant != "" || !env.Submission)
}

func (l *List) delivered(e *mail.Event) {
	stream := e.Envelope.Tenant
	if stream == "" {
		stream = "@" + string(e.Envelope.Sender.Domain)
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.guard.Sent(l.provider(e.Lane), stream, now)
	l.guard.Sent(byDNS, stream, now)
	l.guard.Sent(byReport, stream, now)
}

func (l *List) failed(e *mail.Event) {
	provider := byDNS
	if e.Outcome.Command != "DNS" {
		l.mu.Lock()
		provider = l.provider(e.Lane)
		l.mu.Unlock()
	}
	env := e.Envelope
	n, err := l.note(Fact{
		Recipient: env.Recipients[e.Recipient].Address, Tenant: env.Tenant, Reason: HardBounce,
		Rule: e.Outcome.Diagnosis.Rule, Detail: e.Outcome.Reply.String(), Message: e.ID.String(), Provider: provider, Sender: env.Sender.Domain,
	}, time.Now())
	if err != nil {
		return // a tenant that no list can name
	}
	if !l.inbox.put(n) {
		l.metrics.Lost.Inc() // it is learned again with the next mail
		return
	}
	l.inbox.signal(l.inbox.wake)
}

// provider gives the party behind a lane: the domain that somebody registered for
// its hosts. Thousands of sites are one provider's, and an outage is the
// provider's. mu is held.
func (l *List) provider(lane mail.Lane) string {
	p, ok := l.providers[lane]
	if !ok {
		if len(l.providers) >= maxProviders {
			clear(l.providers)
		}
		p = Provider(lane)
		l.providers[lane] = p
	}
	return p
}

// Provider gives the registered domain of the first host of a lane
// ("default->mx1.example.net,mx2.example.net" is example.net's), or the host as it
// is.
func Provider(lane mail.Lane) string {
	_, host, _ := strings.Cut(string(lane), "->")
	if strings.HasPrefix(host, "[") { // an address literal
		host, _, _ = strings.Cut(host, "]")
		return strings.TrimPrefix(host, "[")
	}
	if i := strings.IndexAny(host, ",+:"); i >= 0 {
		host = host[:i]
	}
	if d, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return d
	}
	return host
}
