// Package dkim is "tenma dkim": keys that sign mail, and their records in the DNS.
// Its commands write private keys and nothing else; in which phase a key is, only
// a running relay decides (package rotation), so that they work whether one runs
// or not.
package dkim

import (
	"fmt"

	keys "tenma/relay/policy/dkim"
)

// Command is "tenma dkim".
type Command struct {
	New    newCommand    `cmd:"" help:"Make a key; prints its DNS record and the lines for the configuration."`
	List   listCommand   `cmd:"" help:"List the keys: which sign, and what is to be done."`
	DNS    dnsCommand    `cmd:"" name:"dns" help:"Print the DNS records of the keys, as a zone file has them."`
	Rotate rotateCommand `cmd:"" help:"Replace the keys of a domain: makes the next ones, which sign when their records are published."`
}

func zoneLine(i keys.Info) string {
	return fmt.Sprintf("%s. IN TXT ( %s )", i.Name, keys.Quote(i.Record))
}
