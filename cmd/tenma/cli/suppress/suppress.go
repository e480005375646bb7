package suppress

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tenma/cmd/tenma/cli"
	"tenma/relay/admin"
	"tenma/relay/config"
	"tenma/relay/policy/suppress"
)

// Command is "tenma suppress".
type Command struct {
	Add     addCommand     `cmd:"" help:"Send no more mail to addresses, or to whole domains."`
	List    listCommand    `cmd:"" help:"List the suppression list, or what it has of an address or domain."`
	Delete  deleteCommand  `cmd:"" help:"Take addresses or domains off the list."`
	Import  importCommand  `cmd:"" help:"Read a file of addresses, CSV or JSON lines into the list."`
	Export  exportCommand  `cmd:"" help:"Write the list as CSV or JSON lines."`
	Undo    undoCommand    `cmd:"" help:"Remove what failures made since a time."`
	Release releaseCommand `cmd:"" help:"Put entries in force that a storm of failures held back."`
}

// scope is the flags that say whose mail an entry stops.
type scope struct {
	Tenant   string `placeholder:"NAME" help:"Mail of this tenant. Without it: all mail."`
	Campaign string `placeholder:"NAME" help:"Mail of this campaign of the tenant. Without it: all of the tenant's."`
}

func (s *scope) check() error {
	if s.Campaign != "" && s.Tenant == "" {
		return cli.Misuse("--campaign needs --tenant: a campaign is a tenant's")
	}
	return nil
}

// subjects is whom a command is about.
type subjects struct {
	Subjects []string `arg:"" name:"address" help:"Addresses, or domains for all of their addresses."`
}

func (s *subjects) check() error {
	for _, text := range s.Subjects {
		if _, err := suppress.ParseSubject(text); err != nil {
			return cli.Misuse("%q is neither an address nor a domain", cli.Clean(text))
		}
	}
	return nil
}

type addCommand struct {
	cli.Remote
	subjects
	scope
	Reason  string `default:"manual" enum:"manual,import,unsubscribe,complaint,hard_bounce,returned" help:"Why: ${enum}. Default: ${default}."`
	Note    string `placeholder:"TEXT" help:"A few words that stand with the entry."`
	Expires string `placeholder:"TIME" help:"How long it holds, such as 30d. Without it: as the configuration says, for manual ones for ever."`
}

// Run is the command.
func (x *addCommand) Run(ctx context.Context, c *cli.Console) error {
	if err := x.subjects.check(); err != nil {
		return err
	}
	if err := x.scope.check(); err != nil {
		return err
	}
	var expires *time.Time
	if x.Expires != "" {
		d, err := config.ParseDuration(x.Expires)
		if err != nil || d <= 0 {
			return cli.Misuse("--expires %q is not a time such as 12h or 30d", cli.Clean(x.Expires))
		}
		at := time.Now().Add(d)
		expires = &at
	}
	cl, err := x.Client()
	if err != nil {
		return err
	}
	var sum admin.AddedSuppressions
	for rest := x.Subjects; len(rest) > 0; {
		n := min(len(rest), admin.MaxEntries)
		var all []admin.Suppression
		for _, text := range rest[:n] {
			all = append(all, admin.Suppression{
				Address: text, Tenant: x.Tenant, Campaign: x.Campaign, Reason: x.Reason, Detail: x.Note, Expires: expires, Creator: "operator",
			})
		}
		a, err := cl.Suppress(ctx, all)
		if err != nil {
			return x.Explain(cl, err)
		}
		if len(a.Bad) > 0 {
			return fmt.Errorf("%s: %s", rest[a.Bad[0].Index], a.Bad[0].Error)
		}
		sum.Added, sum.Replaced = sum.Added+a.Added, sum.Replaced+a.Replaced
		rest = rest[n:]
	}
	if x.JSON {
		return c.JSON(map[string]int{"added": sum.Added, "replaced": sum.Replaced})
	}
	_, err = fmt.Fprintf(c.Out, "%s added%s\n", entries(sum.Added), replaced(sum.Replaced))
	return err
}

