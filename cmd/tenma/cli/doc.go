// Package cli is what the subcommands of tenma have in common: the flag that names
// the configuration, those that find a running relay, the console that they print to
// and ask on, and the words for a command line that makes no sense.
package cli
