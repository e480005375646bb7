// Package bench is "tenma bench": load for any mail server, what receives it,
// and comparisons. Each subcommand stands in a file of its own and only parses
// flags; the work is done by the packages under bench/.
package bench

// Command is the subcommands of "tenma bench".
type Command struct {
	Source   sourceCommand   `cmd:"" help:"Load any mail server."`
	Sink     sinkCommand     `cmd:"" help:"Take mail at next to no cost, count it, and behave as told."`
	Internet internetCommand `cmd:"" help:"DNS and mail hosts for any number of domains, on loopback."`
	Run      runCommand      `cmd:"" help:"Compare mail servers on a scenario, in turns."`
	Report   reportCommand   `cmd:"" help:"Tables, charts and pages of results."`
	Flame    flameCommand    `cmd:"" help:"Where processor time went: costs of a CPU profile, and a flame graph."`
}