func entries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

func replaced(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d replaced", n)
}

type deleteCommand struct {
	cli.Remote
	subjects
	scope
	AllScopes bool `help:"The entries of every scope."`
}

// Run is the command.
func (x *deleteCommand) Run(ctx context.Context, c *cli.Console) error {
	if err := x.subjects.check(); err != nil {
		return err
	}
	if err := x.scope.check(); err != nil {
		return err
	}
	if x.AllScopes && x.Tenant != "" {
		return cli.Misuse("--all-scopes and --tenant contradict each other")
	}
	cl, err := x.Client()
	if err != nil {
		return err
	}
	sum := 0
	var missing []string
	for _, text := range x.Subjects {
		n, err := cl.Unsuppress(ctx, text, x.Tenant, x.Campaign, x.AllScopes)
		if err != nil {
			return x.Explain(cl, err)
		}
		if sum += n; n == 0 {
			missing = append(missing, text)
		}
	}
	if x.JSON {
		err = c.JSON(admin.TouchedEntries{Entries: sum})
	} else {
		_, err = fmt.Fprintf(c.Out, "%s deleted\n", entries(sum))
	}
	if err == nil && len(missing) > 0 {
		return fmt.Errorf("not on the list for this scope: %s (\"tenma suppress list %s\" tells what there is)", strings.Join(missing, ", "), missing[0])
	}
	return err
}

// filters select entries; those that are given must all hold.
type filters struct {
	scope
	Reason   string `placeholder:"REASON" help:"Entries for this reason."`
	Rule     string `placeholder:"NAME" help:"Entries that this rule of the classifier called for."`
	Provider string `placeholder:"DOMAIN" help:"Entries of addresses that this provider refused."`
	Since    string `placeholder:"TIME" help:"Entries made since then: 2026-01-31, \"2026-01-31 12:00\", or 2h for two hours ago."`
	Held     bool   `help:"Entries without effect that were made in a storm of failures, and no others."`
}

func (f *filters) selection(address string) (w admin.SuppressionSelection, err error) {
	if address != "" {
		if _, err := suppress.ParseSubject(address); err != nil {
			return w, cli.Misuse("%q is neither an address nor a domain", cli.Clean(address))
		}
	}
	if f.Reason != "" {
		if _, err := suppress.ParseReason(f.Reason); err != nil {
			return w, cli.Misuse("--reason: %s", err)
		}
	}
	w = admin.SuppressionSelection{
		Address: address, Tenant: f.Tenant, Campaign: f.Campaign, Reason: f.Reason, Rule: f.Rule, Provider: f.Provider, Held: f.Held,
	}
	if f.Since != "" {
		at, err := parseTime(f.Since, time.Now())
		if err != nil {
			return w, cli.Misuse("--since: %s", err)
		}
		w.Since = &at
	}
	return w, nil
}

// parseTime reads a time, or a duration before now.
func parseTime(s string, now time.Time) (time.Time, error) {
	if d, err := config.ParseDuration(s); err == nil && d > 0 {
		return now.Add(-d).Truncate(time.Second), nil
	}
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(form, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf(`%q is no time; write 2026-01-31, "2026-01-31 12:00", or 2h for two hours ago`, cli.Clean(s))
}

// pages calls fn for all entries that are meant, some at a time, until it says
// false.
func pages(ctx context.Context, cl *admin.Client, w admin.SuppressionSelection, fn func([]admin.Suppression) (bool, error)) error {
	const page = 1000
	for after, more := "", true; more; {
		p, err := cl.Suppressions(ctx, w, after, page)
		if err != nil {
			return err
		}
		goOn, err := fn(p.Entries)
		if err != nil || !goOn {
			return err
		}
		after, more = p.Next, p.Next != ""
	}
	return nil
}
