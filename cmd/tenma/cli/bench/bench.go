// Package bench is "tenma bench": load for any mail server, what receives it,
// and comparisons. Each subcommand stands in a file of its own and only parses
// flags; the work is done by the packages under bench/.
package bench

// Command is the subcommands of "tenma bench".
type Command struct {
	Source sourceCommand `cmd:"" help:"Load any mail server."`
	Run    runCommand    `cmd:"" help:"Compare mail servers on a scenario, in turns."`
}
