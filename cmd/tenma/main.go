// Command tenma is the mail relay in one binary: serve runs it, the other
// subcommands prepare it, look into it and load it. Each subcommand parses its
// flags and calls a package.
package main

func main() {}
