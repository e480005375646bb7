package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"tenma/bench/load"
	"tenma/bench/peer"
	"tenma/bench/report"
	"tenma/bench/scenario"
	"tenma/cmd/tenma/cli"
)

type runCommand struct {
	Scenario string   `arg:"" optional:"" help:"One of those that --list shows, or a file of your own."`
	Servers  []string `arg:"" optional:"" name:"mta" help:"Mail servers to compare, the first is the measure: those that --list shows, a driver NAME.sh of your own, or tenma:FILE for another binary of tenma."`

	List        bool     `help:"Show the scenarios and the mail servers."`
	Install     bool     `help:"Install the other mail servers first: Debian, as root; says what it does."`
	Rounds      int      `default:"3" placeholder:"N" help:"Runs of each mail server, in turns (default ${default})."`
	With        []string `sep:"none" placeholder:"LINE" help:"A line that is read after the scenario's, such as \"source count=500\"; several times for several."`
	Work        string   `placeholder:"DIR" help:"Folder of programs, keys and spools, on the disk to measure (default: tenma-bench in the cache, /var/cache for root)."`
	Results     string   `placeholder:"DIR" help:"Folder that the results are kept in (default: results in the work folder)."`
	Tenma       string   `placeholder:"FILE" help:"Binary of tenma to measure (default: this one)."`
	HostNetwork bool     `help:"Use the machine's own loopback, not one apart from it."`

	Worker string `hidden:"" help:"Be source or sink of a comparison: the runner starts these."`
}

// Help is the long text.
func (*runCommand) Help() string {
	return `Each mail server is started with an empty spool, gets the scenario's load, and is taken down, in turns; a table of medians and ratios follows. The raw results are kept, a line of JSON each: "tenma bench report" makes pages of them.

As root on Linux each server runs in a control group, where everything it uses is counted, with a name server and a network of its own: no mail can leave the machine, and nothing that runs on it is in the way. Without root only servers that need none can be compared, with a smarthost.

Compare figures of one run only: machines differ, and so do days.`
}

// apart is set in the environment of the process that runs in a network of its
// own.
const apart = "TENMA_BENCH_APART"

// Run is the command.
func (x *runCommand) Run(ctx context.Context, c *cli.Console) error {
	if x.Worker != "" {
		signal.Ignore(os.Interrupt) // which reaches the whole group of processes: the runner decides
		return scenario.Work(ctx, x.Worker, c.In, c.Out)
	}
	if x.List {
		return list(c)
	}
	if x.Rounds < 1 {
		return cli.Misuse("--rounds is %d, and must be 1 at least", x.Rounds)
	}
	work, err := x.work()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	if x.Install && os.Getenv(apart) == "" {
		if err := peer.Install(ctx, work, c.Err); err != nil {
			return err
		}
		if x.Scenario == "" {
			return nil
		}
	}
	if x.Scenario == "" || len(x.Servers) == 0 {
		return cli.Misuse("name a scenario and at least one mail server; --list shows them")
	}
	s, err := scenario.Find(x.Scenario, x.With...)
	if err != nil {
		return err
	}
	var drivers []peer.Driver
	for _, name := range x.Servers {
		d, err := peer.Find(name)
		if err != nil {
			return err
		}
		drivers = append(drivers, d)
	}
	root := os.Geteuid() == 0
	if root && !x.HostNetwork && os.Getenv(apart) == "" {
		// It does not return, unless that cannot be had.
		fmt.Fprintf(c.Err, "no network apart (%v); using the machine's own loopback\n", goApart())
	}
	return x.compare(ctx, c, s, drivers, work, root)
}

// compare runs the scenario and prints the table.
func (x *runCommand) compare(ctx context.Context, c *cli.Console, s scenario.Scenario, drivers []peer.Driver, work string, root bool) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	tenma := x.Tenma
	if tenma == "" {
		tenma = self
	}
	if tenma, err = filepath.Abs(tenma); err != nil {
		return err
	}
	place, err := scenario.NewPlace(work, tenma, s, root)
	if err != nil {
		return err
	}
	results := x.Results
	if results == "" {
		results = filepath.Join(work, "results")
	}
	r := &scenario.Runner{
		Scenario: s, Rounds: x.Rounds, Place: place, Out: c.Err,
		Results: filepath.Join(results, s.Name+"-"+time.Now().Format("20060102-150405")+".jsonl"),
		Tools: scenario.Processes{
			CPUs:    s.LoadCPUs,
			Command: func(role string) *exec.Cmd { return exec.Command(self, "bench", "run", "--worker", role) },
		},
	}
	told := ""
	for i, d := range drivers {
		if slices.ContainsFunc(drivers[:i], func(o peer.Driver) bool { return o.Name == d.Name }) {
			return cli.Misuse("%s is named twice", d.Name)
		}
		box, why := peer.NewBox(fmt.Sprint(i), place.Resolv)
		if why != "" && why != told {
			told = why
			fmt.Fprintln(c.Err, why)
		}
		r.Servers = append(r.Servers, peer.New(d, place.Setup(s, d), box))
	}
	all, err := r.Run(ctx)
	if len(all) > 0 {
		fmt.Fprint(c.Out, report.Table(all))
		fmt.Fprintf(c.Err, "raw results: %s\n", r.Results)
	}
	if err == nil {
		err = sound(all)
	}
	return err
}

// sound is an error if a server that promises more has lost mail, or signed it
// wrongly.
func sound(all []load.Result) error {
	var problems []error
	for _, r := range all {
		if r.Lost > 0 {
			problems = append(problems, fmt.Errorf("%s, round %d: %d messages were accepted and had not arrived when waiting ended", r.MTA, r.Round, r.Lost))
		}
		if bad := r.Extra["signatures_bad"]; bad > 0 {
			problems = append(problems, fmt.Errorf("%s, round %d: %.0f messages without a DKIM signature that holds", r.MTA, r.Round, bad))
		}
	}
	return errors.Join(problems...)
}

// work is the folder of programs, keys and spools.
func (x *runCommand) work() (string, error) {
	if x.Work != "" {
		return filepath.Abs(x.Work)
	}
	if os.Geteuid() == 0 {
		// Mail servers that run as users of their own cannot enter root's.
		return "/var/cache/tenma-bench", nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding a folder to work in: %w; name one with --work", err)
	}
	return filepath.Join(cache, "tenma-bench"), nil
}

// list shows what there is.
func list(c *cli.Console) error {
	rows := [][]string{{"SCENARIO", "WHAT IT SHOWS"}}
	for _, name := range scenario.Names() {
		s, err := scenario.Find(name)
		if err != nil {
			return err
		}
		rows = append(rows, []string{name, s.About})
	}
	rows = append(rows, []string{"", ""}, []string{"MTA", "HOW IT IS SET UP"})
	for _, d := range peer.List() {
		rows = append(rows, []string{d.Name, d.About()})
	}
	return c.Table(rows)
}
