package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"tenma/cmd/tenma/cli"
	"tenma/relay/admin"
	"tenma/relay/config"
	"tenma/spool"
)

type queueCommand struct {
	Summary queueSummary `cmd:"" help:"The queue at a glance, lane by lane."`
	List    queueList    `cmd:"" help:"List messages, oldest first."`
	Show    queueShow    `cmd:"" help:"Show messages in full."`
	Retry   queueRetry   `cmd:"" help:"Try messages now, and lanes that rest."`
	Hold    queueHold    `cmd:"" help:"Keep messages and do not try them."`
	Release queueRelease `cmd:"" help:"Let held messages go on."`
	Delete  queueDelete  `cmd:"" help:"Remove messages without telling their senders."`
}

// filters select messages; those that are given must all hold.
type filters struct {
	Recipient string   `placeholder:"ADDRESS" group:"Filters (all that are given must hold)" help:"Messages to this address."`
	Domain    string   `placeholder:"DOMAIN" group:"Filters (all that are given must hold)" help:"Messages to this domain."`
	Sender    string   `placeholder:"ADDRESS" group:"Filters (all that are given must hold)" help:"Messages from this address, or @domain."`
	Tenant    string   `placeholder:"NAME" group:"Filters (all that are given must hold)" help:"Messages of this tenant."`
	Campaign  string   `placeholder:"NAME" group:"Filters (all that are given must hold)" help:"Messages of this campaign."`
	OlderThan string   `placeholder:"TIME" group:"Filters (all that are given must hold)" help:"Messages accepted longer ago than this, such as 90m or 3d."`
	IDs       []string `arg:"" optional:"" name:"id" help:"Message ids."`
}

func (f *filters) selection() (admin.Selection, error) {
	s := admin.Selection{Recipient: f.Recipient, Domain: f.Domain, Sender: f.Sender, Tenant: f.Tenant, Campaign: f.Campaign}
	for _, text := range f.IDs {
		id, err := spool.ParseID(text)
		if err != nil {
			return s, cli.Misuse("%q is not a message id, which has 26 letters and digits", cli.Clean(text))
		}
		s.IDs = append(s.IDs, id.String())
	}
	if f.OlderThan != "" {
		d, err := config.ParseDuration(f.OlderThan)
		if err != nil || d <= 0 {
			return s, cli.Misuse(`--older-than %q is not a time; write 90m, 12h or 3d`, cli.Clean(f.OlderThan))
		}
		s.OlderThan = d.String()
	}
	return s, nil
}

func (f *filters) empty() bool {
	return len(f.IDs) == 0 && f.Recipient == "" && f.Domain == "" && f.Sender == "" && f.Tenant == "" && f.Campaign == "" && f.OlderThan == ""
}

type queueSummary struct {
	cli.Remote
	Resting bool `help:"Only lanes that cannot be reached, and rest."`
	Limit   int  `default:"50" placeholder:"N" help:"Show at most so many lanes, the longest first; 0 for all. Default: ${default}."`
}

// Run is the command.
func (x *queueSummary) Run(ctx context.Context, c *console) error {
	if x.Limit < 0 {
		return cli.Misuse("--limit is negative")
	}
	cl, err := x.Client()
	if err != nil {
		return err
	}
	s, err := cl.Summary(ctx)
	if err != nil {
		return x.Explain(cl, err)
	}
	if x.Resting {
		s.Lanes = s.AtRest()
	}
	if x.JSON {
		return c.JSON(s)
	}
	all := len(s.Lanes)
	if x.Limit > 0 && all > x.Limit {
		s.Lanes = s.Lanes[:x.Limit]
	}
	if err := c.summary(s); err != nil {
		return err
	}
	if n := all - len(s.Lanes); n > 0 {
		fmt.Fprintf(c.Err, "%s more; --limit 0 shows all.\n", cli.Count(n, "lane"))
	}
	return nil
}

type queueList struct {
	cli.Remote
	filters
	Limit int `default:"100" placeholder:"N" help:"At most so many messages; 0 for all. Default: ${default}."`
}

