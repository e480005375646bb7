package setup

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"tenma/relay/wire/smtp"
)

// Record is one DNS record that a domain should publish.
type Record struct {
	Name  string `json:"name"` // with the final dot
	Type  string `json:"type"`
	Value string `json:"value"` // as a zone file has it; of TXT without quotes
	For   string `json:"for"`   // what is gained by it, in a few words
}

// Facts are what Records cannot know of a domain.
type Facts struct {
	DKIM      []Record     // with Name, Type and Value
	TLSA      string       // the fields behind "TLSA" of the certificate at port 25; "": none
	EHLO      string       // name that the relay says; "": Config.MX
	Addresses []netip.Addr // public ones that mail goes out from; none: not known
	Elsewhere bool         // mail for the domain does not come here: only what sending needs is listed
	Returns   smtp.Domain  // of signed return paths, whose MX is this relay; "": none
	Bare      bool         // the domain stands in return paths alone: no From, no mailboxes
}

// Records lists what a domain should publish, in the order in which it is wanted:
// without MX nothing arrives, without the next four nothing that is sent, the
// rest makes it safer or easier.
func Records(c Config, d smtp.Domain, f Facts) []Record {
	all := sending(c, d, f)
	if !f.Elsewhere && !f.Bare {
		all = append(all, receiving(c, d, f)...)
	}
	return all
}

// sending lists what receivers of the domain's mail look at.
func sending(c Config, d smtp.Domain, f Facts) []Record {
	var all []Record
	add := func(name, kind, value, why string) { all = append(all, Record{name + ".", kind, value, why}) }
	if !f.Elsewhere {
		add(string(d), "MX", "10 "+c.MX+".", "Mail for the domain arrives here")
	}
	ehlo := cmp.Or(f.EHLO, c.MX)
	for _, a := range f.Addresses {
		add(ehlo, family(a), a.String(), "The name that the relay says of itself leads to the address that mail goes out from")
		add(Reverse(a), "PTR", ehlo+".", "And the address leads back to the name; whoever gave you the address sets this one")
	}
	add(string(d), "TXT", spf(c, f, ehlo), "SPF: only these addresses send for the domain; add your other senders before you publish it")
	if ehlo != string(d) {
		add(ehlo, "TXT", "v=spf1 a -all", "SPF for notices of failure, which have no sender: receivers look at the name of the relay")
	}
	if f.Returns != "" && f.Returns != d {
		add(string(f.Returns), "MX", "10 "+ehlo+".", "Reports and complaints about mail come back to this relay")
		add(string(f.Returns), "TXT", spf(c, Facts{Addresses: f.Addresses}, ehlo), "SPF of the return paths, which receivers look at in place of the domain's")
	}
	if f.Bare {
		return all
	}
	for _, r := range f.DKIM {
		r.For = cmp.Or(r.For, "DKIM: receivers check the signature with it")
		all = append(all, r)
	}
	add("_dmarc."+string(d), "TXT", "v=DMARC1; p=none; rua=mailto:postmaster@"+string(d), "DMARC: reports on who sends in your name; when all your mail passes, go on to p=quarantine, then p=reject")
	return all
}

// spf is the record for the domain. Addresses cost receivers no lookup.
func spf(c Config, f Facts, ehlo string) string {
	terms := []string{"v=spf1"}
	if !f.Elsewhere {
		terms = append(terms, "mx")
	}
	for _, a := range f.Addresses {
		terms = append(terms, map[bool]string{true: "ip4:", false: "ip6:"}[a.Is4()]+a.String())
	}
	if len(f.Addresses) == 0 && (f.Elsewhere || ehlo != c.MX) {
		terms = append(terms, "a:"+ehlo)
	}
	return strings.Join(append(terms, "-all"), " ")
}

func family(a netip.Addr) string {
	if a.Is4() {
		return "A"
	}
	return "AAAA"
}

