package dns

import (
	"fmt"
	"slices"
	"strings"

	"tenma/cmd/tenma/cli"
	"tenma/relay/admin/setup"
	"tenma/relay/config"
	"tenma/relay/policy/dkim"
	"tenma/relay/wire/smtp"
)

type recordsCommand struct {
	about
	Zone bool `help:"Print as lines of a zone file."`
	TLSA bool `name:"tlsa" help:"Add a TLSA record (DANE) for the certificate in use. Only for zones that are signed; renew the certificate with the same key then."`
}

// Help is the long text.
func (*recordsCommand) Help() string {
	return `They follow from the configuration: SRV records and autoconfig from the listeners, DKIM from the keys, SPF from the addresses that mail goes out from. What a service lacks is published as "not offered". Of a domain whose mailboxes are elsewhere only what sending needs is printed. Nothing is looked up; "tenma dns check" does.`
}

type answer struct {
	Domain  string         `json:"domain"`
	Records []setup.Record `json:"records"`
	Advice  []string       `json:"advice"`
}

// Run is the command.
func (x *recordsCommand) Run(c *cli.Console) error {
	cfg, d, err := x.open()
	if err != nil {
		return err
	}
	f, err := x.facts(cfg, d)
	if err != nil {
		return err
	}
	a := answer{Domain: string(d), Records: setup.Records(mailHere(cfg, d), d, f), Advice: setup.Advice(cfg.Setup, f)}
	if f.Elsewhere {
		a.Advice = slices.Insert(a.Advice, 0, fmt.Sprintf("No [[domain]] is %s: these are the records for sending alone, its MX records stay as they are.", d))
	}
	if len(f.DKIM) == 0 && !f.Bare {
		a.Advice = append(a.Advice, fmt.Sprintf("No key signs for %s: \"tenma dkim new %s\" makes one.", d, d))
	}
	a.Advice = append(a.Advice, fmt.Sprintf("When they are published, \"tenma dns check %s\" tells whether they are right.", d))
	switch {
	case x.JSON:
		return c.JSON(a)
	case x.Zone:
		return a.zone(c, d)
	}
	return a.blocks(c)
}

// facts gathers what the configuration alone does not tell.
func (x *recordsCommand) facts(cfg *config.Config, d smtp.Domain) (setup.Facts, error) {
	f := setup.Facts{EHLO: cfg.Route.Source.EHLO, Addresses: x.addresses(cfg), Elsewhere: !comesHere(cfg, d), Returns: cfg.Returns.Domain, Bare: bare(cfg, d)}
	all, err := keys(cfg, d)
	if err != nil {
		return f, err
	}
	for _, k := range all {
		f.DKIM = append(f.DKIM, k.record())
	}
	if x.TLSA {
		f.TLSA, err = tlsa(cfg.TLS)
	}
	return f, err
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

// blocks prints each record beneath what it is for. The value comes last and whole:
// it is pasted into the forms of DNS providers.
func (a *answer) blocks(c *cli.Console) error {
	name, kind := 0, 0
	for _, r := range a.Records {
		if len(r.Name) <= wideName { // an IPv6 PTR would push all out of sight
			name = max(name, len(r.Name))
		}
		kind = max(kind, len(r.Type))
	}
	why := ""
	for _, r := range a.Records {
		if r.For != why {
			if why = r.For; r != a.Records[0] {
				fmt.Fprintln(c.Out)
			}
			fmt.Fprintf(c.Out, "# %s\n", r.For)
		}
		fmt.Fprintf(c.Out, "%-*s  %-*s  %s\n", name, r.Name, kind, r.Type, r.Value)
	}
	for _, text := range a.Advice {
		fmt.Fprintf(c.Out, "\n%s\n", text)
	}
	return nil
}

// wideName is the longest name that other columns make room for.
const wideName = 50

// zone prints what can be put into the zone of the domain as it is. What belongs
// to other zones comes as comments: a server would pass it over, or refuse all.
func (a *answer) zone(c *cli.Console, d smtp.Domain) error {
	for _, r := range a.Records {
		value, mark := r.Value, ""
		if r.Type == "TXT" {
			value = "( " + dkim.Quote(value) + " )"
		}
		if name := strings.TrimSuffix(r.Name, "."); name != string(d) && !strings.HasSuffix(name, "."+string(d)) {
			mark = "; elsewhere: "
		}
		if _, err := fmt.Fprintf(c.Out, "%s%s IN %s %s\n", mark, r.Name, r.Type, value); err != nil {
			return err
		}
	}
	for _, text := range a.Advice {
		fmt.Fprintln(c.Out, ";", text)
	}
	return nil
}
