package dnscheck

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"tenma/relay/admin/setup"
	"tenma/relay/wire/smtp"
)

// sources checks each address that mail goes out from: its name, whether the name
// leads back (what Gmail and others demand), and whether the EHLO name does (RFC
// 5321 section 4.1.4).
func (c *checker) sources() {
	if d, err := smtp.ParseDomain(c.EHLO); err != nil || d.IsLiteral() || !strings.Contains(c.EHLO, ".") {
		c.add("EHLO", c.EHLO, Wrong, nil, "the relay names itself with what is no name in the DNS", "", "set hostname in the configuration to a name that leads to this machine")
		return
	}
	if len(c.Sources) == 0 {
		c.add("PTR", c.EHLO, Advice, nil, "it is not known which public address mail goes out from", "", "give it: --address 192.0.2.1")
	}
	_, err := c.dns.LookupAddrs(c.ctx, c.EHLO)
	deaf := c.silent("EHLO", c.EHLO, err)
	at := c.addresses(c.EHLO)
	for _, a := range c.Sources {
		c.reverse(a)
		if !deaf && !slices.Contains(at, a.String()) {
			c.add("EHLO", c.EHLO, Wrong, at, fmt.Sprintf("the relay says this name from %s, where it does not lead", a), recordFor(a), "add this address record")
		}
	}
	if len(c.Sources) > 0 && !slices.ContainsFunc(c.all, func(f Finding) bool { return f.Subject == "EHLO" }) {
		c.add("EHLO", c.EHLO, OK, at, "", "", "")
	}
}

// reverse checks the PTR record of one address.
func (c *checker) reverse(a netip.Addr) {
	answer, err := c.dns.LookupPTR(c.ctx, a)
	name := setup.Reverse(a)
	if c.silent("PTR", name, err) {
		return
	}
	names, want := answer.Records, "PTR "+c.EHLO+"."
	const ask = "whoever gave you the address sets it"
	for _, n := range names {
		if _, err := c.dns.LookupAddrs(c.ctx, n); c.silent("PTR", n, err) {
			return
		}
	}
	back := slices.IndexFunc(names, func(n string) bool { return slices.Contains(c.addresses(n), a.String()) })
	switch {
	case len(names) == 0:
		c.add("PTR", name, Missing, nil, fmt.Sprintf("%s has no name: many receivers refuse its mail", a), want, ask)
	case back < 0:
		c.add("PTR", name, Wrong, names, fmt.Sprintf("the name does not lead back to %s: many receivers refuse its mail", a), want, fmt.Sprintf("%s, or add %s to %s", ask, recordFor(a), names[0]))
	case !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, c.EHLO) }) && looksDynamic(names[back], a):
		c.add("PTR", name, Wrong, names, "the name looks like that of a line whose address changes, from which receivers take no mail", want, ask)
	case !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, c.EHLO) }):
		c.add("PTR", name, Advice, names, "the name is not the one that the relay says ("+c.EHLO+"), which careful receivers count against it", want, ask)
	default:
		c.add("PTR", name, OK, names, "", "", "")
	}
}

// looksDynamic reports a name that is made of the address, or says that it is a
// customer's line.
func looksDynamic(name string, a netip.Addr) bool {
	first, _, _ := strings.Cut(name, ".")
	for _, word := range strings.FieldsFunc(name, func(r rune) bool { return r == '.' || r == '-' || r >= '0' && r <= '9' }) {
		if slices.Contains([]string{"dyn", "dynamic", "dhcp", "dialup", "dsl", "adsl", "vdsl", "ppp", "pppoe", "pool", "cable", "dip"}, word) {
			return true
		}
	}
	if !a.Is4() {
		return false
	}
	b := a.As4()
	numbers := strings.FieldsFunc(first, func(r rune) bool { return r < '0' || r > '9' })
	last, before := fmt.Sprint(b[3]), fmt.Sprint(b[2])
	return slices.Contains(numbers, last) && slices.Contains(numbers, before) && len(numbers) >= 3
}

