package suppress

import (
	"context"
	"errors"
	"fmt"

	"tenma/cmd/tenma/cli"
	"tenma/relay/admin"
)

type undoCommand struct {
	cli.Remote
	filters
	Address string `placeholder:"ADDRESS" help:"Only this address, or this domain with its addresses."`
	DryRun  bool   `help:"Only say how many there are."`
	Save    string `placeholder:"FILE" help:"Write what goes to this new file first, from which \"tenma suppress import\" brings it back."`
}

// Help is the long text.
func (undoCommand) Help() string {
	return `Removes entries that failures made (reasons hard_bounce and returned): what people and operators said stays. Give --since, and --rule or --provider
where only one was wrong: "tenma suppress list" shows them. With --held it drops what storms held back.`
}

// Run is the command.
func (x *undoCommand) Run(ctx context.Context, c *cli.Console) error {
	w, err := x.selection(x.Address)
	if err != nil {
		return err
	}
	if w.Since == nil && !x.Held {
		return cli.Misuse("--since is missing: undo removes what failures made since a time")
	}
	cl, err := x.Client()
	if err != nil {
		return err
	}
	if x.Save != "" && !x.DryRun {
		if err := x.save(ctx, c, cl, w); err != nil {
			return err
		}
	}
	w.DryRun = x.DryRun
	n, err := cl.ChangeSuppressions(ctx, "undo", w)
	if err != nil {
		return x.Explain(cl, err)
	}
	if x.JSON {
		return c.JSON(map[string]any{"entries": n, "dry_run": x.DryRun})
	}
	if x.DryRun {
		_, err = fmt.Fprintf(c.Out, "%s would be removed\n", entries(n))
		return err
	}
	if _, err = fmt.Fprintf(c.Out, "%s removed\n", entries(n)); err == nil && x.Save != "" {
		_, err = fmt.Fprintf(c.Out, "\"tenma suppress import %s\" would bring them back\n", x.Save)
	}
	return err
}

// save writes what will be removed.
func (x *undoCommand) save(ctx context.Context, c *cli.Console, cl *admin.Client, w admin.SuppressionSelection) error {
	out, err := create(x.Save)
	if err != nil {
		return err
	}
	_, err = writeAll(ctx, cl, out, w, "jsonl", func(e *admin.Suppression) bool { return e.Reason == "hard_bounce" || e.Reason == "returned" })
	return x.Explain(cl, errors.Join(err, out.Close()))
}

type releaseCommand struct {
	cli.Remote
	scope
	Addresses []string `arg:"" optional:"" name:"address" help:"Addresses, or domains with their addresses."`
	Provider  string   `placeholder:"DOMAIN" help:"All that this provider refused."`
	Rule      string   `placeholder:"NAME" help:"All that this rule of the classifier called for."`
	All       bool     `help:"Everything that is held."`
	DryRun    bool     `help:"Only say how many there are."`
}

// Run is the command.
func (x *releaseCommand) Run(ctx context.Context, c *cli.Console) error {
	some := len(x.Addresses) > 0 || x.Provider != "" || x.Rule != "" || x.Tenant != ""
	switch {
	case !some && !x.All:
		return cli.Misuse("say what: addresses, --provider, --rule, --tenant, or --all")
	case some && x.All:
		return cli.Misuse("--all and a filter contradict each other")
	}
	if err := x.scope.check(); err != nil {
		return err
	}
	if err := (&subjects{x.Addresses}).check(); err != nil {
		return err
	}
	cl, err := x.Client()
	if err != nil {
		return err
	}
	sum := 0
	for _, address := range append(x.Addresses, "")[:max(1, len(x.Addresses))] {
		n, err := cl.ChangeSuppressions(ctx, "release", admin.SuppressionSelection{
			Address: address, Tenant: x.Tenant, Campaign: x.Campaign, Provider: x.Provider, Rule: x.Rule, Held: true, DryRun: x.DryRun,
		})
		if err != nil {
			return x.Explain(cl, err)
		}
		sum += n
	}
	if x.JSON {
		return c.JSON(map[string]any{"entries": sum, "dry_run": x.DryRun})
	}
	_, err = fmt.Fprintf(c.Out, "%s %s\n", entries(sum), map[bool]string{true: "would be released", false: "released"}[x.DryRun])
	return err
}
