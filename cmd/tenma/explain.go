package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"tenma/cmd/tenma/cli"
	"tenma/relay"
	"tenma/relay/admin"
	"tenma/relay/wire/smtp"
)

type explainCommand struct {
	cli.Remote
	Target  string `arg:"" name:"domain" help:"A domain, such as example.org, or an address."`
	Tenant  string `placeholder:"NAME" help:"Whose mail it would be: as whom that tenant may send, and what is signed."`
	Offline bool   `help:"Ask no relay: from the configuration and the DNS."`
}

// Help is the long text.
func (*explainCommand) Help() string {
	return `Resolves, routes and tells each step with its reason: the [[route]] that decides, MX records and which of them are used, addresses in the order in which they would be tried, the TLS that is demanded, who we are to the other side, limits, and when a message that is deferred is tried again. Connects to no mail host.

A running relay answers, from its own caches and queue; without one the command finds out by itself.`
}

// Run is the command.
func (x *explainCommand) Run(ctx context.Context, c *console) error {
	if !strings.Contains(x.Target, "@") && !strings.EqualFold(x.Target, "postmaster") {
		if _, err := smtp.ParseDomain(x.Target); err != nil {
			return cli.Misuse("%q is not a domain name", cli.Clean(x.Target))
		}
	} else if _, err := smtp.ParseMailbox(strings.Trim(x.Target, "<>")); err != nil {
		return cli.Misuse("%q is not an address", cli.Clean(x.Target))
	}
	a, err := x.ask(ctx)
	switch {
	case err != nil:
		return err
	case x.JSON:
		return c.JSON(a)
	}
	return c.explanation(&a)
}

// ask has the relay explain, or does so itself where none runs and no flag says
// that one should.
func (x *explainCommand) ask(ctx context.Context) (admin.Explanation, error) {
	if !x.Offline {
		cl, err := x.Client()
		if err == nil {
			var a admin.Explanation
			a, err = cl.Explain(ctx, x.Target, x.Tenant)
			var op *net.OpError
			if err == nil || x.URL != "" || !errors.As(err, &op) || op.Op != "dial" {
				return a, x.Explain(cl, err)
			}
		} else if x.URL != "" || x.TokenFile != "" {
			return admin.Explanation{}, err
		}
	}
	cfg, err := x.Peek()
	if err != nil {
		return admin.Explanation{}, err
	}
	return relay.Explain(ctx, cfg, x.Target, x.Tenant)
}

// explanation prints the steps for people.
func (c *console) explanation(a *admin.Explanation) error {
	about := a.Target
	switch a.Fate {
	case "deliver":
		fmt.Fprintf(c.Out, "Mail for %s goes out by the lane %s.\n", cli.Clean(about), cli.Clean(a.Lane))
	case "local":
		fmt.Fprintf(c.Out, "Mail for %s goes into mailboxes here.\n", cli.Clean(about))
	case "discard":
		fmt.Fprintf(c.Out, "Mail for %s is taken and dropped.\n", cli.Clean(about))
	case "defer":
		fmt.Fprintf(c.Out, "Mail for %s waits: %s\n", cli.Clean(about), cli.Clean(a.Reply))
	default:
		fmt.Fprintf(c.Out, "Mail for %s fails: %s\n", cli.Clean(about), cli.Clean(a.Reply))
	}
	if !a.Live {
		fmt.Fprintln(c.Out, "(No relay was asked: told from the configuration and the DNS.)")
	}
	fmt.Fprintln(c.Out)
	rows := [][]string{{"STEP", "FOUND", "WHY"}}
	for _, s := range a.Steps {
		rows = append(rows, []string{s.Step, s.Found, s.Why})
	}
	return c.Table(rows)
}
