package dnscheck

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"blitiri.com.ar/go/spf"
)

// Limits of an evaluation (RFC 7208 section 4.6.4).
const (
	maxLookups = 10
	maxVoid    = 2
	// patience ends the count of a record that has far too many.
	patience = 50
)

const spfVersion = "v=spf1"

// spf checks the record that receivers ask for the domain of the sender.
func (c *checker) spf(name string) {
	records, ok := c.texts("SPF", name, spfVersion)
	if !ok {
		return
	}
	want := c.wantedSPF()
	switch len(records) {
	case 0:
		c.add("SPF", name, Missing, nil, "without it receivers cannot tell who may send for the domain; many take no mail from it", want, "publish it; add your other senders first")
		return
	case 1:
	default:
		c.add("SPF", name, Wrong, records, "there must be one record; with several SPF fails for all (RFC 7208 section 4.5)", "", "make one record of them")
		return
	}
	w := &spfWalk{checker: c, seen: map[string]bool{}}
	w.record(name, records[0], true)
	problems := w.problems()
	for _, p := range problems {
		c.add("SPF", name, p.verdict, records, p.why, "", p.do)
	}
	for _, a := range c.Sources {
		if v, why := c.judged(a, name); v != OK {
			problems = append(problems, problem{})
			c.add("SPF", name, v, records, why, "", fmt.Sprintf("add %s, before \"all\"", term(a)))
		}
	}
	if len(problems) == 0 {
		c.add("SPF", name, OK, records, "", "", "")
	}
}

func term(a netip.Addr) string {
	if a.Is4() {
		return "ip4:" + a.String()
	}
	return "ip6:" + a.String()
}

func (c *checker) wantedSPF() string {
	terms := []string{spfVersion}
	if c.MX != "" {
		terms = append(terms, "mx")
	}
	for _, a := range c.Sources {
		terms = append(terms, term(a))
	}
	return strings.Join(append(terms, "-all"), " ")
}

// judged says what SPF makes of mail from an address.
func (c *checker) judged(a netip.Addr, name string) (v Verdict, why string) {
	r, err := spf.CheckHostWithSender(a.AsSlice(), c.EHLO, "postmaster@"+name, spf.WithContext(c.ctx), spf.WithResolver(plain{c.dns}))
	switch r {
	case spf.Pass:
		return OK, ""
	case spf.TempError:
		return Unknown, fmt.Sprintf("for mail from %s the DNS gives no answer: %v", a, err)
	case spf.PermError:
		return Wrong, fmt.Sprintf("for mail from %s receivers get an error: %v", a, err)
	}
	return Wrong, fmt.Sprintf("mail from %s, which is ours, gets %q", a, r)
}

// ehloSPF checks the record for the relay's own name, which receivers ask where
// the sender is null: our DSNs (RFC 7208 section 2.3).
func (c *checker) ehloSPF() {
	if c.EHLO == "" || strings.EqualFold(c.EHLO, string(c.Domain)) || len(c.Sources) == 0 {
		return
	}
	records, ok := c.texts("SPF", c.EHLO, spfVersion)
	if !ok {
		return
	}
	const want = "v=spf1 a -all"
	if len(records) == 0 {
		c.add("SPF", c.EHLO, Advice, nil, "notices of failure have no sender, so that receivers look for a record of the relay's name", want, "publish it")
		return
	}
	for _, a := range c.Sources {
		if v, why := c.judged(a, c.EHLO); v != OK {
			c.add("SPF", c.EHLO, v, records, "for notices of failure, which have no sender: "+why, want, "publish this")
			return
		}
	}
	c.add("SPF", c.EHLO, OK, records, "", "", "")
}

// plain is a Resolver in the manner of package net.
type plain struct{ dns Resolver }

// noAnswer makes an error of package net, by which empty answers are known.
func noAnswer(name string, err error) error {
	return &net.DNSError{Err: err.Error(), Name: name, IsNotFound: none(err), IsTemporary: !none(err)}
}

// LookupTXT is as net.Resolver has it; so are the others.
func (p plain) LookupTXT(ctx context.Context, name string) ([]string, error) {
	a, err := p.dns.LookupTXT(ctx, name)
	if err != nil {
		return nil, noAnswer(name, err)
	}
	return a.Records, nil
}