// Run is the command.
func (x *queueList) Run(ctx context.Context, c *console) error {
	sel, err := x.selection()
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
	const page = 1000
	all := []admin.Message{}
	after, more := "", true
	for more && (x.Limit == 0 || len(all) < x.Limit) {
		n := page
		if x.Limit > 0 {
			n = min(page, x.Limit-len(all))
		}
		p, err := cl.List(ctx, sel, after, n)
		if err != nil {
			return x.Explain(cl, err)
		}
		all = append(all, p.Messages...)
		after, more = p.Next, p.Next != ""
	}
	if x.JSON {
		return c.JSON(all)
	}
	if err := c.messages(all); err != nil {
		return err
	}
	if more {
		fmt.Fprintf(c.Err, "There may be more: these are the oldest %d. Give a filter, or --limit 0 for all.\n", len(all))
	}
	return nil
}

type queueShow struct {
	cli.Remote
	IDs []string `arg:"" name:"id" help:"Message ids."`
}

// Run is the command.
func (x *queueShow) Run(ctx context.Context, c *console) error {
	if _, err := (&filters{IDs: x.IDs}).selection(); err != nil {
		return err
	}
	cl, err := x.Client()
	if err != nil {
		return err
	}
	found := []admin.Message{}
	var missing []string
	for _, id := range x.IDs {
		m, err := cl.Show(ctx, id)
		var p *admin.Problem
		switch {
		case errors.As(err, &p) && p.Status == http.StatusNotFound:
			missing = append(missing, id)
		case err != nil:
			return x.Explain(cl, err)
		default:
			found = append(found, m)
		}
	}
	if x.JSON {
		if err := c.JSON(found); err != nil {
			return err
		}
	} else if err := c.inFull(found); err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("not in the queue: %s; delivered, returned or deleted already? The mail log knows", strings.Join(missing, ", "))
	}
	return nil
}

// verb is the part that all verbs have in common.
type verb struct {
	cli.Remote
	filters
	All bool `help:"Every message in the queue."`
}

type touched struct {
	Messages int `json:"messages"`
}

func (x *verb) act(ctx context.Context, c *console, name, done string) error {
	switch {
	case x.empty() && !x.All:
		return cli.Misuse("say which messages: ids, filters, or --all")
	case !x.empty() && x.All:
		return cli.Misuse("--all and a filter contradict each other")
	}
	sel, err := x.selection()
	if err != nil {
		return err
	}
	sel.All = x.All
	cl, err := x.Client()
	if err != nil {
		return err
	}
	n, err := cl.Act(ctx, name, sel)
	if err != nil {
		return x.Explain(cl, err)
	}
	if x.JSON {
		err = c.JSON(touched{n})
	} else {
		_, err = fmt.Fprintf(c.Out, "%s %s\n", cli.Count(n, "message"), done)
	}
	if err != nil {
		return err
	}
	if len(sel.IDs) > 0 && n == 0 {
		return errors.New("nothing to do with these ids and filters: it was so before, or they are not in the queue (\"tenma queue show ID\", and the mail log, know)")
	}
	if want := len(slices.Compact(slices.Sorted(slices.Values(sel.IDs)))); n < want {
		return fmt.Errorf("only %d of %s changed: the others were so before, or are not in the queue (\"tenma queue show ID\" tells)", n, cli.Count(want, "message"))
	}
	return nil
}

type queueRetry struct{ verb }

// Run is the command.
func (x *queueRetry) Run(ctx context.Context, c *console) error {
	return x.act(ctx, c, "retry", "will be tried now")
}

type queueHold struct{ verb }

// Run is the command.
func (x *queueHold) Run(ctx context.Context, c *console) error {
	return x.act(ctx, c, "hold", "held")
}

type queueRelease struct{ verb }

// Run is the command.
func (x *queueRelease) Run(ctx context.Context, c *console) error {
	return x.act(ctx, c, "release", "released")
}

type queueDelete struct{ verb }

// Run is the command.
func (x *queueDelete) Run(ctx context.Context, c *console) error {
	return x.act(ctx, c, "delete", "deleted")
}