// receiving lists what programs and servers look at that bring mail to the
// domain, or fetch it.
func receiving(c Config, d smtp.Domain, f Facts) []Record {
	var all []Record
	add := func(name, kind, value, why string) {
		all = append(all, Record{name + "." + string(d) + ".", kind, value, why})
	}
	host := c.Host + "."
	for _, s := range services() {
		value := "0 0 0 ." // RFC 6186 section 3.4: not offered
		if port, ok := c.port(s.protocol, s.implicit); ok {
			value = fmt.Sprintf("%d 1 %d %s", s.priority, port, host)
		}
		add(s.label+"._tcp", "SRV", value, "Mail programs find the server (RFC 6186, RFC 8314); \"0 0 0 .\" says that a service is not offered")
	}
	if c.HTTP {
		add("_autodiscover._tcp", "SRV", "0 0 443 "+host, "Outlook finds its settings")
		add("autoconfig", "CNAME", host, "Thunderbird and others find their settings there by HTTP or HTTPS")
		add("autodiscover", "CNAME", host, "Outlook finds its settings there by HTTPS")
	}
	if text := c.policy(); text != "" && c.HTTP {
		add("mta-sts", "CNAME", host, "The MTA-STS policy is fetched there by HTTPS (RFC 8461)")
		add("_mta-sts", "TXT", "v=STSv1; id="+policyID(text), "MTA-STS: senders demand TLS; the id changes with the policy")
	}
	add("_smtp._tls", "TXT", "v=TLSRPTv1; rua=mailto:postmaster@"+string(d), "Senders report failures of TLS to your mail hosts (RFC 8460)")
	if f.TLSA != "" {
		all = append(all, Record{"_25._tcp." + c.MX + ".", "TLSA", f.TLSA, "DANE: only where the zone is signed; changes with the key of the certificate"})
	}
	return all
}

// Advice is what a domain's DNS needs besides its own records.
func Advice(c Config, f Facts) []string {
	var all []string
	if ehlo := cmp.Or(f.EHLO, c.MX); len(f.Addresses) == 0 {
		all = append(all, fmt.Sprintf("%s needs A and AAAA records with the addresses of this machine, and each address a PTR record that names %s: the provider of the address sets that.", ehlo, ehlo))
	}
	if f.Elsewhere {
		return all
	}
	if c.Host != c.MX {
		all = append(all, c.Host+" needs A and AAAA records too.")
	}
	if c.HTTP {
		all = append(all, "autoconfig, autodiscover and mta-sts are fetched from ports 80 and 443: a [[listen]] of protocol http there (setup_only = true), or a web server that passes these names on, with a certificate for them.")
	}
	return all
}

// Reverse is the name at which the PTR record of an address stands (RFC 1035 section 3.5, RFC
// 3596 section 2.5).
func Reverse(a netip.Addr) string {
	if a.Is4() {
		b := a.As4()
		return fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa", b[3], b[2], b[1], b[0])
	}
	var s strings.Builder
	b := a.As16()
	for i := len(b) - 1; i >= 0; i-- {
		fmt.Fprintf(&s, "%x.%x.", b[i]&15, b[i]>>4)
	}
	return s.String() + "ip6.arpa"
}

type srvName struct {
	label    string
	protocol Protocol
	implicit bool
	priority int // implicit TLS is preferred (RFC 8314 section 5.1)
}

// services are the names of RFC 6186 section 3 and RFC 8314 section 5.1.
func services() []srvName {
	return []srvName{
		{"_submissions", Submission, true, 0},
		{"_submission", Submission, false, 10},
		{"_imaps", IMAP, true, 0},
		{"_imap", IMAP, false, 10},
		{"_pop3s", POP3, true, 20}, // who can do both should take IMAP (RFC 6186 section 3.3)
		{"_pop3", POP3, false, 30},
	}
}

func (c *Config) port(p Protocol, implicit bool) (uint16, bool) {
	for _, s := range c.of(p) {
		if s.Implicit == implicit {
			return s.Port, true
		}
	}
	return 0, false
}

// policyAge is how long senders may keep the policy, in seconds: a week, so
// that a mistake does not stay for long (RFC 8461 section 3.2 has weeks or more).
const policyAge = 7 * 24 * 3600

// policy is the text of the MTA-STS policy, "" for none.
func (c *Config) policy() string {
	if c.STS != STSTesting && c.STS != STSEnforce {
		return ""
	}
	return fmt.Sprintf("version: STSv1\r\nmode: %s\r\nmx: %s\r\nmax_age: %d\r\n", c.STS, c.MX, policyAge)
}

// PolicyID is the id of the MTA-STS policy that Handler serves for each domain, ""
// where it serves none.
func (c *Config) PolicyID() string {
	text := c.policy()
	if text == "" || !c.HTTP {
		return ""
	}
	return policyID(text)
}

// policyID changes when the policy does (RFC 8461 section 3.1).
func policyID(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:10])
}

// policy answers GET /.well-known/mta-sts.txt. The name must be mta-sts.DOMAIN:
// another would be the policy of another domain.
func policy(c *Config, w http.ResponseWriter, r *http.Request) {
	host := strings.ToLower(r.Host)
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	name, ok := strings.CutPrefix(host, "mta-sts.")
	d, err := smtp.ParseDomain(name)
	text := c.policy()
	if !ok || err != nil || !c.has(d) || text == "" {
		http.Error(w, "no policy here", http.StatusNotFound)
		return
	}
	send(w, "text/plain; charset=utf-8", []byte(text))
}
