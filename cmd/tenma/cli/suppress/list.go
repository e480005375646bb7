package suppress

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tenma/cmd/tenma/cli"
	"tenma/relay/admin"
)

type listCommand struct {
	cli.Remote
	Address string `arg:"" optional:"" help:"An address, or a domain with its addresses."`
	filters
	Limit int `default:"100" placeholder:"N" help:"At most so many entries; 0 for all. Default: ${default}."`
}

// Run is the command.
func (x *listCommand) Run(ctx context.Context, c *cli.Console) error {
	w, err := x.selection(x.Address)
	if err != nil {
		return err
	}
	if x.Limit < 0 {
		return cli.Misuse("--limit is negative")
	}
	cl, err := x.Client()
	if err != nil {
		return err
	}
	all := []admin.Suppression{}
	more := false
	err = pages(ctx, cl, w, func(p []admin.Suppression) (bool, error) {
		all = append(all, p...)
		more = x.Limit > 0 && len(all) > x.Limit
		return !more, nil
	})
	if err != nil {
		return x.Explain(cl, err)
	}
	if more {
		all = all[:x.Limit]
	}
	if x.JSON {
		return c.JSON(all)
	}
	if err := show(c, all); err != nil {
		return err
	}
	if more {
		fmt.Fprintf(c.Err, "There are more: these are the first %d. Give a filter, or --limit 0 for all.\n", len(all))
	}
	return nil
}

// show prints entries for people.
func show(c *cli.Console, all []admin.Suppression) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(c.Out, "No entries.")
		return err
	}
	rows := [][]string{{"ADDRESS", "STOPS", "REASON", "SINCE", "UNTIL", "DETAIL"}}
	for i := range all {
		rows = append(rows, row(&all[i], c.Width()))
	}
	return c.Table(rows)
}

func row(e *admin.Suppression, width int) []string {
	stops := "all mail"
	if e.Tenant != "" {
		stops = strings.TrimSuffix(e.Tenant+"/"+e.Campaign, "/")
	}
	if e.Held {
		stops = "nothing: held"
	}
	day := func(t *time.Time, none string) string {
		if t == nil {
			return none
		}
		return t.Local().Format(time.DateOnly)
	}
	detail := e.Detail
	if e.Rule != "" {
		detail = "[" + e.Rule + "] " + detail
	}
	if width > 0 {
		detail = cli.Cut(detail, max(20, width-90))
	}
	return []string{e.Address, stops, e.Reason, day(e.Created, "-"), day(e.Expires, "for ever"), detail}
}