func (p plain) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	a, err := p.dns.LookupMX(ctx, name)
	if err != nil {
		return nil, noAnswer(name, err)
	}
	var all []*net.MX
	for _, m := range a.Records {
		all = append(all, &net.MX{Host: m.Host + ".", Pref: m.Pref})
	}
	return all, nil
}

func (p plain) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	a, err := p.dns.LookupAddrs(ctx, host)
	if err != nil {
		return nil, noAnswer(host, err)
	}
	var all []net.IPAddr
	for _, ip := range a.Records {
		all = append(all, net.IPAddr{IP: ip.Unmap().AsSlice()})
	}
	return all, nil
}

func (p plain) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return nil, err
	}
	a, err := p.dns.LookupPTR(ctx, ip)
	if err != nil {
		return nil, noAnswer(addr, err)
	}
	var all []string
	for _, n := range a.Records {
		all = append(all, n+".")
	}
	return all, nil
}

type problem struct {
	verdict Verdict
	why, do string
}

// spfWalk counts what a record costs and notes what is wrong in it. It goes
// through every include, whether an evaluation would come that far or not: which
// address is asked about is the receivers' affair.
type spfWalk struct {
	*checker
	seen    map[string]bool // records that were walked
	lookups int
	costs   []string // what the terms of the first record cost
	void    []string
	wrong   []problem
}

func (w *spfWalk) note(v Verdict, why, do string) {
	if p := (problem{v, why, do}); !slices.Contains(w.wrong, p) {
		w.wrong = append(w.wrong, p)
	}
}

func (w *spfWalk) problems() []problem {
	if w.lookups > maxLookups {
		many := fmt.Sprint(w.lookups)
		if w.lookups >= patience {
			many = "50 or more"
		}
		w.note(Wrong, fmt.Sprintf("it takes %s lookups (%s), more than %d: SPF fails for all (RFC 7208 section 4.6.4)", many, strings.Join(w.costs, ", "), maxLookups), "take out includes that you do not need, or write their addresses as ip4: and ip6:")
	}
	if len(w.void) > maxVoid {
		w.note(Wrong, fmt.Sprintf("%d lookups find nothing (%s), more than %d: SPF fails for all (RFC 7208 section 4.6.4)", len(w.void), strings.Join(w.void, ", "), maxVoid), "take them out")
	} else {
		for _, v := range w.void {
			w.note(Advice, v+" finds nothing", "take it out")
		}
	}
	return w.wrong
}

// record walks one record; top is that of the domain itself.
func (w *spfWalk) record(name, text string, top bool) {
	if w.seen[name] || w.lookups >= patience {
		if w.seen[name] {
			w.note(Wrong, name+" is included by itself: SPF fails for all", "take the include out")
		}
		return
	}
	w.seen[name] = true
	defer delete(w.seen, name)
	terms, all, redirect := strings.Fields(text)[1:], "", ""
	for _, t := range terms {
		if all != "" && top && !strings.Contains(t, "=") {
			w.note(Advice, t+" stands behind \"all\" and is never looked at", "move it before \"all\"")
		}
		before := w.lookups
		switch {
		case strings.HasPrefix(strings.ToLower(t), "redirect="):
			redirect = t[len("redirect="):]
		case strings.EqualFold(strings.TrimLeft(t, "+-~?"), "all"):
			all = t
		default:
			w.term(name, t)
		}
		if n := w.lookups - before; top && n > 0 {
			w.costs = append(w.costs, fmt.Sprintf("%s %d", t, n))
		}
	}
	if redirect != "" && all == "" {
		before := w.lookups
		w.include(redirect, "redirect="+redirect)
		if top {
			w.costs = append(w.costs, fmt.Sprintf("redirect=%s %d", redirect, w.lookups-before))
		}
		return
	}
	if !top {
		return
	}
	switch strings.ToLower(all) {
	case "":
		w.note(Advice, "it does not end with \"all\": who is not named is neither allowed nor forbidden", "end it with ~all or -all")
	case "all", "+all":
		w.note(Wrong, all+" lets everybody send as the domain: receivers take it for a spammer's", "end it with -all, or with ~all until all your senders are named")
	case "?all":
		w.note(Advice, "?all says nothing about who is not named", "end it with ~all or -all")
	}
}

