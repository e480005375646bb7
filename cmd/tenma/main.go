// Command tenma is the mail relay in one binary: serve runs it, the other
// subcommands prepare it, look into it and load it. Each subcommand parses its
// flags and calls a package.
//
// Exit codes: 0 done, 1 failed, 2 wrong usage. An error is one line on the
// standard error that says what was tried, what happened and what to do.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"tenma/cmd/tenma/cli"
	"tenma/cmd/tenma/cli/bench"
	"tenma/cmd/tenma/cli/dkim"
	"tenma/cmd/tenma/cli/dns"
	"tenma/cmd/tenma/cli/suppress"
	"tenma/cmd/tenma/cli/user"
)

// commands is the command line. Each command stands in a file of its own.
type commands struct {
	Serve    serveCommand     `cmd:"" help:"Run the relay."`
	Demo     demoCommand      `cmd:"" help:"Run the relay against an internet in a box, with mail flowing."`
	Check    checkCommand     `cmd:"" help:"Validate a configuration: every error with its place, and what is unwise."`
	Queue    queueCommand     `cmd:"" help:"Look into the queue of a running relay, and change it."`
	Explain  explainCommand   `cmd:"" help:"How mail for a domain would go, and why."`
	User     user.Command     `cmd:"" help:"Accounts for submission and mailboxes."`
	Mailbox  mailboxCommand   `cmd:"" help:"What mailboxes hold; import and export."`
	Suppress suppress.Command `cmd:"" help:"The suppression list: to whom no mail is sent."`
	DKIM     dkim.Command     `cmd:"" name:"dkim" help:"Signing keys and their DNS records."`
	Bench    bench.Command    `cmd:"" help:"Load any mail server, receive what it sends, compare."`
	Classify classifyCommand  `cmd:"" help:"Tell what returned messages, complaints and replies mean."`
	DNS      dns.Command      `cmd:"" name:"dns" help:"DNS records of a domain."`
	Version  versionCommand   `cmd:"" help:"Show the version."`
	Help     helpCommand      `cmd:"" help:"Show help for a command."`
}

const description = `A high-throughput outbound mail relay in one binary.

With no configuration, "tenma serve" runs a safe relay on loopback and prints how to send a first message.`

func main() {
	os.Exit(run(context.Background(), os.Args[1:], &console{cli.Console{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}}))
}

// run is the whole program without its surroundings. It returns the exit code.
func run(ctx context.Context, args []string, c *console) int {
	switch {
	case len(args) == 0:
		args = []string{"--help"}
	case args[0] == "help": // "help queue list" is "queue list --help"
		args = append(args[1:len(args):len(args)], "--help")
	case args[0] == "--version": // as most programs have it
		args = []string{"version"}
	}
	exited := -1
	parser, err := kong.New(&commands{},
		kong.Name("tenma"),
		kong.Description(description),
		kong.Writers(c.Out, c.Err),
		kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(c, &c.Console),
	)
	if err != nil { // a mistake in the tags of the commands
		fmt.Fprintln(c.Err, "tenma:", err)
		return 1
	}
	k, err := parser.Parse(args)
	switch {
	case exited >= 0: // --help was printed
		return exited
	case err != nil:
		return c.misused(err)
	}
	err = k.Run(parser)
	var usage *cli.UsageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(c.Err, "tenma %s: %s; see \"tenma %s --help\"\n", name(k.Command()), usage.Text, name(k.Command()))
		return 2
	case errors.Is(err, errTold):
		return 1
	}
	fmt.Fprintf(c.Err, "tenma %s: %s\n", name(k.Command()), oneLine(err.Error()))
	return 1
}

// misused reports a command line that cannot be read.
func (c *console) misused(err error) int {
	command := ""
	var pe *kong.ParseError
	if errors.As(err, &pe) && pe.Context != nil {
		command = name(pe.Context.Command())
	}
	full := strings.TrimSpace("tenma " + command)
	fmt.Fprintf(c.Err, "%s: %s; see \"%s --help\"\n", full, oneLine(err.Error()), full)
	return 2
}

// name is a command without its arguments: "queue show <id>" is "queue show".
func name(command string) string {
	command, _, _ = strings.Cut(command, " <")
	command, _, _ = strings.Cut(command, " [")
	return command
}

// errTold says that the command failed and has said all about it.
var errTold = cli.ErrTold

func oneLine(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ") }

// settings is the flag of all commands that need a configuration.
type settings struct{ cli.Settings }

// console is what the commands of this package talk through.
type console struct{ cli.Console }
