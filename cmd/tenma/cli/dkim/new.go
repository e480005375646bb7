package dkim

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"tenma/cmd/tenma/cli"
	"tenma/relay/config"
	keys "tenma/relay/policy/dkim"
	"tenma/relay/policy/dkim/rotation"
	"tenma/relay/wire/smtp"
)

type newCommand struct {
	cli.Settings
	Domain    string `arg:"" help:"The domain that signs, such as example.org."`
	Selector  string `placeholder:"NAME" help:"Name of the key in the DNS. Without it: s and the year for RSA, e and the year for Ed25519."`
	Algorithm string `enum:"rsa,ed25519" default:"rsa" help:"rsa or ed25519. Not every receiver knows ed25519 yet: use it beside rsa, never alone."`
	Bits      int    `default:"2048" help:"Size of an RSA key: 2048, 3072 or 4096."`
	JSON      bool   `name:"json" help:"Print as JSON."`
}

// Run is the command.
func (x *newCommand) Run(c *cli.Console) error {
	d, err := smtp.ParseDomain(x.Domain)
	if err != nil || d.IsLiteral() {
		return cli.Misuse("%q is not a domain name", cli.Clean(x.Domain))
	}
	selector := x.Selector
	if selector == "" {
		selector = map[string]string{keys.RSA: "s", keys.Ed25519: "e"}[x.Algorithm] + time.Now().Format("2006")
	}
	if s, err := smtp.ParseDomain(selector); err != nil || s.IsLiteral() {
		return cli.Misuse("the selector %q is not a name that the DNS can have", cli.Clean(selector))
	}
	if x.Algorithm == keys.RSA && !slices.Contains([]int{2048, 3072, 4096}, x.Bits) {
		return cli.Misuse("--bits must be 2048, 3072 or 4096 (RFC 8301)")
	}
	cfg, err := x.Peek()
	if err != nil {
		return err
	}
	name := filepath.Join(config.DKIMDir, string(d)+"."+selector+".pem")
	path := cfg.InData(name)
	if _, err := keys.Generate(x.Algorithm, x.Bits, path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s exists already and is never replaced; give another --selector", path)
		}
		return fmt.Errorf("making the key: %w", err)
	}
	k := keys.Key{Domain: d, Selector: selector, Path: path}
	info := keys.Inspect([]keys.Key{k})[0]
	if info.Err != nil {
		return fmt.Errorf("the new key cannot be used: %w", info.Err)
	}
	if x.JSON {
		return c.JSON(asKey(info, false))
	}
	if cfg.Rotation.Has(d) {
		fmt.Fprintf(c.Out, `Made %s

Publish this record:

%s

tenma keeps the keys of %s: the first signs at once, a further one joins when its record has been seen for %.0f hours.
`, path, zoneLine(info), d, rotation.Settle.Hours())
		return nil
	}
	fmt.Fprintf(c.Out, `Made %s

1. Publish this record, and wait until it can be looked up:

%s

2. Add these lines to the configuration, and reload with SIGHUP:

[[dkim]]
domain   = %q
selector = %q
key      = %q

   Or only the first two, and tenma keeps the domain's keys: "tenma dkim rotate" replaces them.
`, path, zoneLine(info), string(d), selector, name)
	return nil
}
