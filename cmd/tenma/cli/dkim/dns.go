package dkim

import (
	"errors"
	"fmt"

	"tenma/cmd/tenma/cli"
	"tenma/relay/policy/dkim/rotation"
	"tenma/relay/wire/smtp"
)

type dnsCommand struct {
	cli.Settings
	Domain string `arg:"" optional:"" help:"Only the records of this domain."`
	JSON   bool   `name:"json" help:"Print as JSON."`
}

// Run is the command.
func (x *dnsCommand) Run(c *cli.Console) error {
	all, err := inspect(&x.Settings)
	if err != nil {
		return err
	}
	var want smtp.Domain
	if x.Domain != "" {
		if want, err = smtp.ParseDomain(x.Domain); err != nil {
			return cli.Misuse("%q is not a domain name", cli.Clean(x.Domain))
		}
	}
	shown := []keyInList{}
	// A record is published before its key is configured: show both.
	for _, k := range all {
		if want != "" && k.info.Domain != want || k.Phase == string(rotation.Retired) {
			continue
		}
		if k.info.Err != nil {
			return fmt.Errorf("the key %s cannot be used: %w", k.info.Path, k.info.Err)
		}
		shown = append(shown, k)
		if !x.JSON {
			fmt.Fprintln(c.Out, zoneLine(k.info))
		}
	}
	if x.JSON {
		return c.JSON(shown)
	}
	if len(shown) == 0 {
		return errors.New(`there is no such key; "tenma dkim new DOMAIN" makes one`)
	}
	return nil
}
