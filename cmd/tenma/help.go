package main

// helpCommand stands here to be listed: run turns it into --help.
type helpCommand struct {
	Command []string `arg:"" optional:"" help:"Command, such as: queue list."`
}

// Run is never reached.
func (*helpCommand) Run() error { return nil }
