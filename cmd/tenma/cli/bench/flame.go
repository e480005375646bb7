package bench

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"tenma/bench/report/flame"
	"tenma/cmd/tenma/cli"
)

type flameCommand struct {
	Profile string `arg:"" help:"CPU profile in pprof's format, as /debug/pprof/profile gives it, or - for the standard input."`

	Output string `short:"o" placeholder:"FILE" help:"Draw a flame graph into this SVG file."`
	Title  string `placeholder:"TEXT" help:"Title of the drawing (default: the profile's name)."`
	Top    int    `default:"12" placeholder:"N" help:"How many costs to name (default ${default})."`
	JSON   bool   `name:"json" help:"Print the costs as JSON."`
}

// Help is the long text.
func (*flameCommand) Help() string {
	return `Shows where processor time went: a table of the largest costs, each sample of the profile counted once, with the packages that had it done; with -o as a flame graph too.`
}

// costs is what --json prints.
type costs struct {
	Seconds float64       `json:"seconds"`
	CPU     time.Duration `json:"cpu_ns"`
	Samples int64         `json:"samples"`
	Costs   []flame.Cost  `json:"costs"`
}

// Run is the command.
func (x *flameCommand) Run(c *cli.Console) error {
	if x.Top < 1 || x.Top > 100 {
		return cli.Misuse("--top is %d, and must be 1 to 100", x.Top)
	}
	p, err := x.read(c)
	if err != nil {
		return err
	}
	all := p.Costs(x.Top)
	if x.Output != "" {
		title := x.Title
		if title == "" {
			title = filepath.Base(x.Profile)
		}
		if err := os.WriteFile(x.Output, []byte(p.SVG(title, all)), 0o644); err != nil {
			return err
		}
	}
	if x.JSON {
		return c.JSON(costs{p.Lasted.Seconds(), p.CPU, p.Samples, all})
	}
	if err := c.Table(flame.Rows(all)); err != nil {
		return err
	}
	if x.Output != "" {
		_, err = fmt.Fprintln(c.Err, x.Output)
	}
	return err
}

func (x *flameCommand) read(c *cli.Console) (*flame.Profile, error) {
	name, in := "standard input", io.Reader(c.In)
	if x.Profile != "-" {
		f, err := os.Open(x.Profile)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		name, in = x.Profile, f
	}
	p, err := flame.Read(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}
