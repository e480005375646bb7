package main

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"tenma/cmd/tenma/cli"
	"tenma/relay/admin/setup"
	"tenma/relay/config"
	"tenma/relay/policy/dkim"
	"tenma/relay/wire/smtp"
)

type dnsCommand struct {
	Records dnsRecords `cmd:"" help:"Print the records that a domain should publish."`
}

type dnsRecords struct {
	settings
	Domain string `arg:"" help:"The domain, such as example.org."`
	Zone   bool   `help:"Print as lines of a zone file."`
	TLSA   bool   `name:"tlsa" help:"Add a TLSA record (DANE) for the certificate in use. Only for zones that are signed; renew the certificate with the same key then."`
	JSON   bool   `name:"json" help:"Print as JSON."`
}

// Help is the long text.
func (*dnsRecords) Help() string {
	return `They follow from the configuration: SRV records and autoconfig from the listeners, DKIM from the keys. What a service lacks is published as "not offered". Nothing is looked up.`
}

type dnsAnswer struct {
	Domain  string         `json:"domain"`
	Records []setup.Record `json:"records"`
	Advice  []string       `json:"advice"`
}

// Run is the command.
func (x *dnsRecords) Run(c *console) error {
	d, err := smtp.ParseDomain(x.Domain)
	if err != nil || d.IsLiteral() {
		return cli.Misuse("%q is not a domain name", cli.Clean(x.Domain))
	}
	cfg, err := x.Peek()
	if err != nil {
		return err
	}
	k, err := x.published(cfg, d)
	if err != nil {
		return err
	}
	answer := dnsAnswer{Domain: string(d), Records: setup.Records(mailHere(cfg, d), d, k), Advice: setup.Advice(cfg.Setup)}
	if !slices.Contains(cfg.Setup.Domains, d) && d != cfg.Mailbox.SRSDomain {
		answer.Advice = slices.Insert(answer.Advice, 0, fmt.Sprintf("No [[domain]] is %s: with these records its mail would come here and be refused. Add the table first.", d))
	}
	if len(k.DKIM) == 0 {
		answer.Advice = append(answer.Advice, fmt.Sprintf("No key signs for %s: \"tenma dkim new %s\" makes one.", d, d))
	}
	switch {
	case x.JSON:
		return c.JSON(answer)
	case x.Zone:
		return answer.zone(c)
	}
	rows := [][]string{{"NAME", "TYPE", "VALUE", "FOR"}}
	for _, r := range answer.Records {
		rows = append(rows, []string{r.Name, r.Type, r.Value, r.For})
	}
	if err := c.Table(rows); err != nil {
		return err
	}
	for _, a := range answer.Advice {
		fmt.Fprintf(c.Out, "\n%s\n", a)
	}
	return nil
}

// mailHere is what programs are told, where the domain's mailboxes are here;
// of another domain no service is offered.
func mailHere(cfg *config.Config, d smtp.Domain) setup.Config {
	s := cfg.Setup
	if !slices.Contains(s.Domains, d) {
		s.HTTP = false
	}
	return s
}

func (a *dnsAnswer) zone(c *console) error {
	for _, r := range a.Records {
		value := r.Value
		if r.Type == "TXT" {
			value = "( " + dkim.Quote(value) + " )"
		}
		if _, err := fmt.Fprintf(c.Out, "%s IN %s %s\n", r.Name, r.Type, value); err != nil {
			return err
		}
	}
	for _, text := range a.Advice {
		fmt.Fprintln(c.Out, ";", text)
	}
	return nil
}

// published gives the records of the domain's keys and certificate.
func (x *dnsRecords) published(cfg *config.Config, d smtp.Domain) (k setup.Keys, err error) {
	for _, i := range dkim.Inspect(cfg.DKIM.Keys) {
		switch {
		case i.Domain != d:
		case i.Err != nil:
			return k, fmt.Errorf("the key %s cannot be used: %w", i.Path, i.Err)
		default:
			k.DKIM = append(k.DKIM, setup.Record{Name: strings.TrimSuffix(i.Name, ".") + ".", Type: "TXT", Value: i.Record})
		}
	}
	if x.TLSA {
		k.TLSA, err = tlsa(cfg.TLS)
	}
	return k, err
}

// tlsa gives "3 1 1 DIGEST" of the certificate: the server's own, its public
// key, SHA-256 (RFC 7672 section 3.1.1), so that a renewal with the same key
// needs no new record.
func tlsa(t config.TLS) (string, error) {
	text, err := os.ReadFile(t.Certificate)
	if errors.Is(err, os.ErrNotExist) && t.SelfSigned {
		return "", fmt.Errorf("there is no certificate yet: \"tenma serve\" makes %s when it first starts", t.Certificate)
	}
	if err != nil {
		return "", fmt.Errorf("reading the certificate: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return "", fmt.Errorf("%s holds no certificate", t.Certificate)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("reading the certificate %s: %w", t.Certificate, err)
	}
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return "3 1 1 " + hex.EncodeToString(sum[:]), nil
}
