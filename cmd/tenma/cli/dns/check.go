package dns

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tenma/cmd/tenma/cli"
	"tenma/dnscache"
	"tenma/relay/admin/setup/dnscheck"
	"tenma/relay/config"
	"tenma/relay/policy/dkim/rotation"
	"tenma/relay/wire/smtp"
)

// patience bounds a whole check: a few dozen questions, each of 5 s at most where
// a server is silent, most of them answered at once.
const patience = 2 * time.Minute

type checkCommand struct {
	about
	Server []string `placeholder:"HOST:PORT" help:"DNS server to ask; may be repeated. Without it: those of the configuration. Other servers than your own show what the world sees."`
}

// Help is the long text.
func (*checkCommand) Help() string {
	return `Compares what the DNS says with what the relay does: the addresses that mail goes out from and their names, MX, SPF (for each address, and the count of lookups), DKIM (each key), DMARC, MTA-STS with its policy, reports on TLS, DANE with the certificate at port 25. Exit code 1: something that receivers hold against mail is wrong, missing or cannot be looked up.`
}

type verdicts struct {
	Domain   string             `json:"domain"`
	OK       bool               `json:"ok"`
	Findings []dnscheck.Finding `json:"findings"`
}

// Run is the command.
func (x *checkCommand) Run(ctx context.Context, c *cli.Console) error {
	cfg, d, err := x.open()
	if err != nil {
		return err
	}
	settings := cfg.DNS
	if len(x.Server) > 0 {
		settings.Servers = x.Server
	}
	dns, err := dnscache.New(settings, dnscache.Deps{})
	if err != nil {
		return cli.Misuse("%v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	sender, err := x.sender(ctx, cfg, d, dns)
	if err != nil {
		return err
	}
	v := verdicts{Domain: string(d), Findings: dnscheck.Check(ctx, sender, dns, newProbe(cfg.Hostname, dns))}
	if why, deaf := v.deaf(); deaf && !x.JSON {
		return fmt.Errorf("nothing can be said of %s: %s", d, why)
	}
	v.OK = !slices.ContainsFunc(v.Findings, func(f dnscheck.Finding) bool { return f.Punished() })
	if x.JSON {
		err = c.JSON(v)
	} else {
		err = v.print(c)
	}
	if err == nil && !v.OK {
		return cli.ErrTold
	}
	return err
}

// sender gathers what the relay does.
func (x *checkCommand) sender(ctx context.Context, cfg *config.Config, d smtp.Domain, dns *dnscache.Cache) (dnscheck.Sender, error) {
	s := dnscheck.Sender{Domain: d, EHLO: cfg.Route.Source.EHLO, Sources: x.addresses(cfg), Returns: string(cfg.Returns.Domain), Bare: bare(cfg, d)}
	if len(s.Sources) == 0 { // behind a router: what its name says is the best guess
		if a, err := dns.LookupAddrs(ctx, s.EHLO); err == nil {
			for _, ip := range a.Records {
				s.Sources = append(s.Sources, ip.Unmap())
			}
		}
	}
	s.Sources = slices.DeleteFunc(s.Sources, func(a netip.Addr) bool { return a.IsLoopback() || a.IsUnspecified() })
	if comesHere(cfg, d) {
		s.MX = cfg.Setup.MX
	}
	if here := mailHere(cfg, d); here.HTTP {
		s.STS = here.PolicyID()
		s.Clients = []string{"autoconfig." + string(d), "autodiscover." + string(d)}
	}
	all, err := keys(cfg, d)
	for _, k := range all {
		s.Keys = append(s.Keys, dnscheck.Key{Name: k.Name, Record: k.Record, Next: k.phase == rotation.Next})
	}
	return s, err
}

// deaf reports that the DNS has answered nothing, and how it put that.
func (v *verdicts) deaf() (why string, deaf bool) {
	for _, f := range v.Findings {
		switch f.Verdict {
		case dnscheck.Unknown:
			why = f.Why
		case dnscheck.Advice: // may be about the configuration
		default:
			return "", false
		}
	}
	return why, why != ""
}

// marks are how a verdict looks in the first column: what must be seen is in
// capitals.
var marks = map[dnscheck.Verdict]string{
	dnscheck.OK: "ok", dnscheck.Advice: "advice", dnscheck.Missing: "MISSING", dnscheck.Wrong: "WRONG", dnscheck.Unknown: "NO ANSWER",
}

// print tells each record in a line, and beneath it what is wrong and what to do.
func (v *verdicts) print(c *cli.Console) error {
	wide := 0
	for _, f := range v.Findings {
		if len(f.Name) <= wideName {
			wide = max(wide, len(f.Name))
		}
	}
	bad, advice := 0, 0
	for _, f := range v.Findings {
		switch {
		case f.Punished():
			bad++
		case f.Verdict == dnscheck.Advice:
			advice++
		}
		found := shown(f.Found, c.Width())
		fmt.Fprintf(c.Out, "%-9s  %-7s  %-*s  %s\n", marks[f.Verdict], f.Subject, wide, cli.Clean(f.Name), first(found))
		for _, more := range found[min(1, len(found)):] {
			fmt.Fprintf(c.Out, "%20s%*s  %s\n", "", wide, "", more)
		}
		if f.Why == "" {
			continue
		}
		fmt.Fprintf(c.Out, "           %s\n", cli.Clean(f.Why))
		if f.Expect != "" {
			fmt.Fprintf(c.Out, "           expected: %s\n", cli.Clean(f.Expect))
		}
		fmt.Fprintf(c.Out, "           -> %s\n", cli.Clean(f.Do))
	}
	return v.end(c, bad, advice)
}

// end says what it comes to.
func (v *verdicts) end(c *cli.Console, bad, advice int) error {
	text := "Nothing that receivers hold against your mail."
	if bad > 0 {
		text = cli.Count(bad, "thing") + " that receivers hold against your mail."
	}
	if advice > 0 {
		text += " " + cli.Count(advice, "thing") + " that could be better."
	}
	_, err := fmt.Fprintf(c.Out, "\n%s: %s\n", v.Domain, text)
	return err
}

// shown prepares what was found: long records are cut, or nobody sees the rest.
func shown(found []string, width int) []string {
	most := 100
	if width > 0 {
		most = max(width-62, 40)
	}
	all := make([]string, len(found))
	for i, f := range found {
		all[i] = cli.Cut(cli.Clean(f), most)
	}
	return all
}

func first(all []string) string {
	if len(all) == 0 {
		return "-"
	}
	return strings.TrimSpace(all[0])
}
