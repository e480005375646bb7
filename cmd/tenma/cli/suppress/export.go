package suppress

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"tenma/cmd/tenma/cli"
	"tenma/relay/admin"
)

type exportCommand struct {
	cli.Remote
	Address string `arg:"" optional:"" help:"An address, or a domain with its addresses."`
	filters
	Format string `default:"csv" enum:"csv,jsonl" help:"csv or jsonl (JSON lines). Default: ${default}."`
	Output string `short:"o" placeholder:"FILE" help:"A new file. Without it: the standard output."`
}

// Help is the long text.
func (exportCommand) Help() string {
	return `The columns of CSV are address, tenant, campaign, reason, created, expires, rule, detail, message, creator, provider, held; JSON lines have the
same names. "tenma suppress import" reads both.`
}

// Run is the command.
func (x *exportCommand) Run(ctx context.Context, c *cli.Console) error {
	w, err := x.selection(x.Address)
	if err != nil {
		return err
	}
	cl, err := x.Client()
	if err != nil {
		return err
	}
	format := x.Format
	if x.JSON {
		format = "jsonl"
	}
	if x.Output == "" {
		_, err := writeAll(ctx, cl, c.Out, w, format, nil)
		return x.Explain(cl, err)
	}
	out, err := create(x.Output)
	if err != nil {
		return err
	}
	n, err := writeAll(ctx, cl, out, w, format, nil)
	if err := errors.Join(err, out.Close()); err != nil {
		return x.Explain(cl, err)
	}
	_, err = fmt.Fprintf(c.Out, "%s written to %s\n", entries(n), x.Output)
	return err
}

// create makes a file that was not there, for its owner alone: addresses of
// people are nobody else's business.
func create(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("%s is there already; name a new file", path)
	}
	return f, err
}

// columns of CSV, in order.
func columns() []string {
	return []string{"address", "tenant", "campaign", "reason", "created", "expires", "rule", "detail", "message", "creator", "provider", "held"}
}

// writeAll writes the entries that are meant, and that want, if not nil, takes.
func writeAll(ctx context.Context, cl *admin.Client, to io.Writer, w admin.SuppressionSelection, format string, want func(*admin.Suppression) bool) (n int, err error) {
	out := bufio.NewWriterSize(to, 64<<10)
	rows, lines := csv.NewWriter(out), json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	write := func(e *admin.Suppression) error { return lines.Encode(e) }
	if format == "csv" {
		write = func(e *admin.Suppression) error { return rows.Write(record(e)) }
		if err := rows.Write(columns()); err != nil {
			return 0, err
		}
	}
	err = pages(ctx, cl, w, func(p []admin.Suppression) (bool, error) {
		for i := range p {
			if want != nil && !want(&p[i]) {
				continue
			}
			n++
			if err := write(&p[i]); err != nil {
				return false, err
			}
		}
		return true, nil
	})
	rows.Flush()
	return n, errors.Join(err, rows.Error(), out.Flush())
}

func record(e *admin.Suppression) []string {
	at := func(t *time.Time) string {
		if t == nil {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	held := ""
	if e.Held {
		held = "true"
	}
	return []string{e.Address, e.Tenant, e.Campaign, e.Reason, at(e.Created), at(e.Expires), e.Rule, e.Detail, e.Message, e.Creator, e.Provider, held}
}
