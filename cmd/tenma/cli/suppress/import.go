package suppress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"tenma/cmd/tenma/cli"
	"tenma/relay/admin"
)

type importCommand struct {
	cli.Remote
	File string `arg:"" optional:"" default:"-" help:"The file; - is the standard input. Default: ${default}."`
	scope
	Reason string `placeholder:"REASON" help:"For lines that name none. Default: import."`
	DryRun bool   `help:"Only read the file and tell what is wrong with it."`
}

// Help is the long text.
func (importCommand) Help() string {
	return `A line is an address or a domain, a row of CSV, or a JSON object; the first line tells which. Empty lines and those that begin with # are passed over.

The columns of CSV are told by its first line: address, tenant, campaign, reason, created, expires, rule, detail, message, creator, provider, held, in any order;
email, recipient, type, created_at, timestamp, description and the like, as other services write them, are understood too. JSON objects have the same names. Without
a heading the first column is the address. --tenant, --campaign and --reason are for lines that say none themselves.

A line that cannot be read is told with its number and left out. An entry that is there for the same address and scope is replaced.`
}

// importMost bounds what one call brings, in octets of texts.
const importMost = 256 << 10

// tally is what came of an import.
type tally struct {
	Lines    int `json:"lines"`
	Added    int `json:"added"`
	Replaced int `json:"replaced"`
	Bad      int `json:"bad"`
}

// Run is the command.
func (x *importCommand) Run(ctx context.Context, c *cli.Console) error {
	if err := x.scope.check(); err != nil {
		return err
	}
	if _, err := (&filters{Reason: x.Reason}).selection(""); err != nil {
		return err
	}
	in := c.In
	if x.File != "-" {
		f, err := os.Open(x.File)
		if err != nil {
			return fmt.Errorf("reading the list: %w", err)
		}
		defer f.Close()
		in = f
	}
	cl, err := x.Client()
	if err != nil && !x.DryRun {
		return err
	}
	t, err := x.bring(ctx, c, cl, newLines(in))
	switch {
	case err != nil && cl == nil:
		return err
	case err != nil:
		return x.Explain(cl, err)
	}
	if x.JSON {
		err = c.JSON(t)
	} else {
		verb := "added"
		if x.DryRun {
			verb = "would be added or replaced"
		}
		_, err = fmt.Fprintf(c.Out, "%s %s%s, %s left out\n", entries(t.Added), verb, replaced(t.Replaced), cli.Count(t.Bad, "line"))
	}
	if err == nil && t.Bad > 0 && t.Bad == t.Lines {
		return errors.New("nothing of it is a list of addresses; \"tenma suppress import --help\" tells what is read")
	}
	return err
}

// bring reads and adds all lines, some at a time.
func (x *importCommand) bring(ctx context.Context, c *cli.Console, cl *admin.Client, in *lines) (t tally, err error) {
	p := newProgress(c)
	defer p.end()
	var all []admin.Suppression
	var numbers []int
	octets := 0
	flush := func() error {
		if len(all) == 0 {
			return nil
		}
		a := admin.AddedSuppressions{Added: len(all)}
		if !x.DryRun {
			var err error
			if a, err = cl.Suppress(ctx, all); err != nil {
				p.tell("from line %d on nothing was brought in", numbers[0])
				return err
			}
		}
		t.Added, t.Replaced = t.Added+a.Added, t.Replaced+a.Replaced
		for _, b := range a.Bad {
			t.Bad++
			p.tell("line %d: %s", numbers[b.Index], b.Error)
		}
		p.at(t.Lines)
		all, numbers, octets = all[:0], numbers[:0], 0
		return nil
	}
	for {
		e, line, err := in.next()
		var bad *errLine
		switch {
		case errors.Is(err, io.EOF):
			return t, flush()
		case errors.As(err, &bad):
			t.Lines++
			t.Bad++
			p.tell("%s", bad)
			continue
		case err != nil:
			return t, fmt.Errorf("reading the list: %w", err)
		}
		t.Lines++
		x.fill(&e)
		all, numbers = append(all, e), append(numbers, line)
		octets += len(e.Address) + len(e.Detail) + len(e.Rule)
		if len(all) == admin.MaxEntries || octets > importMost {
			if err := flush(); err != nil {
				return t, err
			}
		}
	}
}

// fill completes an entry by the flags.
func (x *importCommand) fill(e *admin.Suppression) {
	if e.Tenant == "" {
		e.Tenant, e.Campaign = x.Tenant, x.Campaign
	}
	if e.Reason == "" {
		e.Reason = x.Reason
	}
	if e.Reason == "" {
		e.Reason = "import"
	}
	if e.Creator == "" {
		e.Creator = "import"
	}
	if e.Created != nil && e.Created.After(time.Now()) {
		e.Created = nil
	}
}

// progress shows how far it is: a bar on a terminal, lines elsewhere.
type progress struct {
	c    *cli.Console
	bar  *progressbar.ProgressBar // nil: no terminal
	told int
}

func newProgress(c *cli.Console) *progress {
	p := &progress{c: c}
	if f, ok := c.Err.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bar = progressbar.NewOptions64(-1, progressbar.OptionSetWriter(f), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
			progressbar.OptionSetItsString("lines"), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(200*time.Millisecond))
	}
	return p
}

// every is how many lines lie between two lines of progress.
const every = 100_000

func (p *progress) at(n int) {
	if p.bar != nil {
		_ = p.bar.Set(n) // what cannot be shown is not shown
	} else if n/every > p.told {
		p.told = n / every
		fmt.Fprintf(p.c.Err, "%d lines read\n", n)
	}
}

// tell prints a line beside the bar.
func (p *progress) tell(format string, args ...any) {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	fmt.Fprintln(p.c.Err, cli.Clean(fmt.Sprintf(format, args...)))
}

func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