// exchangers checks the MX records of a domain and where they lead (RFC 5321
// section 5.1), and gives the hosts. ours is the host that must be among them, if
// any must.
func (c *checker) exchangers(d, ours string) (hosts []string) {
	answer, err := c.dns.LookupMX(c.ctx, d)
	if c.silent("MX", d, err) {
		return hosts
	}
	want := ""
	if ours != "" {
		want = "MX 10 " + ours + "."
	}
	var found []string
	null := 0
	for _, m := range answer.Records {
		found = append(found, fmt.Sprintf("%d %s.", m.Pref, m.Host))
		if m.Host == "" {
			null++
		} else {
			hosts = append(hosts, m.Host)
		}
	}
	switch {
	case len(found) == 0 && len(c.addresses(d)) > 0:
		c.add("MX", d, Advice, nil, "without MX records mail goes to the domain's own address (RFC 5321 section 5.1), most often a web server", want, "publish an MX record, or \"MX 0 .\" where no mail is taken (RFC 7505)")
		return []string{d}
	case len(found) == 0:
		c.add("MX", d, Missing, nil, "no mail can be sent to the domain; receivers refuse senders whom they cannot answer", want, "publish an MX record")
		return hosts
	case null > 0 && len(found) > 1:
		c.add("MX", d, Wrong, found, "\".\" says that the domain takes no mail, and must stand alone (RFC 7505 section 3)", want, "take one of them out")
		return hosts
	case null > 0 && ours != "":
		c.add("MX", d, Wrong, found, "\".\" says that the domain takes no mail, but its mail is for this relay", want, "publish this instead")
		return hosts
	case null > 0:
		c.add("MX", d, Advice, found, "the domain takes no mail (RFC 7505): receivers refuse senders whom they cannot answer", "", "publish an MX record for bounces and answers")
		return hosts
	}
	bad := false
	for _, host := range hosts {
		if _, err := c.dns.LookupAddrs(c.ctx, host); c.silent("MX", host, err) {
			bad = true
		} else if why, do := c.exchanger(host); why != "" {
			c.add("MX", host, Wrong, found, why, "", do)
			bad = true
		}
	}
	switch {
	case ours != "" && !slices.Contains(hosts, strings.ToLower(ours)):
		c.add("MX", d, Wrong, found, "the domain's mail is for this relay, and goes elsewhere", want, "publish this, or take the domain out of the configuration")
	case !bad:
		c.add("MX", d, OK, found, "", "", "")
	}
	return hosts
}

// exchanger says what is wrong with one mail host, "" if nothing is.
func (c *checker) exchanger(host string) (why, do string) {
	if _, err := netip.ParseAddr(host); err == nil {
		return "an MX record names a host, never an address (RFC 5321 section 5.1)", "give the address a name, and name that"
	}
	a, err := c.dns.LookupAddrs(c.ctx, host)
	switch {
	case err != nil:
		return "this mail host has no address: mail fails, or waits for the next", "add its A or AAAA record, or take it out"
	case a.Canonical != "":
		return "this mail host is an alias (CNAME) of " + a.Canonical + ", which an MX record must not name (RFC 2181 section 10.3)", "name " + a.Canonical + " in the MX record"
	}
	for _, ip := range a.Records {
		if ip = ip.Unmap(); ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() {
			return fmt.Sprintf("this mail host has the address %s, which nobody outside can reach", ip), "take that address out"
		}
	}
	return "", ""
}

// clients checks the names at which mail programs look for their settings.
func (c *checker) clients() {
	for _, name := range c.Clients {
		a, err := c.dns.LookupAddrs(c.ctx, name)
		if c.silent("setup", name, err) {
			continue
		}
		if len(a.Records) == 0 {
			c.add("setup", name, Advice, nil, "people have to type in the settings of their mail programs", "", "\"tenma dns records\" has the record")
			continue
		}
		c.add("setup", name, OK, c.addresses(name), "", "", "")
	}
}
