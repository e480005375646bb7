package relay

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tenma/relay/admin"
	"tenma/relay/mail"
	"tenma/relay/policy/dkim"
	"tenma/relay/policy/tenant"
	"tenma/relay/queue/settings"
	"tenma/relay/wire/smtp"
)

// tellSource tells who we are to the next hop.
func (x *explainer) tellSource(ctx context.Context, a *account) {
	s := a.route.Route.Source
	a.Source = admin.ExplainedSource{Name: s.Name, EHLO: s.EHLO, Addresses: []admin.ReversedPTR{}}
	a.tell("source", s.Name+", which says EHLO "+s.EHLO, "its addresses are the system's choice, where it is bound to none")
	if a.Kind != "mx" {
		return
	}
	for _, p := range reversed(ctx, x.dns, x.outbound, s) {
		a.Source.Addresses = append(a.Source.Addresses, p)
		found := p.Address + " is " + strings.Join(p.Names, ", ")
		if len(p.Names) == 0 {
			found = p.Address + " has no name"
		}
		why := p.Note
		if why == "" {
			why = "the name leads back to the address, as receivers want it"
		}
		a.tell("ptr", found, why)
	}
}

// exampleRTT is the round trip for which a ceiling is told: a host of the same
// continent.
const exampleRTT = 50 * time.Millisecond

// tellLimits tells the limits in force and what they come to.
func (x *explainer) tellLimits(a *account) {
	d, q := &x.config.Delivery, x.config.Queue.Complete()
	for _, l := range []struct {
		key   string
		value int
		means string
	}{
		{"lane_connections", cmp.Or(d.LaneConnections, q.LaneConnections), "connections of the lane at a time"},
		{"connection_messages", cmp.Or(d.ConnectionMessages, 100), "messages on one connection, then another one"},
		{"batch_recipients", cmp.Or(d.BatchRecipients, 100), "recipients in one transaction; a host may take fewer (452)"},
		{"lane_ready", q.LaneReady, "messages of the lane held ready"},
	} {
		one := admin.ExplainedLimit{Setting: "delivery." + l.key, Value: strconv.Itoa(l.value), Means: l.means}
		a.Limits = append(a.Limits, one)
		a.tell("limit", one.Setting+" = "+one.Value, l.means)
	}
	n := cmp.Or(d.LaneConnections, q.LaneConnections)
	a.tell("ceiling", fmt.Sprintf("%d messages a second, at a round trip of %s", n*int(time.Second/exampleRTT), exampleRTT), "no rate is limited, so that lane_connections binds: a connection carries one message in each round trip, and the host takes its time besides")
}

// tellRetry tells when the mail would be tried again, and for how long.
func (x *explainer) tellRetry(a *account) {
	q := x.config.Queue.Complete()
	for _, wait := range q.Retry {
		a.Retry = append(a.Retry, short(wait))
	}
	a.Expire = short(q.Expire)
	if a.Fate == "fail" || a.Fate == "discard" {
		return
	}
	why := fmt.Sprintf("waits between attempts, spread by %.0f %%; the last repeats. A host that states a wait gets it", 100*q.Jitter)
	a.tell("retry", "after "+strings.Join(a.Retry, ", "), why)
	notice := "no notice of a delay before that"
	if q.DelayNotice > 0 {
		notice = "a notice of the delay after " + short(q.DelayNotice)
	}
	a.tell("expire", "after "+a.Expire, "the sender is told then; "+notice)
}

// tellQueue tells what waits in the lane now.
func (x *explainer) tellQueue(ctx context.Context, a *account) {
	l := x.lane(ctx, mail.Lane(a.Lane))
	if l == nil {
		a.tell("queue", "empty", "nothing waits in this lane")
		return
	}
	a.Queue = l
	why := "the lane works"
	if l.NextProbe != nil {
		why = fmt.Sprintf("the lane rests: %d attempts in a row opened no session, so that one message at a time is tried", settings.RestAfter)
	}
	if l.LastReply != "" {
		why += "; last reply: " + l.LastReply
	}
	a.tell("queue", fmt.Sprintf("%d running, %d ready, %d deferred", l.Running, l.Ready, l.Deferred), why)
}

// tellTenant tells as whom the tenant of the mail may send, and what of that is
// signed. Its error says that there is no such tenant.
func (x *explainer) tellTenant(a *account, name string) error {
	if name == "" {
		return nil
	}
	t, ok := tenant.New(x.config.Tenants).Get(strings.ToLower(name))
	if !ok {
		return fmt.Errorf("%s is no tenant of this relay", name)
	}
	a.Tenant = t.Name
	who := "no account is its own"
	if len(t.Accounts) > 0 {
		who = "it is " + strings.Join(t.Accounts, ", ")
	}
	a.tell("tenant", t.Name, who+"; clients name it in "+tenant.Field+" where a listener trusts that")
	for _, d := range t.Domains {
		signed := "unsigned: no [[dkim]] is for it"
		if by := dkim.Signs(x.signers(), x.config.DKIM.Granted, t.Name, d); by != "" {
			signed = "signed as " + string(by)
		}
		a.tell("sender", string(d), "the tenant may send as any address of it and below it; "+signed)
	}
	return nil
}

// signers gives the domains that have keys, each once.
func (x *explainer) signers() []smtp.Domain {
	var all []smtp.Domain
	for _, k := range x.config.DKIM.Keys {
		all = append(all, k.Domain)
	}
	for _, d := range x.config.Rotation.Domains {
		all = append(all, d.Name)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// tellSigned tells which authors' mail bears a signature that DMARC counts, where it
// is of no tenant.
func (x *explainer) tellSigned(a *account) {
	const most = 10
	var own []string
	held := x.signers()
	for _, d := range held {
		if dkim.Signs(held, x.config.DKIM.Granted, "", d) == d {
			own = append(own, string(d))
		}
	}
	more := ""
	if len(own) > most {
		own, more = own[:most], fmt.Sprintf(" and %d more", len(own)-most)
	}
	switch {
	case len(held) == 0:
		a.tell("signed", "nothing", "there is no [[dkim]], and large receivers take no bulk mail without a signature of From's domain: \"tenma dkim new DOMAIN\"")
	case len(own) == 0:
		a.tell("signed", "nothing of senders without a tenant", "every domain that has a key is some tenant's: --tenant NAME tells what of its mail is signed")
	default:
		a.tell("signed", "From of "+strings.Join(own, ", ")+more, "and of domains below; with another From no signature is of its domain, so that DMARC passes by SPF alone")
	}
}