// term walks one mechanism or modifier (RFC 7208 sections 5 and 6).
func (w *spfWalk) term(name, t string) {
	m := strings.TrimLeft(t, "+-~?")
	if key, _, ok := strings.Cut(m, "="); ok && !strings.ContainsAny(key, ":/") {
		return // exp= and unknown modifiers cost nothing
	}
	kind, arg, has := m, "", false
	if i := strings.IndexAny(m, ":/"); i >= 0 {
		kind, arg, has = m[:i], strings.TrimPrefix(m[i:], ":"), true
	}
	if len(m) < len(t)-1 {
		w.note(Wrong, fmt.Sprintf("%q has more than one sign", t), "give it one of + - ~ ?")
	}
	switch strings.ToLower(kind) {
	case "ip4", "ip6":
		w.network(t, strings.ToLower(kind), arg)
	case "a", "mx":
		w.lookups++
		host, _, _ := strings.Cut(arg, "/")
		if host == "" {
			host = name
		}
		w.hosts(t, strings.ToLower(kind), host)
	case "include":
		w.include(arg, t)
	case "exists":
		w.lookups++
		if !has {
			w.malformed(t)
		}
	case "ptr":
		w.lookups++
		w.note(Advice, "ptr is slow and not to be used (RFC 7208 section 5.5); some receivers pass it over", "name the addresses instead")
	default:
		w.malformed(t)
	}
}

func (w *spfWalk) malformed(t string) {
	w.note(Wrong, fmt.Sprintf("%q cannot be read: SPF fails for all", t), "correct it, or take it out")
}

// network checks ip4: and ip6:.
func (w *spfWalk) network(t, kind, arg string) {
	p, err := netip.ParsePrefix(arg)
	if err != nil {
		var a netip.Addr
		if a, err = netip.ParseAddr(arg); err == nil {
			p = netip.PrefixFrom(a, a.BitLen())
		}
	}
	switch {
	case err != nil || p.Addr().Is4() != (kind == "ip4") || p.Addr().Zone() != "":
		w.note(Wrong, fmt.Sprintf("%q: an address must follow, not a name: SPF fails for all", t), "write the address, or a:NAME for a name")
	case kind == "ip4" && p.Bits() < 8, kind == "ip6" && p.Bits() < 16:
		w.note(Wrong, t+" lets a large part of the world send as the domain", "name your own networks")
	}
}

// hosts looks up what a and mx name.
func (w *spfWalk) hosts(t, kind, host string) {
	if strings.Contains(host, "%") {
		return // depends on the message
	}
	if kind == "a" {
		if _, err := w.dns.LookupAddrs(w.ctx, host); err != nil && none(err) {
			w.void = append(w.void, t)
		}
		return
	}
	a, err := w.dns.LookupMX(w.ctx, host)
	switch {
	case err != nil && none(err):
		w.void = append(w.void, t)
	case len(a.Records) > maxLookups:
		w.note(Wrong, fmt.Sprintf("%s leads to %d hosts, more than %d: SPF fails for all (RFC 7208 section 4.6.4)", t, len(a.Records), maxLookups), "name their addresses instead")
	}
}

// include walks the record of another domain, for include: and redirect=.
func (w *spfWalk) include(other, t string) {
	w.lookups++
	if other == "" {
		w.malformed(t)
		return
	}
	if strings.Contains(other, "%") {
		return
	}
	other = strings.ToLower(strings.TrimSuffix(other, "."))
	a, err := w.dns.LookupTXT(w.ctx, other)
	if err != nil && !none(err) {
		w.note(Unknown, fmt.Sprintf("%s: the DNS gives no answer", t), "ask again later")
		return
	}
	var own []string
	for _, r := range a.Records {
		if f := strings.Fields(r); len(f) > 0 && strings.EqualFold(f[0], spfVersion) {
			own = append(own, r)
		}
	}
	switch len(own) {
	case 1:
		w.record(other, own[0], false)
	case 0:
		w.note(Wrong, fmt.Sprintf("%s: %s has no SPF record: SPF fails for all (RFC 7208 section 5.2)", t, other), "take it out")
	default:
		w.note(Wrong, fmt.Sprintf("%s: %s has several SPF records: SPF fails for all", t, other), "take it out, or tell its owner")
	}
}
