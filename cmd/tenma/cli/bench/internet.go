package bench

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"tenma/bench/internet/names"
	"tenma/bench/sink"
	"tenma/cmd/tenma/cli"
)

type internetCommand struct {
	Hosts string `default:"127.1.0.1-50" placeholder:"RANGE" help:"Addresses of the MX hosts: on Linux all of 127.0.0.0/8 is loopback (default ${default})."`
	Port  uint16 `default:"25" placeholder:"PORT" help:"Where they take mail; below 1024 for root only (default ${default})."`

	DNS        string        `name:"dns" group:"DNS" default:"127.1.0.53:53" placeholder:"HOST:PORT" help:"Where questions are answered, UDP and TCP (default ${default})."`
	Zones      []string      `group:"DNS" default:"test" placeholder:"NAMES" help:"Every name below these is a domain (default ${default})."`
	Sites      bool          `group:"DNS" help:"Give each domain MX hosts of names of its own, so that each is a site; otherwise domains share those of --hosts."`
	MX         int           `name:"mx" group:"DNS" default:"1" placeholder:"N" help:"MX hosts of a domain (default ${default})."`
	TTL        uint32        `name:"ttl" group:"DNS" default:"300" placeholder:"SECONDS" help:"How long answers may be remembered (default ${default})."`
	DNSLatency time.Duration `name:"dns-latency" group:"DNS" placeholder:"TIME" help:"Before each answer (0s)."`
	DNSJitter  time.Duration `name:"dns-jitter" group:"DNS" placeholder:"TIME" help:"Added to it by chance, at most (0s)."`
	NXDomain   float64       `name:"nxdomain" group:"DNS" placeholder:"PART" help:"Part of the domains that do not exist, 0 to 1 (0)."`
	ServFail   float64       `name:"servfail" group:"DNS" placeholder:"PART" help:"Part of the domains whose DNS fails (0)."`
	Silent     float64       `group:"DNS" placeholder:"PART" help:"Part of the domains whose DNS never answers (0)."`
	TXT        []string      `name:"txt" group:"DNS" sep:"none" placeholder:"NAME TEXT" help:"A TXT record besides, such as a DKIM key; may be repeated."`

	hostFlags `embed:""`
}

// Help is the long text.
func (*internetCommand) Help() string {
	return `The rest of the Internet on loopback addresses: a DNS server that knows any number of domains, and the hosts that take their mail, which are one "tenma bench sink". A mail server that asks this DNS delivers here and nowhere else.

Nothing on the machine is changed: /etc/resolv.conf stays as it is, and the mail server must be told. What to tell it is printed.`
}

// Run is the command.
func (x *internetCommand) Run(ctx context.Context, c *cli.Console) error {
	hosts, err := sink.Hosts(x.Hosts)
	if err != nil {
		return cli.Misuse("--hosts: %v", err)
	}
	cfg, err := x.config([]string{net.JoinHostPort(x.Hosts, fmt.Sprint(x.Port))})
	if err != nil {
		return err
	}
	s, err := sink.New(cfg)
	if err != nil {
		return cli.Misuse("%v", err)
	}
	dns := names.Config{
		Zones: x.Zones, Hosts: hosts, Own: x.Sites, MX: x.MX, TTL: x.TTL, Latency: x.DNSLatency, Jitter: x.DNSJitter,
		NXDomain: x.NXDomain, ServFail: x.ServFail, Silent: x.Silent, TXT: map[string]string{},
	}
	for _, record := range x.TXT {
		name, text, ok := strings.Cut(strings.TrimSpace(record), " ")
		if !ok {
			return cli.Misuse("--txt: %q is no name and text", record)
		}
		dns.TXT[name] = strings.TrimSpace(text)
	}
	n, err := names.New(dns)
	if err != nil {
		return cli.Misuse("%s", strings.TrimPrefix(err.Error(), "names: "))
	}
	answering := make(chan string, 1)
	return x.serve(ctx, c, s, func() {
		select {
		case at := <-answering:
			fmt.Fprint(c.Err, x.hint(at))
		case <-ctx.Done():
		}
	}, func(ctx context.Context) error {
		if err := n.Run(ctx, x.DNS, func(at string) { answering <- at }); err != nil {
			return fmt.Errorf("DNS on %s: %w", x.DNS, err)
		}
		return nil
	})
}

// hint tells how to send mail there.
func (x *internetCommand) hint(dns string) string {
	zone := x.Zones[0]
	text := fmt.Sprintf("taking mail on %s port %d; DNS on %s%s\n", x.Hosts, x.Port, dns, x.where())
	text += fmt.Sprintf("Every domain below %s receives: a@d1.%s, a@d2.%s, ... Tell a mail server to ask this DNS:\n", strings.Join(x.Zones, ", "), zone, zone)
	text += fmt.Sprintf("  tenma     [dns]\n            servers = [%q]\n            [delivery]\n            port = %d\n            private_destinations = true\n", dns, x.Port)
	if host, port, err := net.SplitHostPort(dns); err == nil && port == "53" {
		text += "  others    echo nameserver " + host + " > resolv.test\n"
		text += "            unshare -m sh -c 'mount --bind resolv.test /etc/resolv.conf; exec SERVER'\n"
	} else {
		text += "  others    read /etc/resolv.conf, which knows port 53 only: use --dns 127.1.0.53:53\n"
	}
	return text
}
