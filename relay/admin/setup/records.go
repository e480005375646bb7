package setup

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
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

// Keys gives what Records cannot know of a domain.
type Keys struct {
	DKIM []Record // with Name, Type and Value
	TLSA string   // the fields behind "TLSA" of the certificate at port 25; "": none
}

// Records lists what a domain that lives here should publish, in the order in
// which it is wanted: without MX nothing arrives, the rest makes it safer or
// easier.
func Records(c Config, d smtp.Domain, k Keys) []Record {
	var all []Record
	add := func(name, kind, value, why string) {
		if name != "" {
			name += "."
		}
		all = append(all, Record{name + string(d) + ".", kind, value, why})
	}
	mx, host := c.MX+".", c.Host+"."
	add("", "MX", "10 "+mx, "mail for the domain arrives here")
	add("", "TXT", "v=spf1 mx -all", "SPF: only this host sends for the domain; add your other senders")
	for _, r := range k.DKIM {
		r.For = "DKIM: receivers check the signature with it"
		all = append(all, r)
	}
	// Without a signature forwarded mail fails DMARC, so it is only watched.
	strict := "none"
	if len(k.DKIM) > 0 {
		strict = "quarantine"
	}
	add("_dmarc", "TXT", fmt.Sprintf("v=DMARC1; p=%s; rua=mailto:postmaster@%s", strict, d), "DMARC: what receivers do with forgeries, and where reports go")
	for _, s := range services() {
		value := "0 0 0 ." // RFC 6186 section 3.4: not offered
		if port, ok := c.port(s.protocol, s.implicit); ok {
			value = fmt.Sprintf("%d 1 %d %s", s.priority, port, host)
		}
		add(s.label+"._tcp", "SRV", value, "mail programs find the server (RFC 6186, RFC 8314)")
	}
	if c.HTTP {
		add("_autodiscover._tcp", "SRV", "0 0 443 "+host, "Outlook finds its settings")
		add("autoconfig", "CNAME", host, "Thunderbird and others find their settings there by HTTP or HTTPS")
		add("autodiscover", "CNAME", host, "Outlook finds its settings there by HTTPS")
	}
	if text := c.policy(); text != "" && c.HTTP {
		add("mta-sts", "CNAME", host, "the MTA-STS policy is fetched there by HTTPS")
		add("_mta-sts", "TXT", "v=STSv1; id="+policyID(text), "MTA-STS: senders demand TLS; the id changes with the policy")
	}
	add("_smtp._tls", "TXT", "v=TLSRPTv1; rua=mailto:postmaster@"+string(d), "senders report failures of TLS")
	if k.TLSA != "" {
		all = append(all, Record{"_25._tcp." + mx, "TLSA", k.TLSA, "DANE: only where the zone is signed; changes with the key of the certificate"})
	}
	return all
}

// Advice is what a domain's DNS needs besides its own records.
func Advice(c Config) []string {
	all := []string{
		fmt.Sprintf("%s needs A and AAAA records with the addresses of this machine, and each address a PTR record that names %s: the provider of the address sets that.", c.MX, c.MX),
	}
	if c.Host != c.MX {
		all = append(all, c.Host+" needs A and AAAA records too.")
	}
	if c.HTTP {
		all = append(all, "autoconfig, autodiscover and mta-sts are fetched from ports 80 and 443: a [[listen]] of protocol http there (setup_only = true), or a web server that passes these names on, with a certificate for them.")
	}
	return all
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
